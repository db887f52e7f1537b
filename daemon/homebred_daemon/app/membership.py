"""What a device is and does as a member of a fleet, beside its link: identity kept valid, commands, diagnostics.

Nothing of it is loaded where the device is not enrolled. An identity that cannot be used is said, and stops nothing:
the device serves without its fleet.
"""

from __future__ import annotations

import os
import platform
import random
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from homebred_daemon import fleet_messages
from homebred_daemon.adapters.logs import StructuredJournal
from homebred_daemon.config import Settings
from homebred_daemon.errors import HomebredError
from homebred_daemon.inbound.caretaking import MembershipState
from homebred_daemon.ports.clock import Clock
from homebred_daemon.ports.fleet_commands import InstallReceipts
from homebred_daemon.services.caretaking import Caretaking

if TYPE_CHECKING:
    from homebred_daemon.adapters.identity_files import IdentityFiles
    from homebred_daemon.core.diagnostics import EventMemory
    from homebred_daemon.ports.identity import Identity
    from homebred_daemon.services.fleet.fleet_commands import CommandDesk
    from homebred_daemon.services.fleet.identity import IdentityKeeper

COMMANDS_NAME = "commands.sqlite"


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """The parts of an enrolled device."""

    keeper: IdentityKeeper
    desk: CommandDesk

    async def state(self) -> MembershipState:
        """Who the device is in its fleet, and whether that lasts. Raises StateError."""
        identity, problem = self.keeper.identity, self.keeper.problem
        return MembershipState(
            device_id=identity.membership.device_id,
            site=identity.membership.site,
            certificate_ends_s=identity.certificate.ends_s,
            certificate=self.keeper.standing().value,
            renewal_problem="" if problem is None else problem.code,
            waiting_bundles=len(await self.desk.bundles()),
        )


class Receipts:
    """Hands receipts on to whoever takes them, once somebody does; before that they are nobody's."""

    def __init__(self) -> None:
        self.taker: InstallReceipts | None = None

    def end(self) -> None:
        """Nobody takes any more."""
        self.taker = None

    def receipt(
        self, kind: str, subject: str, result: str, problem_code: str, *, version: int = 0, signed: bytes = b""
    ) -> bool:
        """As the port says."""
        if self.taker is None:
            return False
        return self.taker.receipt(kind, subject, result, problem_code, version=version, signed=signed)

    async def written(self) -> None:
        """As the port says."""
        if self.taker is not None:
            await self.taker.written()


@asynccontextmanager
async def membership(
    settings: Settings, caretaker: Caretaking, clock: Clock, journal: StructuredJournal, receipts: Receipts
) -> AsyncIterator[Membership | None]:
    """The device's part in its fleet, for as long as the context lasts; None: it is in none.

    Raises:
        StateError: the commands that it knows cannot be read.
    """
    held = _identity(settings, journal)
    if held is None:
        yield None
        return
    from homebred_daemon.adapters.fleet_https import ControllerHttps  # noqa: PLC0415  # only on an enrolled device
    from homebred_daemon.adapters.store.commands import opened_or_anew  # noqa: PLC0415
    from homebred_daemon.core.diagnostics import EventMemory  # noqa: PLC0415
    from homebred_daemon.services.fleet.fleet_commands import CommandDesk, Tools  # noqa: PLC0415
    from homebred_daemon.services.fleet.identity import IdentityKeeper  # noqa: PLC0415

    files, identity = held
    memory = EventMemory()
    journal.remember_with(lambda entry: memory.note(entry, int(clock.now().timestamp())))
    keeper = IdentityKeeper(
        identity,
        files,
        ControllerHttps(clock),
        clock,
        journal,
        chance=random.SystemRandom().random,
        receipts=receipts,
    )
    tools = Tools(
        drain=lambda resume: caretaker.drain(resume=resume),
        levels=journal,
        diagnostics=_diagnosing(settings, caretaker, clock, keeper, memory),
        version=version("homebred"),
    )
    store = opened_or_anew(
        settings.paths.state_dir / COMMANDS_NAME, lambda: journal.note(fleet_messages.COMMANDS_SET_ASIDE)
    )
    try:
        desk = CommandDesk(store, tools, clock, journal, span=keeper.clock_span, receipts=receipts)
        async with keeper.running(), desk.running():
            yield Membership(keeper=keeper, desk=desk)
    finally:
        store.close()


def _identity(settings: Settings, journal: StructuredJournal) -> tuple[IdentityFiles, Identity] | None:
    if not (settings.paths.state_dir / "identity").is_dir():
        return None
    from homebred_daemon.adapters.identity_files import IdentityFiles  # noqa: PLC0415

    files = IdentityFiles(settings.paths.state_dir, os.environ)
    try:
        identity = files.current()
    except HomebredError as error:
        journal.note(fleet_messages.IDENTITY_UNUSABLE, error_code=error.code)
        return None
    return None if identity is None else (files, identity)


def _diagnosing(
    settings: Settings, caretaker: Caretaking, clock: Clock, keeper: IdentityKeeper, memory: EventMemory
) -> Any:
    from homebred_daemon.adapters.doctor_process import findings  # noqa: PLC0415
    from homebred_daemon.services.fleet.diagnosing import Diagnosing, Sources  # noqa: PLC0415

    sources = Sources(
        device=lambda: _device(settings),
        settings=lambda: _settings(settings),
        doctor=lambda: findings(settings),
        fleet=lambda: _fleet(keeper),
        memory=memory,
    )
    return Diagnosing(caretaker, sources, clock)


def _settings(settings: Settings) -> Mapping[str, object]:
    """Every setting by its name."""
    from homebred_daemon.settings import known_keys  # noqa: PLC0415

    return {".".join(key): getattr(getattr(settings, key[0]), key[1]) for key in known_keys()}


def _device(settings: Settings) -> Mapping[str, Any]:
    """What the machine says of itself; what it does not say is not there."""
    from homebred_daemon.adapters.device_memory import available_ram_bytes  # noqa: PLC0415
    from homebred_daemon.adapters.process_figures import process_figures  # noqa: PLC0415

    told: dict[str, Any] = {
        "version": version("homebred"),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "kernel": platform.release(),
        "processors": os.cpu_count() or 0,
    }
    try:
        process, disk = process_figures(), shutil.disk_usage(settings.paths.state_dir)
        told |= {
            "resident_bytes": process.resident_bytes,
            "open_files": process.open_files,
            "most_files": process.most_files,
            "disk_free_bytes": disk.free,
            "disk_bytes": disk.total,
            "memory_available_bytes": available_ram_bytes(),
        }
    except (OSError, HomebredError):
        told["incomplete"] = True
    return told


def _fleet(keeper: IdentityKeeper) -> Mapping[str, Any]:
    certificate, membership_ = keeper.identity.certificate, keeper.identity.membership
    return {
        "device_id": membership_.device_id,
        "site": membership_.site,
        "generation": keeper.identity.generation,
        "certificate_begins_s": certificate.begins_s,
        "certificate_ends_s": certificate.ends_s,
        "certificate_standing": keeper.standing().value,
        "renewal_problem": keeper.problem.code if keeper.problem is not None else "",
    }
