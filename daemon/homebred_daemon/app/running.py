"""The whole life of the daemon process: its command line, its signals, its exit status. It assembles nothing."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from homebred_daemon.adapters import logs
from homebred_daemon.app.assembling import daemon
from homebred_daemon.config import Settings, load
from homebred_daemon.config_sources import FLAGS
from homebred_daemon.errors import HomebredError
from homebred_engines.hardening import forbid_dumps

EXIT_REFUSED = 2


def run(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> int:
    """The whole life of the daemon process; its exit status."""
    try:
        settings = _settings(arguments, environ)
        forbid_dumps()
        logs.configure(level=settings.log.level, as_json=settings.log.format != "console")
        asyncio.run(_until_stopped(settings))
    except HomebredError as error:
        sys.stderr.write(f"error: {error.message}\nnext:  {error.hint}\n")
        return EXIT_REFUSED
    return 0


async def _until_stopped(settings: Settings) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with daemon(settings):
        logs.logger().info("ready", socket=str(settings.paths.socket), version=version("homebred"))
        await stopped.wait()
        logs.logger().info("stopping")
    logs.logger().info("stopped")


def _settings(arguments: Sequence[str], environ: Mapping[str, str]) -> Settings:
    parser = argparse.ArgumentParser(prog="homebredd", description="The homebred daemon, in the foreground.")
    parser.add_argument("--config", type=Path, help="configuration file")
    parser.add_argument("--version", action="version", version=f"homebredd {version('homebred')}")
    for flag, key in FLAGS.items():
        parser.add_argument(flag, dest=flag, metavar=key[-1].upper(), help=f"sets {'.'.join(key)}")
    given = vars(parser.parse_args(arguments))
    flags = {flag: given[flag] for flag in FLAGS if given[flag] is not None}
    return load(given["config"], flags, environ)
