"""Commands carried out once, over restarts and full disks; bundles that leave only once a person has let them go."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.support.manual_clock import ManualClock, run_with, settled
from tests.support.memory_commands import MemoryCommandStore
from tests.support.recorded_journal import RecordedJournal

from homebred_daemon.core.commands import WAITING_LIMIT_S, ClockSpan, Command, CommandResult, State
from homebred_daemon.errors import NotFoundError, RequestError, StateError
from homebred_daemon.services.fleet.fleet_commands import LOOK_AGAIN_S, MAX_BUNDLE_BYTES, CommandDesk, Tools
from homebred_protocol.compression import decompressed

NOW_S = int(ManualClock().now().timestamp())
SPAN = ClockSpan(begins_s=NOW_S - 86_400, ends_s=NOW_S + 80 * 86_400)
BY = "uid:1001"


class Levels:
    """Fulfils `inbound.caretaking.LogLevels`."""

    level = "info"

    def set_level(self, level: str) -> str:
        if level == "error":
            raise RequestError("not now")
        previous, self.level = self.level, level
        return previous


class Bundles:
    """Fulfils `ports.fleet_commands.Diagnostics`."""

    def __init__(self) -> None:
        self.made = 0
        self.document = b'{"figures": 1}'

    async def collect(self, *, command_id: str) -> bytes:
        self.made += 1
        return self.document


class Device:
    """A desk with all that it acts on; it may be restarted."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = MemoryCommandStore()
        self.journal = RecordedJournal()
        self.levels = Levels()
        self.bundles = Bundles()
        self.drained: list[bool] = []
        self.heard = 0
        self.receipts: list[tuple[str, str, str, str]] = []

    def receipt(
        self, kind: str, subject: str, result: str, problem_code: str, *, version: int = 0, signed: bytes = b""
    ) -> bool:
        self.receipts.append((kind, subject, result, problem_code))
        return True

    def desk(self) -> CommandDesk:
        tools = Tools(drain=self._drain, levels=self.levels, diagnostics=self.bundles, version="0.1.0")
        desk = CommandDesk(self.store, tools, self.clock, self.journal, span=lambda: SPAN, receipts=self)
        desk.when_news(self._hear)
        return desk

    @asynccontextmanager
    async def running(self) -> AsyncIterator[CommandDesk]:
        desk = self.desk()
        async with desk.running():
            await settled()
            yield desk

    def _hear(self) -> None:
        self.heard += 1

    def _drain(self, resume: bool) -> int:  # noqa: FBT001
        self.drained.append(resume)
        return 3


def run(story: Callable[[Device], Coroutine[Any, Any, None]]) -> None:
    device = Device()
    run_with(device.clock, story(device))


def command(number: int, op: str = "ping", *, deadline_s: int = NOW_S + 600, **parameters: str) -> Command:
    return Command(id=f"{number:032x}", op=op, deadline_s=deadline_s, issued_by="anna", parameters=parameters)


async def sent(desk: CommandDesk, what: Command) -> CommandResult:
    """The newest result, as the controller would be told it."""
    await desk.take(what, span=SPAN)
    await settled()
    return next(one.result for one in await desk.untold() if one.result.id == what.id)


def test_a_ping_is_answered() -> None:
    async def story(device: Device) -> None:
        async with device.running() as desk:
            result = await sent(desk, command(1))
            assert (result.state, result.answer) == (State.DONE, {"version": "0.1.0"})
            assert device.receipts == [("command", result.id, "done", "")]
            assert device.heard == 2
            assert device.journal.names == ["command_kept", "command_ended"]

    run(story)


def test_the_log_level_is_set_and_the_one_before_told() -> None:
    async def story(device: Device) -> None:
        async with device.running() as desk:
            result = await sent(desk, command(1, "log-level", level="debug"))
            assert (result.state, result.answer, device.levels.level) == (State.DONE, {"previous": "info"}, "debug")

    run(story)


def test_draining_and_resuming_tell_whether_somebody_is_answered_and_not_how_many() -> None:
    async def story(device: Device) -> None:
        async with device.running() as desk:
            for number, op in enumerate(("drain", "resume")):
                result = await sent(desk, command(number, op))
                assert (result.state, result.answer) == (State.DONE, {"answering": "true"})
        assert device.drained == [False, True]

    run(story)


