"""What every memory of the fleet promises: SQLite's, and the one in memory that the unit tests trust."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from tests.support.fleet_sync_stage import MemoryOfFleet
from tests.support.stop_orders import signed_stop

from homebred_daemon.adapters.store.fleet_state import SqliteFleetMemory
from homebred_daemon.core.desired_state import KeptDesired
from homebred_daemon.core.fleet_messages import Desired, Document, PartReport, PartState
from homebred_daemon.core.stopping import Stopping
from homebred_daemon.ports.fleet import FleetMemory

Reopen = Callable[[], FleetMemory]
DESIRED = Desired(
    device_id="dev-1",
    version=7,
    issued_at_s=1_790_000_000,
    policy=Document(digest="sha256:" + "a" * 64, length=3),
    labels={"role": "kiosk"},
)
REFUSED = PartReport(
    name="policy", digest="sha256:" + "a" * 64, state=PartState.REFUSED, problem_code="bad_request", problem="why"
)
APPLIED = PartReport(name="policy", digest="sha256:" + "a" * 64, state=PartState.APPLIED)


@pytest.fixture(params=["sqlite", "memory"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Reopen]:
    kept = MemoryOfFleet()
    with ExitStack() as stack:

        def opened() -> FleetMemory:
            stack.close()
            if request.param == "memory":
                return kept
            return stack.enter_context(closing(SqliteFleetMemory(tmp_path / "fleet.sqlite", "dev-1")))

        yield opened


def test_a_new_memory_knows_nothing(reopen: Reopen) -> None:
    memory = reopen()
    assert memory.desired() == KeptDesired()
    assert memory.stopping() == Stopping()


def test_what_is_desired_stays_without_its_bytes(reopen: Reopen) -> None:
    reopen().keep_desired(DESIRED)
    assert reopen().desired() == KeptDesired(highest_version=7, desired=DESIRED)


def test_what_became_of_a_part_stays_until_something_else_is_desired(reopen: Reopen) -> None:
    memory = reopen()
    memory.keep_desired(DESIRED)
    memory.keep_part(APPLIED, APPLIED.digest)
    memory.keep_part(REFUSED, APPLIED.digest)
    kept = reopen().desired()
    assert (kept.parts, kept.applied) == ({"policy": REFUSED}, {"policy": APPLIED.digest})
    newer = Desired(device_id="dev-1", version=8)
    memory = reopen()
    memory.keep_desired(newer)
    kept = reopen().desired()
    assert (kept.highest_version, kept.parts, kept.applied) == (8, {}, {"policy": APPLIED.digest})


def test_a_stop_order_stays(reopen: Reopen) -> None:
    order = signed_stop(3, stopped=True, reason_code="incident")
    stopping = Stopping().heard(order, frozenset())
    reopen().keep_stop(stopping)
    assert reopen().stopping() == stopping
    assert reopen().stopping().order == order


def test_after_another_key_of_the_directors_epochs_begin_anew(reopen: Reopen) -> None:
    reopen().keep_stop(Stopping(epoch=2**62, stopped=True, key_id="stolen"))
    reopen().keep_stop(Stopping(epoch=4, stopped=False, key_id="new"))
    assert reopen().stopping() == Stopping(epoch=4, stopped=False, key_id="new")


def test_floors_in_sqlite_never_fall_even_where_the_caller_is_wrong(tmp_path: Path) -> None:
    with closing(SqliteFleetMemory(tmp_path / "fleet.sqlite", "dev-1")) as memory:
        memory.keep_desired(DESIRED)
        memory.keep_desired(Desired(device_id="dev-1", version=6))
        memory.keep_stop(Stopping(epoch=3, stopped=True))
        memory.keep_stop(Stopping(epoch=2, stopped=False))
        memory.keep_stop(Stopping(epoch=3, stopped=False))
        assert memory.desired().highest_version == 7
        assert memory.stopping() == Stopping(epoch=3, stopped=True)


def test_another_devices_desired_state_is_forgotten_but_not_what_holds_here(tmp_path: Path) -> None:
    path = tmp_path / "fleet.sqlite"
    with closing(SqliteFleetMemory(path, "dev-1")) as memory:
        memory.keep_desired(DESIRED)
        memory.keep_part(APPLIED, APPLIED.digest)
        memory.keep_stop(Stopping(epoch=3, stopped=True))
    with closing(SqliteFleetMemory(path, "dev-2")) as memory:
        assert memory.desired() == KeptDesired(applied={"policy": APPLIED.digest})
        assert memory.stopping().epoch == 3
