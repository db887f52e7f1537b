"""Has an enrolled device note what its fleet may hear: the outbox, and who follows the ledger into it."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from homebred_daemon import fleet_messages
from homebred_daemon.adapters import telemetry_wire
from homebred_daemon.adapters.process_figures import process_figures
from homebred_daemon.adapters.store.ledger_feed import SqliteFeed
from homebred_daemon.adapters.store.outbox_file import open_outbox
from homebred_daemon.app.followed import Followed
from homebred_daemon.core.outbox import Quota
from homebred_daemon.core.telemetry import Telling, telling
from homebred_daemon.ports.clock import Clock
from homebred_daemon.ports.journal import Journal
from homebred_daemon.ports.outbox import Outbox
from homebred_daemon.services.answering import Answering
from homebred_daemon.services.fleet.telemetry import Sources, Telemetry
from homebred_daemon.services.health import Health


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whose outbox it is."""

    device: str
    """The name that the fleet knows this device by."""
    enrolled_at_s: int


@contextmanager
def outbox_in(state_dir: Path, quota: Quota, clock: Clock, journal: Journal, *, owner: Owner) -> Iterator[Outbox]:
    """The outbox of an enrolled device, with this start registered in it.

    Raises:
        StateError: its file cannot be had; try again later: nothing is lost that the ledger keeps.
    """
    opened = open_outbox(
        state_dir,
        boot_id=secrets.token_hex(16),
        quota=quota,
        now_s=lambda: clock.now().timestamp(),
        device=owner.device,
        enrolled_at_s=owner.enrolled_at_s,
    )
    with closing(opened.outbox):
        if opened.set_aside:
            journal.note(fleet_messages.OUTBOX_SET_ASIDE, count=opened.set_aside)
        if opened.forgotten:
            journal.note(fleet_messages.OUTBOX_FORGOTTEN, count=opened.forgotten)
        yield opened.outbox


@asynccontextmanager
async def telemetry(followed: Followed, outbox: Outbox, *, tell: Callable[[], None]) -> AsyncIterator[Telemetry]:
    """Follows the ledger into the outbox for as long as the context lasts; `tell` hears on the loop of what is new.

    Raises:
        StateError: the ledger cannot be followed.
    """
    with closing(SqliteFeed(followed.state_dir / "ledger.sqlite")) as feed:
        health = Health(
            answering=followed.answering,
            pool=followed.pool,
            reviews=followed.reviews,
            clock=followed.clock,
            started_s=followed.clock.monotonic_s(),
            process=process_figures,
            free_disk_bytes=lambda: _free_disk_bytes(followed.state_dir),
        )
        sources = Sources(
            outbox=outbox,
            feed=feed,
            forms=telemetry_wire,
            told_by=lambda: _told_by(followed.answering),
            health=health.fact,
        )
        service = Telemetry(sources, followed.clock, followed.journal, tell=tell)
        followed.recorder.tell(service.wake)
        async with service.running():
            yield service


def _told_by(answering: Answering) -> Telling:
    decider = answering.standing.decider
    return telling(decider.policy, decider.registry)


def _free_disk_bytes(folder: Path) -> int:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0
