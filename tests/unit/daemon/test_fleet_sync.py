from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from tests.support.fleet_sync_stage import OWN, SyncStage, identity
from tests.support.manual_clock import run_with
from tests.support.memory_outbox import Disk, MemoryOutbox
from tests.support.stop_orders import signed_stop, stop_bytes
from typing_extensions import override

from homebred_daemon.adapters.fleet_wire import FleetWire
from homebred_daemon.core.commands import CommandResult, State
from homebred_daemon.core.fleet_messages import Facts, PartState, Said
from homebred_daemon.core.trust_refusals import Reason, Refusal
from homebred_daemon.errors import ControllerUnreachableError, RequestError, StateError
from homebred_daemon.ports.fleet_commands import Untold
from homebred_daemon.ports.outbox import NO_OUTBOX, CutBatch, NewEvent, OutboxDepth
from homebred_daemon.services.fleet.fleet_sync import FleetSync
from homebred_protocol import requests
from homebred_protocol.digests import digest_of
from homebred_protocol.schemas import CURRENT
from homebred_protocol.topics import STOP
from homebred_protocol.v1 import fleet_pb2 as wire

POLICY = b"escalation = false\n"
COMMAND = "c" * 32
PING = wire.Command(schema=CURRENT, id=COMMAND, op="ping").SerializeToString()


def desired(version: int, body: bytes = POLICY, device_id: str = "dev-1") -> bytes:
    policy = wire.Document(digest=digest_of(body), length=len(body))
    return wire.Desired(schema=CURRENT, device_id=device_id, version=version, policy=policy).SerializeToString()


def states(stage: SyncStage) -> list[tuple[bool, str]]:
    said = [wire.DeviceState.FromString(payload) for payload in stage.controller.of("state")]
    return [(each.online, each.reason) for each in said]


def reported(stage: SyncStage) -> wire.Reported:
    return wire.Reported.FromString(stage.controller.of("reported")[-1])


def has_reported(stage: SyncStage, state: PartState) -> bool:
    return bool(stage.controller.of("reported")) and [p.state for p in reported(stage).parts] == [state.value]


def has_problem(stage: SyncStage) -> bool:
    return bool(reported(stage).parts[0].problem_code)


def test_it_says_that_it_is_here_and_when_it_leaves() -> None:
    async def script() -> None:
        sync = stage.sync()
        async with sync.running():
            await stage.until(lambda: states(stage) == [(True, "birth")])
            assert sync.is_connected
        assert states(stage) == [(True, "birth"), (False, "stopping")]

    stage = SyncStage()
    run_with(stage.clock, script())


def test_telemetry_is_sent_until_the_controller_has_committed_it() -> None:
    async def script() -> None:
        sync = stage.sync()
        async with sync.running():
            await stage.until(lambda: sync.is_connected)
            stage.outbox.append([NewEvent(stream="route", body=b"")] * 3, cursor="3")
            sync.expect_events()
            await stage.pass_s(1.5)
            await stage.until(lambda: bool(stage.controller.of("tm/route")))
            batch = wire.TelemetryBatch.FromString(stage.controller.of("tm/route")[0])
            assert (batch.after_seq, batch.last_seq, batch.count) == (0, 3, 3)
            assert stage.outbox.depth().events == 3
            ack = wire.TelemetryAck(
                schema=CURRENT, boot_id=batch.boot_id, stream=wire.STREAM_ROUTE, up_to_seq=batch.last_seq
            )
            stage.controller.say(f"{OWN}/tm-ack", ack.SerializeToString())
            await stage.until(lambda: stage.outbox.depth().events == 0)
            assert (await sync.state()).waiting_events == 0

    stage = SyncStage()
    run_with(stage.clock, script())


def test_what_was_acknowledged_of_a_hundred_starts_is_told_at_the_first_connection() -> None:
    async def script() -> None:
        async with stage.sync().running():
            await stage.until(lambda: len(told()) == 100)
        assert told() == {(f"{number:032x}", 1) for number in range(1, 101)}

    def told() -> set[tuple[str, int]]:
        floors = map(wire.TelemetryFloor.FromString, stage.controller.of("rq/telemetry-floor"))
        return {(floor.boot_id, floor.acknowledged_seq) for floor in floors}

    disk = Disk()
    for number in range(1, 101):
        outbox = MemoryOutbox(disk=disk, boot_id=f"{number:032x}")
        outbox.append([NewEvent(stream="route", body=b"")], cursor="")
        outbox.cut(max_events=1, max_bytes=1000)
        outbox.acknowledge(outbox.boot_id, "route", 1)
    stage = SyncStage(outbox=MemoryOutbox(disk=disk, boot_id="f" * 32))
    run_with(stage.clock, script())


