"""The comparison as it is driven: what is counted stays, whoever ends it, and what serves may change meanwhile."""

from __future__ import annotations

import asyncio

import pytest
from tests.support.install_stage import AtOnce, Device, FakeShadow, release, specialist
from tests.support.manual_clock import run_with

from homebred_daemon.core.compatibility import Refusal
from homebred_daemon.core.deployment import Event, Install
from homebred_daemon.core.pairs import Pair
from homebred_daemon.core.shadow import Compared, Comparison
from homebred_daemon.core.shelf import StoredSpecialist
from homebred_daemon.errors import EngineUnavailableError, StateError
from homebred_daemon.services.releases.comparing import LOOK_S, Comparing, NoShadow
from homebred_daemon.services.releases.install_book import InstallBook
from homebred_protocol.documents.release_values import Shadow

DEMAND = Shadow(outcomes=20, longest_s=3600)
WELL = Pair(serving_is_good=True, newcomer_is_good=True, serving_ms=10, newcomer_ms=20)
LOST = Pair(serving_is_good=True, newcomer_is_good=False)


class Table:
    """An install that is to be compared, and what serves beside it."""

    def __init__(self) -> None:
        self.device = Device()
        self.shadow = FakeShadow()
        self.book = InstallBook(self.device.installs)
        self.serving: StoredSpecialist | None = specialist(1)
        self.comparing = Comparing(self.shadow, self.device.orders, self.book)

    async def begun(self) -> Install:
        asyncio.get_running_loop().set_default_executor(AtOnce())
        now_s = self.device.orders.trusted_now_s()
        install = await self.book.begin(release(2, shadow=DEMAND), now_s=now_s, ends=None, reason="")
        for event in (Event.FETCHED, Event.VERIFIED, Event.FITS, Event.PASSED_TO_SHADOW):
            assert install is not None
            install = await self.book.move(install, event, now_s=now_s)
        assert install is not None
        return install

    async def what_serves(self) -> StoredSpecialist | None:
        return self.serving

    async def compared(self, install: Install) -> Compared:
        return await self.comparing.compared(install, specialist(2), self.what_serves)

    async def seen(self, install: Install, count: int) -> None:
        """Returns once so many were counted."""
        for _ in range(1000):
            if (await self.current(install)).pairs.seen == count:
                return
            await asyncio.sleep(0)
        raise AssertionError(f"{count} were never counted")

    async def current(self, install: Install) -> Install:
        found = await self.book.find(install.seq)
        assert found is not None
        return found


async def test_it_counts_until_as_many_were_seen_as_are_demanded() -> None:
    table = Table()
    table.shadow.pairs = [WELL] * 30
    install = await table.begun()
    found = await table.compared(install)
    assert (found.standing, found.note, found.facts["shadow_seen"]) == (Comparison.PASSES, None, 20)
    assert table.shadow.begun == [(0, 0)]
    assert (await table.current(install)).pairs.both_good == 20
    assert table.shadow.at_work == 0


async def test_a_worse_one_is_found_before_all_were_seen() -> None:
    table = Table()
    table.shadow.pairs = [LOST] * 20
    found = await table.compared(await table.begun())
    assert found.standing is Comparison.WORSE
    assert found.facts["shadow_seen"] == 11


async def test_cut_off_it_goes_on_from_what_was_counted() -> None:
    table = Table()
    table.shadow.pairs = [WELL] * 15
    install = await table.begun()
    async with asyncio.TaskGroup() as group:
        act = group.create_task(table.compared(install))
        await table.seen(install, 15)
        act.cancel()
    assert table.shadow.at_work == 0
    table.shadow.pairs = [WELL] * 5
    assert (await table.compared(await table.current(install))).facts["shadow_seen"] == 20


def test_when_its_time_is_over_it_passes_with_a_note_though_nothing_came() -> None:
    async def story() -> None:
        install = await table.begun()
        async with asyncio.TaskGroup() as group:
            act = group.create_task(table.compared(install))
            while not act.done():
                for _ in range(20):
                    await asyncio.sleep(0)
                table.device.clock.pass_s(LOOK_S)
        note = act.result().note
        assert note is not None
        assert note.code == "shadow_short"
        assert table.device.clock.elapsed_s == pytest.approx(DEMAND.longest_s, abs=LOOK_S)

    table = Table()
    run_with(table.device.clock, story())


def test_beside_another_version_it_begins_anew() -> None:
    async def story() -> None:
        table.shadow.pairs = [WELL] * 19
        install = await table.begun()
        async with asyncio.TaskGroup() as group:
            act = group.create_task(table.compared(install))
            await table.seen(install, 19)
            table.serving = specialist(5)
            table.shadow.pairs = [WELL] * 20
            table.device.clock.pass_s(LOOK_S)
            found = await act
        assert found.facts["shadow_seen"] == 20
        assert (await table.current(install)).pairs.version == specialist(5).version

    table = Table()
    run_with(table.device.clock, story())


async def test_where_nothing_serves_or_both_do_not_fit_it_passes_and_says_so() -> None:
    table = Table()
    install = await table.begun()
    table.serving = None
    alone = (await table.compared(install)).note
    table.serving, table.shadow.refusal = specialist(1), Refusal(code="shadow_no_room", sentence="too large")
    crowded = (await table.compared(install)).note
    assert alone is not None
    assert crowded is not None
    assert [alone.code, crowded.code] == ["shadow_alone", "shadow_no_room"]
    assert table.shadow.begun == []


async def test_an_engine_that_does_not_run_and_a_full_disk_are_told() -> None:
    table = Table()
    install = await table.begun()
    table.shadow.failures = [EngineUnavailableError("it does not start")]
    with pytest.raises(EngineUnavailableError):
        await table.compared(install)
    table.shadow.pairs, table.device.memory.is_full = [WELL], True
    with pytest.raises(StateError):
        await table.compared(install)
    assert table.shadow.at_work == 0


async def test_what_was_given_up_counts_no_more() -> None:
    table = Table()
    install = await table.begun()
    await table.book.move(install, Event.NO_LONGER_WANTED, now_s=install.changed_at_s)
    assert await table.book.compare(install, "v", WELL) is None


async def test_a_release_that_asks_for_nothing_is_not_compared() -> None:
    table = Table()
    install = await table.book.begin(release(1), now_s=1, ends=None, reason="")
    assert install is not None
    with pytest.raises(ValueError, match="asks for no shadow"):
        await table.compared(install)


async def test_where_nobody_answers_again_that_is_said() -> None:
    nobody = NoShadow()
    found = nobody.obstacle(specialist(1), specialist(2))
    assert found is not None
    assert found.code == "shadow_missing"
    async with nobody.resting():
        pass
    with pytest.raises(AssertionError):
        nobody.beside(specialist(1), specialist(2))