def test_what_fails_is_told_by_its_code_and_not_in_its_own_words() -> None:
    async def story(device: Device) -> None:
        async with device.running() as desk:
            result = await sent(desk, command(1, "log-level", level="error"))
            assert (result.state, result.problem_code) == (State.FAILED, "bad_request")
            assert "not now" not in result.problem

    run(story)


def test_the_same_command_is_carried_out_once_and_its_result_told_each_time() -> None:
    async def story(device: Device) -> None:
        async with device.running() as desk:
            first = await sent(desk, command(1, "drain"))
            for one in await desk.untold():
                await desk.told(one.result.id, one.revision)
            assert await desk.untold() == []
            assert await sent(desk, command(1, "drain")) == first
        async with device.running() as desk:
            assert await sent(desk, command(1, "drain")) == first
        assert device.drained == [False]

    run(story)


def test_commands_that_come_at_once_are_each_carried_out_once() -> None:
    async def story(device: Device) -> None:
        async with device.running() as desk:
            every = [command(number % 5, "drain") for number in range(40)]
            await asyncio.gather(*(desk.take(one, span=SPAN) for one in every))
            for _ in range(5):
                await settled()
            assert {one.result.state for one in await desk.untold()} == {State.DONE}
        assert device.drained == [False] * 5

    run(story)


def test_a_command_that_a_restart_interrupted_is_gone_on_with_while_it_is_in_time() -> None:
    async def story(device: Device) -> None:
        desk = device.desk()
        for number, deadline_s in ((1, NOW_S + 600), (2, NOW_S + 60)):
            await desk.take(command(number, "drain", deadline_s=deadline_s), span=SPAN)  # nobody carries it out
        device.clock.pass_s(120)
        async with device.running() as desk:
            states = {int(one.result.id, 16): one.result.state for one in await desk.untold()}
        assert states == {1: State.DONE, 2: State.EXPIRED}
        assert device.drained == [False]

    run(story)


def test_a_known_command_is_answered_after_its_deadline_and_after_the_clock_was_set_too() -> None:
    async def story(device: Device) -> None:
        async with device.running() as desk:
            first = await sent(desk, command(1, "drain"))
            for one in await desk.untold():
                await desk.told(one.result.id, one.revision)
            device.clock.pass_s(86_400)
            assert await sent(desk, command(1, "drain")) == first
            for one in await desk.untold():
                await desk.told(one.result.id, one.revision)
            nowhere = ClockSpan(begins_s=0, ends_s=1)
            await desk.take(command(1, "drain"), span=nowhere)
            assert [one.result for one in await desk.untold()] == [first]
        assert device.drained == [False]

    run(story)


def test_a_command_that_cannot_be_kept_is_not_taken_so_that_it_comes_again() -> None:
    async def story(device: Device) -> None:
        async with device.running() as desk:
            device.store.is_full = True
            with pytest.raises(StateError):
                await desk.take(command(1), span=SPAN)
            device.store.is_full = False
            assert (await sent(desk, command(1))).state is State.DONE

    run(story)


def test_a_result_that_cannot_be_kept_is_made_again_once_there_is_room() -> None:
    async def story(device: Device) -> None:
        async with device.running() as desk:
            await desk.take(command(1, "diagnostics"), span=SPAN)
            device.store.is_full = True
            await settled()
            assert "command_dropped" in device.journal.names
            device.store.is_full = False
            device.clock.pass_s(100)
            assert [one.result.state for one in await desk.untold()] == [State.ACCEPTED]
        async with device.running() as desk:
            assert [one.result.state for one in await desk.untold()] == [State.WAITING]

    run(story)


def test_a_command_without_an_id_is_dropped_and_noted() -> None:
    async def story(device: Device) -> None:
        async with device.running() as desk:
            await desk.take(Command(id="?", op="ping", deadline_s=NOW_S), span=SPAN)
            assert await desk.untold() == []
        assert device.journal.names == ["command_dropped"]

    run(story)