class UnreadableOutbox(MemoryOutbox):
    """Its file is damaged."""

    @override
    def depth(self) -> OutboxDepth:
        raise StateError("the outbox is damaged")


def test_how_full_the_outbox_is_can_be_asked_and_one_that_cannot_be_read_counts_as_empty() -> None:
    async def script() -> None:
        stage.outbox.append([NewEvent(stream="route", body=b"")], cursor="1")
        assert (await stage.sync().outbox_depth()).events == 1
        stage.outbox = UnreadableOutbox()
        assert await stage.sync().outbox_depth() == NO_OUTBOX

    stage = SyncStage()
    run_with(stage.clock, script())


def test_a_desired_policy_is_kept_obtained_applied_reported_and_noted() -> None:
    async def script() -> None:
        stage.controller.say(f"{OWN}/desired", desired(3), retain=True)
        async with stage.sync().running():
            await stage.until(lambda: has_reported(stage, PartState.APPLIED))
            assert stage.documents.done == [("obtain policy", digest_of(POLICY)), ("policy", digest_of(POLICY))]
            assert stage.memory.kept.highest_version == 3
            assert stage.memory.kept.applied == {"policy": digest_of(POLICY)}
            await stage.until(lambda: stage.documents.kept == [{digest_of(POLICY)}])
            assert ("desired", digest_of(POLICY), "applied", 3) in stage.receipts.noted
            assert (reported(stage).desired_version, reported(stage).highest_version) == (3, 3)

    stage = SyncStage()
    run_with(stage.clock, script())


def test_a_policy_that_is_not_valid_here_is_refused_and_reported_with_its_complaint() -> None:
    async def script() -> None:
        stage.controller.say(f"{OWN}/desired", desired(3), retain=True)
        stage.documents.failures = [RequestError("line 1 is wrong", hint="correct it")]
        stage.documents.failures.insert(0, ControllerUnreachableError())
        async with stage.sync().running():
            await stage.until(lambda: has_reported(stage, PartState.FETCHING) and has_problem(stage))
            assert stage.documents.kept == []  # what came so far is gone on with
            await stage.pass_s(61)
            await stage.until(lambda: has_reported(stage, PartState.REFUSED))
            await stage.until(lambda: stage.documents.kept == [{digest_of(POLICY)}])
            [part] = reported(stage).parts
            assert (part.problem_code, part.problem) == ("bad_request", "line 1 is wrong; correct it")

    stage = SyncStage()
    run_with(stage.clock, script())


def test_a_fault_of_our_own_while_a_document_is_taken_up_is_reported_and_it_is_tried_again() -> None:
    async def script() -> None:
        stage.controller.say(f"{OWN}/desired", desired(3), retain=True)
        stage.documents.failures = [ZeroDivisionError()]
        async with stage.sync().running():
            await stage.until(lambda: has_reported(stage, PartState.FETCHING) and has_problem(stage))
            assert [type(each) for each in stage.defects] == [ZeroDivisionError]
            await stage.pass_s(61)
            await stage.until(lambda: has_reported(stage, PartState.APPLIED))

    stage = SyncStage()
    run_with(stage.clock, script())


@pytest.mark.parametrize(
    ("reason", "state"),
    [
        (Reason.UNREACHABLE, PartState.FETCHING),
        (Reason.NOT_DIRECTED, PartState.FETCHING),
        (Reason.OTHER_SITE, PartState.REFUSED),
        (Reason.NUMBER_FELL, PartState.REFUSED),
    ],
)
def test_what_may_not_be_trusted_is_reported_with_its_reason_and_tried_again_where_that_may_pass(
    reason: Reason, state: PartState
) -> None:
    async def script() -> None:
        stage.controller.say(f"{OWN}/desired", desired(3), retain=True)
        stage.documents.failures = [Refusal(reason=reason, about="policies/a/b/1.toml").error()]
        async with stage.sync().running():
            await stage.until(lambda: has_reported(stage, state) and has_problem(stage))
            assert reported(stage).parts[0].problem_code == reason
            await stage.pass_s(61)
            await stage.until(lambda: has_reported(stage, state if state is PartState.REFUSED else PartState.APPLIED))

    stage = SyncStage()
    run_with(stage.clock, script())


def test_a_full_disk_keeps_the_floor_where_it_is_until_there_is_room() -> None:
    async def script() -> None:
        stage.memory.is_full = True
        stage.controller.say(f"{OWN}/desired", desired(3), retain=True)
        async with stage.sync().running():
            await stage.until(lambda: "fleet_held_up" in stage.journal.names)
            assert reported(stage).highest_version == 0
            stage.memory.is_full = False
            await stage.pass_s(61)
            await stage.until(lambda: has_reported(stage, PartState.APPLIED))

    stage = SyncStage()
    run_with(stage.clock, script())


