"""`homebred-fleet serve`: the whole life of the controller's process, its signals and its exit status."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from importlib.metadata import version

from homebred_fleet import messages
from homebred_fleet.adapters import logs
from homebred_fleet.adapters.logs import StructuredJournal
from homebred_fleet.app.controller import Controller, Part, assembled
from homebred_fleet.errors import FleetError
from homebred_fleet.settings import Settings

EXIT_CRASHED = 70
"""EX_SOFTWARE of sysexits.h: a service manager starts the controller again."""


def serve(settings: Settings) -> int:
    """Runs until SIGTERM or SIGINT; the process's exit status.

    Raises:
        FleetError: it cannot start.
    """
    started_s = time.monotonic()
    journal = logs.opened(settings.log.format, settings.log.level, sys.stderr)
    logs.install(journal)
    journal.note(messages.STARTING, version=version("homebred"), pid=os.getpid())
    try:
        asyncio.run(_until_stopped(settings, journal, started_s))
    except FleetError as error:
        journal.note(messages.START_REFUSED, error_code=error.code)
        raise
    except Exception as error:  # noqa: BLE001  # the outermost frame: a defect is noted by kind and place
        logs.defect(journal, error, messages.CRASHED)
        return EXIT_CRASHED
    return 0


async def _until_stopped(settings: Settings, journal: StructuredJournal, started_s: float) -> None:
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    loop.set_exception_handler(logs.loop_handler(journal))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    controller = assembled(settings, journal)
    try:
        await _run(controller, stopped, started_s)
    finally:
        controller.database.close()


async def _run(controller: Controller, stopped: asyncio.Event, started_s: float) -> None:
    server, journal = controller.server(), controller.journal
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(_endless(part)) for part in controller.parts(server)]
        serving = group.create_task(server.run())
        await server.ready()
        journal.note(messages.READY, address=server.address, seconds=time.monotonic() - started_s)
        await stopped.wait()
        stopping_s = time.monotonic()
        journal.note(messages.STOPPING)
        server.stop()
        await serving
        for task in running:
            task.cancel()
    journal.note(messages.STOPPED, seconds=time.monotonic() - stopping_s)


async def _endless(part: Part) -> None:
    """A part that ends by itself is a defect: nobody would do its work from then on."""
    await part()
    raise RuntimeError("a part of the controller has ended by itself")