def test_at_the_bound_a_command_is_dropped_and_noted() -> None:
    async def story(device: Device) -> None:
        device.store = MemoryCommandStore(max_kept=1)
        async with device.running() as desk:
            await sent(desk, command(1))
            await desk.take(command(2), span=SPAN)
        assert device.journal.names[-1] == "command_dropped"

    run(story)


def test_a_bundle_waits_until_a_person_lets_it_go_and_what_leaves_is_what_was_shown() -> None:
    async def story(device: Device) -> None:
        device.bundles.document = json.dumps({"rows": ["x" * 50] * 100}).encode()
        async with device.running() as desk:
            result = await sent(desk, command(1, "diagnostics"))
            assert (result.state, result.attachment) == (State.WAITING, b"")
            (bundle,) = await desk.bundles()
            assert (bundle.command_id, bundle.issued_by, bundle.made_at_s) == (result.id, "anna", NOW_S)
            shown = await desk.show(result.id)
            assert shown.document == device.bundles.document
            await desk.decide(result.id, lets_go=True, principal=BY)
            (told,) = await desk.untold()
            assert told.result.state is State.DONE
            assert decompressed(told.result.attachment, max_bytes=1_000_000) == shown.document
            assert len(told.result.attachment) == bundle.size_bytes
            assert await desk.bundles() == []
        assert device.journal.names[-2:] == ["bundle_decided", "command_ended"]

    run(story)


def test_a_bundle_that_is_refused_never_leaves_and_is_gone() -> None:
    async def story(device: Device) -> None:
        async with device.running() as desk:
            result = await sent(desk, command(1, "diagnostics"))
            await desk.decide(result.id, lets_go=False, principal=BY)
            (told,) = await desk.untold()
            assert (told.result.state, told.result.problem_code) == (State.REFUSED, "declined")
            found = device.store.find(result.id)
            assert found is not None
            assert found.attachment == b""

    run(story)


def test_of_two_people_who_decide_at_once_one_is_heard() -> None:
    async def story(device: Device) -> None:
        async with device.running() as desk:
            result = await sent(desk, command(1, "diagnostics"))
            decisions = (desk.decide(result.id, lets_go=lets_go, principal=BY) for lets_go in (True, False))
            outcomes = await asyncio.gather(*decisions, return_exceptions=True)
            assert sorted(type(one).__name__ for one in outcomes) == ["Bundle", "NotFoundError"]

    run(story)


def test_nobody_can_decide_about_what_is_no_bundle() -> None:
    async def story(device: Device) -> None:
        async with device.running() as desk:
            await sent(desk, command(1))
            for command_id in (command(1).id, command(2).id):
                with pytest.raises(NotFoundError):
                    await desk.decide(command_id, lets_go=True, principal=BY)
                with pytest.raises(NotFoundError):
                    await desk.show(command_id)

    run(story)


def test_a_bundle_outlives_a_restart_and_is_not_made_anew() -> None:
    async def story(device: Device) -> None:
        async with device.running() as desk:
            await sent(desk, command(1, "diagnostics"))
        async with device.running() as desk:
            assert len(await desk.bundles()) == 1
        assert device.bundles.made == 1

    run(story)


def test_a_bundle_that_nobody_looks_at_for_a_week_is_wanted_no_more() -> None:
    async def story(device: Device) -> None:
        async with device.running() as desk:
            await sent(desk, command(1, "diagnostics"))
            device.clock.pass_s(WAITING_LIMIT_S - 100)
            await settled()
            assert len(await desk.bundles()) == 1
            device.clock.pass_s(LOOK_AGAIN_S + 200)
            await settled()
            (told,) = await desk.untold()
            assert (told.result.state, told.result.problem_code) == (State.EXPIRED, "nobody_looked")

    run(story)


def test_a_bundle_that_is_too_large_fails() -> None:
    async def story(device: Device) -> None:
        import os  # noqa: PLC0415

        device.bundles.document = os.urandom(MAX_BUNDLE_BYTES + 1000)
        async with device.running() as desk:
            result = await sent(desk, command(1, "diagnostics"))
            assert (result.state, result.problem_code) == (State.FAILED, "bad_state")

    run(story)