def test_under_a_stop_order_nothing_is_taken_up_and_after_it_is_lifted_all_is() -> None:
    async def script() -> None:
        stage.controller.say(STOP, stop_bytes(signed_stop(1, stopped=True)), retain=True)
        async with stage.sync().running():
            await stage.until(lambda: stage.memory.stop.stopped)
            stage.controller.say(f"{OWN}/desired", desired(3), retain=True)
            await stage.until(lambda: has_reported(stage, PartState.STOPPED))
            assert stage.documents.done == []
            stage.controller.say(STOP, stop_bytes(signed_stop(2, stopped=False)), retain=True)
            await stage.until(lambda: has_reported(stage, PartState.APPLIED))
            assert stage.documents.epochs == [2]

    stage = SyncStage()
    run_with(stage.clock, script())


def test_a_stop_that_the_director_has_not_signed_stops_nothing_has_the_device_look_and_is_told() -> None:
    async def script() -> None:
        looks: list[int] = []
        sync = stage.sync()
        sync.when_changed(lambda: looks.append(1))
        async with sync.running():
            await stage.until(lambda: sync.is_connected)
            await stage.pass_s(1)
            before = len(looks)
            stage.controller.say(STOP, stop_bytes(signed_stop(7, stopped=True, key="thief")), retain=True)
            await stage.until(lambda: len(looks) == before + 1)
            await stage.pass_s(8)
            await stage.until(lambda: "stop_unproven" in stage.journal.names)
            assert stage.receipts.noted == [("stop", "", "refused", 7)]
            assert not sync.stopping.stopped
            stage.controller.say(f"{OWN}/desired", desired(3), retain=True)
            await stage.until(lambda: has_reported(stage, PartState.APPLIED))

    stage = SyncStage()
    run_with(stage.clock, script())


def test_a_command_is_taken_and_its_result_told_once_the_broker_has_it() -> None:
    async def script() -> None:
        async with stage.sync().running():
            await stage.until(lambda: states(stage) != [])
            stage.controller.say(f"{OWN}/cmd/ping", PING)
            await stage.until(lambda: [each.id for each in stage.commands.taken] == [COMMAND])
            result = CommandResult(id=COMMAND, op="ping", state=State.DONE, at_s=1)
            stage.commands.waiting.append(Untold(result=result, revision=2))
            stage.commands.hear()
            await stage.until(lambda: stage.commands.was_told == [(COMMAND, 2)])
            assert wire.CommandResult.FromString(stage.controller.of("cmd-rs")[0]).state == "done"

    stage = SyncStage()
    run_with(stage.clock, script())


def test_a_command_that_could_not_be_kept_comes_again_with_the_next_connection() -> None:
    async def script() -> None:
        stage.commands.is_full = True
        async with stage.sync().running():
            await stage.until(lambda: states(stage) != [])
            stage.controller.say(f"{OWN}/cmd/ping", PING)
            await stage.until(lambda: "fleet_held_up" in stage.journal.names)
            stage.commands.is_full = False
            stage.broker.cut("dev-1")
            await stage.until(lambda: "fleet_lost" in stage.journal.names)
            await stage.pass_s(5)
            await stage.until(lambda: [each.id for each in stage.commands.taken] == [COMMAND])

    stage = SyncStage()
    run_with(stage.clock, script())


def test_a_lost_broker_is_connected_to_again() -> None:
    async def script() -> None:
        sync = stage.sync()
        async with sync.running():
            await stage.until(lambda: sync.is_connected)
            stage.broker.restart(remembers=False)
            await stage.until(lambda: not sync.is_connected)
            assert sync.problem == "lost"
            await stage.pass_s(3)
            await stage.until(lambda: sync.is_connected)

    stage = SyncStage()
    run_with(stage.clock, script())


def test_no_file_left_to_open_is_an_unreachable_broker() -> None:
    async def script() -> None:
        stage.has_no_files = True
        sync = stage.sync()
        async with sync.running():
            await stage.until(lambda: sync.problem == "unreachable")
            stage.has_no_files = False
            await stage.pass_s(5)
            await stage.until(lambda: sync.is_connected)

    stage = SyncStage()
    run_with(stage.clock, script())


def test_a_renewed_certificate_is_used_at_once() -> None:
    async def script() -> None:
        sync = stage.sync()
        async with sync.running():
            await stage.until(lambda: sync.is_connected)
            stage.identity = identity("2")
            sync.renewed(stage.identity)
            await stage.until(lambda: [each.generation for each in stage.dialled] == ["1", "2"])
            await stage.until(lambda: len(states(stage)) == 2)
            assert states(stage) == [(True, "birth"), (True, "birth")]

    stage = SyncStage()
    run_with(stage.clock, script())


