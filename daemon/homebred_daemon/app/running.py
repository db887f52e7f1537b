"""The whole life of the daemon process: its command line, its signals, its exit status. It assembles nothing."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import sys
import time
from collections.abc import Callable, MutableMapping, Sequence
from importlib.metadata import version
from pathlib import Path

from homebred_daemon import messages
from homebred_daemon.adapters import last_resort
from homebred_daemon.adapters.logs import StructuredJournal
from homebred_daemon.app.assembling import STOP_GRACE_S, daemon
from homebred_daemon.app.surroundings import Surroundings, open_journal, surroundings
from homebred_daemon.config import Settings, load
from homebred_daemon.config_sources import FLAGS
from homebred_daemon.errors import HomebredError, SecondDaemonError, StateError
from homebred_engines.hardening import forbid_dumps, give_back_memory

EXIT_REFUSED = 2
EXIT_CRASHED = 70
"""EX_SOFTWARE of sysexits.h: the service manager starts the daemon again."""
SWITCH_INTERVAL_S = 0.0005
"""How soon a thread that looks through a long text lets the loop go on: Python's own 5 ms holds up every stream."""
ENDING_S = 15.0
"""Beside the time that running answers are given: engines end, review queue and ledger are written out."""


def run(arguments: Sequence[str], environ: MutableMapping[str, str] = os.environ) -> int:
    """The whole life of the daemon process; its exit status."""
    started_s = time.monotonic()
    journal: StructuredJournal | None = None
    try:
        settings = _settings(arguments, environ)
        forbid_dumps()
        journal = open_journal(settings, environ)
        around = surroundings(journal, environ)
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        asyncio.run(_until_stopped(settings, around, started_s))
    except HomebredError as error:
        if journal is not None:
            _note_refusal(journal, error)
        sys.stderr.write(f"error: {error.message}\nnext:  {error.hint}\n")
        return EXIT_REFUSED
    except Exception as error:
        if journal is None:
            raise  # nobody has given the daemon anything yet that its words could quote
        last_resort.crash(journal, error)
        return EXIT_CRASHED
    return 0


async def _until_stopped(settings: Settings, around: Surroundings, started_s: float) -> None:
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    loop.set_exception_handler(last_resort.loop_handler(around.journal))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with daemon(settings, around):
        _say_ready(settings, around, time.monotonic() - started_s)
        _settle_memory()
        await stopped.wait()
        stopping_s = time.monotonic()
        _say_stopping(settings, around)
    around.journal.note(messages.STOPPED, seconds=time.monotonic() - stopping_s)


def _settle_memory() -> None:
    """Gives back what only the start needed, and has the garbage collector look at the rest no more.

    A full collection then takes hardly any time, and is made often. It must be: a closed transport refers to itself
    (asyncio, Python 3.11), and four connections with 64 answers that nobody read held 6 MB until one came.
    """
    gc.collect()
    gc.freeze()
    gc.collect()  # so that what was frozen counts no more towards when the next one is due
    gc.set_threshold(700, 5, 2)
    give_back_memory()


def _say_ready(settings: Settings, around: Surroundings, took_s: float) -> None:
    _tell(around, lambda: around.manager.ready("answering 0"))
    around.journal.note(
        messages.READY,
        socket=str(settings.paths.socket),
        socket_from="own" if around.inherited is None else "inherited",
        service_manager=around.manager.name,
        seconds=took_s,
    )


def _say_stopping(settings: Settings, around: Surroundings) -> None:
    grace_s = settings.requests.drain_s
    _tell(around, lambda: around.manager.stopping(within_s=grace_s + STOP_GRACE_S + ENDING_S))
    around.journal.note(messages.STOPPING, grace_s=grace_s)


def _tell(around: Surroundings, tell: Callable[[], None]) -> None:
    """Tells the service manager; where it does not hear, it draws its own conclusions from that."""
    try:
        tell()
    except StateError:
        around.journal.note(messages.MANAGER_SILENT)


def _note_refusal(journal: StructuredJournal, error: HomebredError) -> None:
    if isinstance(error, SecondDaemonError):
        journal.note(messages.SECOND_DAEMON_REFUSED)
    else:
        journal.note(messages.START_REFUSED, error_code=error.code)


def _settings(arguments: Sequence[str], environ: MutableMapping[str, str]) -> Settings:
    parser = argparse.ArgumentParser(prog="homebredd", description="The homebred daemon, in the foreground.")
    parser.add_argument("--config", type=Path, help="configuration file")
    parser.add_argument("--version", action="version", version=f"homebredd {version('homebred')}")
    for flag, key in FLAGS.items():
        parser.add_argument(flag, dest=flag, metavar=key[-1].upper(), help=f"sets {'.'.join(key)}")
    given = vars(parser.parse_args(arguments))
    flags = {flag: given[flag] for flag in FLAGS if given[flag] is not None}
    return load(given["config"], flags, environ)
