"""From the database to a broker that refuses: in order, until it is so, and again after whatever failed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from tests.support.fake_fleet_identities import FakeAuthority, FakeIdentities, issued
from tests.support.fleet_journal import KeptJournal

from homebred_fleet.core.enrolment import Device
from homebred_fleet.errors import BrokerError, NotFoundError
from homebred_fleet.ports.authority import Probe
from homebred_fleet.services.revoking import Pace, Revoking

PACE = Pace(daily_s=3600.0, retry_s=0.0, least_s=0.0, probe_s=0.0, patience_s=3600.0)


@dataclass
class FakeBroker:
    """Reads a list some probes after it was told to."""

    authority: FakeAuthority
    slow: int = 0
    """Probes that it lets in before it has read the list."""
    down: int = 0
    """Times that it cannot be told."""
    did: list[str] = field(default_factory=list)
    stubborn: list[str] = field(default_factory=list)
    """Devices that cannot be thrown out at the first try."""

    async def reload(self) -> None:
        self.is_down = self.down > 0
        if self.is_down:
            self.down -= 1
            raise BrokerError("down", code="broker_not_told")
        self.did.append(f"read {','.join(self.authority.written[-1])}")
        self._left = self.slow

    async def refuses(self, probe: Probe) -> bool:
        assert probe.certificate_pem == str(len(self.authority.written)).encode()
        if self._left:
            self._left -= 1
            return False
        self.did.append("refuses")
        return True

    async def throw_out(self, device: str, takeover: Probe) -> None:
        assert takeover.certificate_pem == device.encode()
        if device in self.stubborn:
            self.stubborn.remove(device)
            raise BrokerError("no", code="broker_refused")
        if self.is_down:
            raise BrokerError("down", code="broker_unreachable")
        self.did.append(f"out {device}")


async def until(condition: Callable[[], bool]) -> None:
    """Lets everything else run until it is so."""
    while not condition():  # noqa: ASYNC110  # a fake's state, in virtual time
        await asyncio.sleep(0)


class Stage:
    """Revoking with everything around it."""

    def __init__(self, *, slow: int = 0, down: int = 0, pace: Pace = PACE) -> None:
        self.now_s = 1000
        self.identities = FakeIdentities()
        for number, name in enumerate(("clinic-1", "clinic-2"), start=1):
            self.identities.devices[name] = Device(id=name, site="clinic", labels={}, state="enrolled")
            self.identities._keep(name, issued(number, 900))
        self.authority = FakeAuthority()
        self.broker = FakeBroker(self.authority, slow=slow, down=down)
        self.journal = KeptJournal()
        self.revoking = Revoking(
            self.identities,
            self.authority,
            self.broker,
            self.journal,
            now_s=lambda: self.now_s,
            pace=pace,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.revoking.run())
            yield
            task.cancel()

    async def settled(self) -> None:
        """Until all that was taken back is known to be in force."""
        await until(self._is_settled)

    def _is_settled(self) -> bool:
        taken_back = self.identities.taken_back(now_s=self.now_s)
        if not taken_back:
            return self.broker.did[-2:] == ["read ", "refuses"]
        return self.journal.names[-1:] == ["revocation_in_force"] and all(one.is_out for one in taken_back)


async def test_at_its_start_the_list_is_made_anew_and_proven_to_be_read() -> None:
    stage = Stage()
    async with stage.running():
        await stage.settled()
    assert stage.broker.did == ["read ", "refuses"]
    assert stage.journal.names == []


async def test_a_revoked_device_is_thrown_out_once_the_broker_refuses_it() -> None:
    stage = Stage(slow=5)
    async with stage.running():
        await stage.settled()
        stage.now_s += 60
        assert stage.revoking.revoke("clinic-1", reason="lost", by="anna")
        await stage.settled()
    assert stage.broker.did[2:] == ["read 1", "refuses", "out clinic-1"]
    assert stage.journal.names == ["revoked", "revocation_in_force"]


async def test_revoking_twice_is_once() -> None:
    stage = Stage()
    assert stage.revoking.revoke("clinic-1", reason="lost", by="anna")
    assert not stage.revoking.revoke("clinic-1", reason="lost", by="anna")
    with pytest.raises(NotFoundError):
        stage.revoking.revoke("clinic-9", reason="lost", by="anna")


async def test_what_was_begun_before_a_crash_is_done_at_the_next_start() -> None:
    stage = Stage()
    for name in ("clinic-1", "clinic-2"):
        stage.identities.revoke(name, reason="lost", by="anna", now_s=940)
    stage.identities.note_out(("1",), now_s=950)
    async with stage.running():
        await stage.settled()
    assert stage.broker.did == ["read 1,2", "refuses", "out clinic-2"]


@pytest.mark.parametrize("by_s", [-90, 0], ids=["a clock that stepped back", "one who waited for the database"])
async def test_what_was_taken_back_before_the_last_round_by_its_time_is_thrown_out_all_the_same(by_s: int) -> None:
    stage = Stage()
    async with stage.running():
        await stage.settled()
        stage.now_s += by_s
        stage.identities.revoke("clinic-1", reason="lost", by="anna", now_s=stage.now_s - 1)
        stage.revoking.wake()
        await stage.settled()
    assert stage.broker.did[2:] == ["read 1", "refuses", "out clinic-1"]


async def test_a_broker_that_is_away_is_tried_until_it_is_there_and_this_is_said_once() -> None:
    stage = Stage(down=4)
    stage.identities.revoke("clinic-1", reason="lost", by="anna", now_s=990)
    async with stage.running():
        await stage.settled()
    assert stage.broker.did == ["read 1", "refuses", "out clinic-1"]
    assert stage.journal.names == ["revocation_not_in_force", "revocation_in_force"]


async def test_where_the_broker_does_not_read_the_list_the_device_is_thrown_out_all_the_same() -> None:
    stage = Stage(slow=10**9, pace=Pace(daily_s=3600.0, retry_s=3600.0, probe_s=0.0, patience_s=0.0))
    stage.identities.revoke("clinic-1", reason="lost", by="anna", now_s=990)
    async with stage.running():
        await until(lambda: bool(stage.journal.names))
    assert stage.broker.did == ["read 1", "out clinic-1"]
    assert stage.journal.entries[0].fields == {"cause": "broker_not_reloaded"}
    assert not any(one.is_out for one in stage.identities.taken_back(now_s=stage.now_s))


async def test_one_that_cannot_be_thrown_out_holds_up_no_other_and_is_tried_again() -> None:
    stage = Stage()
    stage.broker.stubborn = ["clinic-1"]
    for name in ("clinic-1", "clinic-2"):
        stage.identities.revoke(name, reason="lost", by="anna", now_s=990)
    async with stage.running():
        await stage.settled()
    assert stage.broker.did[:3] == ["read 1,2", "refuses", "out clinic-2"]
    assert stage.broker.did[3:] == ["read 1,2", "refuses", "out clinic-1", "out clinic-2"]


async def test_a_certificate_that_has_run_out_needs_no_place_on_the_list() -> None:
    stage = Stage()
    stage.identities.revoke("clinic-1", reason="lost", by="anna", now_s=990)
    stage.now_s = 5000
    async with stage.running():
        await stage.settled()
    assert stage.broker.did == ["read ", "refuses"]