def test_changed_facts_are_reported_within_a_minute() -> None:
    async def script() -> None:
        async with stage.sync().running():
            await stage.until(lambda: bool(stage.controller.of("reported")))
            stage.facts = Facts(software_version="2")
            await stage.pass_s(61)
            await stage.until(lambda: reported(stage).software_version == "2")

    stage = SyncStage()
    run_with(stage.clock, script())


def test_a_message_that_says_nothing_is_noted_and_changes_nothing() -> None:
    async def script() -> None:
        async with stage.sync().running():
            await stage.until(lambda: states(stage) != [])
            stage.controller.say(f"{OWN}/desired", b"\xff\xff\xff")
            await stage.until(lambda: "fleet_ignored" in stage.journal.names)
            assert stage.documents.done == []

    stage = SyncStage()
    run_with(stage.clock, script())


@pytest.mark.parametrize("seconds", [61])
def test_a_fault_of_our_own_is_reported_and_the_link_begins_anew_with_a_newer_connection(seconds: float) -> None:
    class Broken(MemoryOutbox):
        breaks = True

        @override
        def cut_batches(self) -> Sequence[CutBatch]:
            if self.breaks:
                raise ZeroDivisionError
            return []

    async def script() -> None:
        sync = stage.sync()
        async with sync.running():
            await stage.until(lambda: bool(stage.defects))
            Broken.breaks = False
            await stage.pass_s(seconds)
            await stage.until(lambda: sync.is_connected)
            said = [wire.DeviceState.FromString(each) for each in stage.controller.of("state")]
            assert said[-1].connection >= 1

    stage = SyncStage(outbox=Broken())
    run_with(stage.clock, script())


def test_what_is_asked_over_the_link_is_answered_and_beside_it_telemetry_goes_on() -> None:
    async def script() -> None:
        sync = stage.sync()
        async with asyncio.TaskGroup() as group, sync.running():
            await stage.until(lambda: sync.is_connected)
            asked = group.create_task(sync.requests.request("trust", b"which"))
            stage.outbox.append([NewEvent(stream="route", body=b"")], cursor="1")
            sync.expect_events()
            await stage.pass_s(1.5)
            await stage.until(lambda: bool(stage.controller.of("tm/route")) and bool(stage.controller.of("rq/trust")))
            [payload] = stage.controller.of("rq/trust")
            request = requests.read_request(payload)
            stage.controller.say(f"{OWN}/rs", answered(b"?" * 16, b"another"))
            stage.controller.say(f"{OWN}/rs", answered(request.correlation, b"a page"))
            assert (await asked, request.body) == (b"a page", b"which")

    stage = SyncStage()
    run_with(stage.clock, script())


async def failing(sync: FleetSync, reason: str) -> None:
    with pytest.raises(ControllerUnreachableError, match=reason):
        await sync.requests.request("trust", b"")


def answered(correlation: bytes, body: bytes) -> bytes:
    return requests.answer_bytes(requests.Answer(correlation, requests.Outcome.GIVEN, body))


def test_what_is_asked_without_a_link_or_over_one_that_ends_fails_at_once() -> None:
    async def script() -> None:
        sync = stage.sync()
        async with asyncio.TaskGroup() as group, sync.running():
            group.create_task(failing(sync, "there is no link"))
            await stage.until(lambda: sync.is_connected)
            group.create_task(failing(sync, "was lost"))
            await stage.until(lambda: bool(stage.controller.of("rq/trust")))
            stage.broker.cut("dev-1")
            await stage.until(lambda: not sync.is_connected)
            await stage.pass_s(2)
            await stage.until(lambda: sync.is_connected)
            group.create_task(failing(sync, r"no link|was lost"))
            await stage.until(lambda: len(stage.controller.of("rq/trust")) == 2)

    stage = SyncStage()
    run_with(stage.clock, script())


def test_a_fault_of_our_own_leaves_nobody_waiting_for_an_answer() -> None:
    class Broken(FleetWire):
        breaks = True

        @override
        def read(self, topic: str, payload: bytes) -> Said:
            if self.breaks:
                raise ZeroDivisionError
            return super().read(topic, payload)

    async def script() -> None:
        sync = stage.sync(words=Broken("dev-1"))
        async with sync.running():
            await stage.until(lambda: sync.is_connected)
            async with asyncio.TaskGroup() as group:
                group.create_task(failing(sync, "no link"))
                await stage.until(lambda: bool(stage.controller.of("rq/trust")))
                stage.controller.say(f"{OWN}/rs", b"")
            assert len(stage.defects) == 1
            Broken.breaks = False
            await stage.pass_s(61)
            await stage.until(lambda: sync.is_connected)

    stage = SyncStage()
    run_with(stage.clock, script())
