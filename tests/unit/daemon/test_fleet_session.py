"""The session read as scripts: what happens (`>>`) and what is then wanted."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import pytest
from tests.support.stop_orders import KnownKeys, signed_stop

from homebred_daemon.core import floor_telling
from homebred_daemon.core.commands import Command, CommandResult, State
from homebred_daemon.core.desired_state import Apply, DesiredState, KeepDesired, KeepPart, KeptDesired, Obtain, Outcome
from homebred_daemon.core.fleet_messages import (
    Answered,
    Desired,
    Document,
    Facts,
    FloorReport,
    NoStopOrder,
    PartState,
    Presence,
    Reported,
    Request,
    Said,
    StopOrder,
    TelemetryAck,
    Unreadable,
)
from homebred_daemon.core.fleet_session import (
    AGAIN_AFTER_S,
    GOODBYE_WITHIN_S,
    KEEPALIVE_S,
    FleetSession,
    Phase,
)
from homebred_daemon.core.fleet_steps import (
    Acknowledge,
    CheckStop,
    CommandTold,
    Connect,
    Disconnect,
    Event,
    EventsWait,
    FactsAre,
    FloorFound,
    FloorsRead,
    Heard,
    KeepStop,
    Kept,
    Leave,
    Left,
    NewCredentials,
    Note,
    Now,
    OutboxFailed,
    OutboxRead,
    Publish,
    ReadFloors,
    ReadOutbox,
    ReadResults,
    ResultsWait,
    StopChecked,
    Subscribe,
    TakeCommand,
    TimePassed,
    Want,
    WasCut,
)
from homebred_daemon.core.requesting import ANSWER_WITHIN_S, Abandon, Ask, Failure, Settle
from homebred_daemon.core.stopping import Checked, Proof, Stopping
from homebred_daemon.core.telemetry_window import CutNext, Forget, Send, TellFloor
from homebred_daemon.ports.outbox import CutBatch
from homebred_protocol import requests
from homebred_protocol.mqtt import Connected, Delivered, Ended

BOOT = "ab" * 16
W = TypeVar("W")
BATCH = CutBatch(boot_id=BOOT, stream="route", after_seq=0, last_seq=5, count=5, payload=b"")
DOCUMENT = Document(digest="sha256:" + "a" * 64, length=3)


class Script:
    """One session, and a clock that a test moves."""

    def __init__(self, *, stopping: Stopping | None = None, kept: KeptDesired | None = None) -> None:
        self.at_s = 0.0
        self.unix_s = 1_790_000_000
        self.session = FleetSession(
            boot_id=BOOT,
            boot_number=3,
            desired=DesiredState("dev-1", kept or KeptDesired()),
            stopping=stopping or Stopping(),
            facts=Facts(software_version="1"),
            chance=lambda: 0.5,
        )

    def __rshift__(self, event: Event) -> list[Want]:
        return self.session.handle(event, Now(self.at_s, self.unix_s))

    def after(self, seconds: float) -> list[Want]:
        self.at_s += seconds
        return self >> TimePassed()

    def connected(self) -> list[Want]:
        """Starts and connects, with an outbox that has nothing."""
        self >> TimePassed()
        self >> OutboxRead(())
        wants = self >> Connected(session_present=False)
        self >> WasCut(None)
        return wants


def the(kind: type[W], wants: list[Want]) -> W:
    [found] = [want for want in wants if isinstance(want, kind)]
    return found


def told(wants: list[Want]) -> list[object]:
    return [want.told for want in wants if isinstance(want, Publish)]


def token_of(kind: type, wants: list[Want]) -> int:
    [token] = [want.token for want in wants if isinstance(want, Publish) and isinstance(want.told, kind)]
    return token


def test_it_begins_by_reading_the_outbox_and_connecting_with_a_will() -> None:
    script = Script()
    wants = script >> TimePassed()
    connect = the(Connect, wants)
    assert isinstance(wants[0], ReadOutbox)
    assert (connect.will.online, connect.will.reason, connect.will.connection) == (False, "lost", 1)
    assert (connect.will.boot_id, connect.will.boot_number) == (BOOT, 3)
    assert KEEPALIVE_S[0] <= connect.keepalive_s <= KEEPALIVE_S[1]


def test_once_connected_it_subscribes_says_its_birth_then_all_else() -> None:
    script = Script()
    wants = script.connected()
    birth, reported = told(wants)
    assert isinstance(wants[0], Subscribe)
    assert isinstance(birth, Presence)
    assert (birth.online, birth.reason, birth.connection) == (True, "birth", 1)
    assert isinstance(reported, Reported)
    assert (reported.revision, reported.facts.software_version) == (1, "1")
    the(ReadResults, wants)
    the(ReadFloors, wants)
    the(CutNext, wants)


def test_a_lost_connection_is_tried_again_after_a_while_with_the_next_number() -> None:
    script = Script()
    script.connected()
    script >> Ended("lost")
    due_s = script.session.due_s()
    assert due_s is not None
    assert 0 < due_s <= 2
    assert not [want for want in script.after(due_s / 2) if isinstance(want, Connect)]
    assert the(Connect, script.after(due_s / 2)).will.connection == 2


def test_each_connection_says_everything_again_for_the_broker_may_have_lost_it() -> None:
    script = Script()
    script.connected()
    script >> Ended("lost")
    script.after(120)
    birth, reported = told(script >> Connected(session_present=True))
    assert isinstance(birth, Presence)
    assert isinstance(reported, Reported)
    assert (birth.connection, reported.revision) == (2, 2)


def test_batches_are_sent_and_forgotten_when_the_controller_says_so() -> None:
    script = Script()
    script.connected()
    script >> EventsWait()
    the(CutNext, script.after(1.0))
    send = script >> WasCut(BATCH)
    assert Send(BATCH) in told(send)
    script >> Delivered(token_of(Send, send), ok=True)
    wants = script >> Heard(TelemetryAck(boot_id=BOOT, stream="route", up_to_seq=5), 9)
    assert the(Forget, wants).up_to_seq == 5
    assert the(Acknowledge, wants) == Acknowledge(9)


def test_batches_that_an_earlier_start_left_are_sent_first() -> None:
    script = Script()
    script >> TimePassed()
    script >> OutboxRead((BATCH,))
    assert Send(BATCH) in told(script >> Connected(session_present=False))


def test_a_broker_that_turns_a_batch_away_has_it_again_later() -> None:
    script = Script()
    script >> TimePassed()
    script >> OutboxRead((BATCH,))
    wants = script >> Connected(session_present=False)
    script >> Delivered(token_of(Send, wants), ok=False)
    assert told(script.after(5)) == []
    assert told(script.after(20)) == [Send(BATCH)]


def test_an_outbox_in_trouble_is_read_again_later() -> None:
    script = Script()
    script.connected()
    script >> OutboxFailed()
    the(ReadOutbox, script.after(AGAIN_AFTER_S))


def test_floors_are_told_at_the_first_connection_and_now_and_then() -> None:
    script = Script()
    script.connected()
    found = FloorFound(BOOT, 3, "route", 5, 5)
    assert told(script >> found) == [
        FloorReport(boot_id=BOOT, boot_number=3, stream="route", acknowledged_seq=5, acknowledged_events=5)
    ]
    page = (found, FloorFound(BOOT, 3, "health", 6, 6))
    reports = [want for want in script >> FloorsRead(page) if isinstance(want, Publish)]
    script >> Delivered(reports[0].token, ok=True)
    assert the(ReadFloors, script >> Delivered(reports[1].token, ok=True)) == ReadFloors(2)
    script >> FloorsRead(())
    script >> Ended("lost")
    assert told(script >> found) == []
    assert told(script >> FloorsRead(page)) == []
    script.after(200)
    assert not [w for w in script >> Connected(session_present=True) if isinstance(w, ReadFloors)]
    assert the(ReadFloors, script.after(floor_telling.EVERY_S)) == ReadFloors(0)


def test_an_answer_below_what_was_acknowledged_has_all_floors_told() -> None:
    script = Script()
    script.connected()
    script >> FloorsRead(())
    batch = CutBatch(boot_id=BOOT, stream="route", after_seq=5, last_seq=6, payload=b"", count=1)
    script >> OutboxRead((batch,))
    script.after(floor_telling.ALL_EVERY_S)
    wants = script >> Heard(TelemetryAck(boot_id=BOOT, stream="route", up_to_seq=2), 1)
    the(TellFloor, wants)
    assert the(ReadFloors, wants) == ReadFloors(0)


def test_a_floor_that_told_the_controller_something_has_all_the_others_told() -> None:
    script = Script()
    script.connected()
    script >> FloorsRead(())
    script.after(floor_telling.EVERY_S)
    (report,) = (
        want for want in script >> FloorsRead((FloorFound(BOOT, 3, "route", 5, 5),)) if isinstance(want, Publish)
    )
    script >> Delivered(report.token, ok=True)
    answer = TelemetryAck(boot_id=BOOT, stream="route", up_to_seq=5)
    assert not [want for want in script >> Heard(answer, 1) if isinstance(want, ReadFloors)]
    assert the(ReadFloors, script >> Heard(replace(answer, was_behind=True), 2)) == ReadFloors(0)


def test_a_desired_state_goes_to_the_disk_before_anything_of_it_happens_and_its_end_is_reported() -> None:
    script = Script()
    script.connected()
    desired = Desired(device_id="dev-1", version=4, policy=DOCUMENT)
    keep = the(KeepDesired, script >> Heard(desired, 1))
    wants = script >> Kept(keep, ok=True)
    assert the(Obtain, wants).document == DOCUMENT
    [reported] = told(wants)
    assert isinstance(reported, Reported)
    assert (reported.desired_version, reported.highest_version) == (4, 4)
    assert [part.state for part in reported.parts] == [PartState.FETCHING]
    the(Apply, script >> Outcome(name="policy", digest=DOCUMENT.digest))
    wants = script >> Outcome(name="policy", digest=DOCUMENT.digest)
    assert the(KeepPart, wants).applied == DOCUMENT.digest
    [reported] = told(wants)
    assert isinstance(reported, Reported)
    assert [part.state for part in reported.parts] == [PartState.APPLIED]


def test_a_stale_desired_state_is_acknowledged_and_noted_and_nothing_else() -> None:
    script = Script(kept=KeptDesired(highest_version=9))
    script.connected()
    wants = script >> Heard(Desired(device_id="dev-1", version=4, policy=DOCUMENT), 1)
    assert wants == [Note("ignored", (("kind", "desired"), ("cause", "stale"), ("version", 4))), Acknowledge(1)]


def test_a_signed_stop_holds_at_once_and_is_acknowledged_when_it_is_on_the_disk() -> None:
    script = Script()
    script.connected()
    order = signed_stop(2, stopped=True)
    assert script >> Heard(order, 5) == [CheckStop(order, 5)]
    wants = script >> proven(order, 5)
    keep = the(KeepStop, wants)
    [reported] = told(wants)
    assert isinstance(reported, Reported)
    assert (reported.stopped, reported.stop_epoch, reported.stop_order) == (True, 2, order)
    assert not [want for want in wants if isinstance(want, Acknowledge)]
    assert Acknowledge(5) in script >> Kept(keep, ok=True)
    desired = script >> Heard(Desired(device_id="dev-1", version=4, policy=DOCUMENT), 6)
    assert not [want for want in script >> Kept(the(KeepDesired, desired), ok=True) if isinstance(want, Obtain)]


def test_what_lifts_a_stop_holds_only_once_it_is_on_the_disk() -> None:
    script = Script(stopping=Stopping(epoch=2, stopped=True))
    script.connected()
    keep = the(KeepStop, script >> proven(signed_stop(3, stopped=False), 5))
    assert script.session.stopping.stopped
    script >> Kept(keep, ok=False)
    assert script.session.stopping.stopped
    assert the(KeepStop, script.after(AGAIN_AFTER_S)) == keep
    script >> Kept(keep, ok=True)
    assert not script.session.stopping.stopped


@pytest.mark.parametrize("said", [NoStopOrder(), Unreadable(kind="stop", cause="malformed")])
def test_an_order_that_is_not_proven_is_forgotten_once_the_broker_keeps_none_that_can_be_read(said: Said) -> None:
    script = Script()
    script.connected()
    order = signed_stop(9, stopped=True, key="thief")
    script >> Heard(order, 4)
    script >> StopChecked(order, 4, KnownKeys().check(order))
    wants = script >> Heard(said, 5)
    assert Acknowledge(5) in wants
    notes = [want for want in wants if isinstance(want, Note)]
    assert len(notes) == (0 if said == NoStopOrder() else 1), "an order that is taken back is no alarm"
    assert not [want for want in script.after(3600) if isinstance(want, CheckStop)]


def test_under_a_stop_that_nobody_can_check_nothing_is_taken_up_and_no_epoch_is_reported() -> None:
    script = Script()
    script.connected()
    order = signed_stop(9, stopped=True)
    [reported] = told(script >> StopChecked(order, 5, Checked(proof=Proof.UNKNOWN)))
    assert isinstance(reported, Reported)
    assert (reported.stopped, reported.stop_epoch, reported.stop_order) == (True, 0, None)
    desired = script >> Heard(Desired(device_id="dev-1", version=4, policy=DOCUMENT), 6)
    assert not [want for want in script >> Kept(the(KeepDesired, desired), ok=True) if isinstance(want, Obtain)]
    assert the(CheckStop, script.after(2)) == CheckStop(order)


def proven(order: StopOrder, receipt: int) -> StopChecked:
    return StopChecked(order, receipt, KnownKeys().check(order))


def test_a_command_is_handed_on_and_its_result_told_until_the_broker_has_it() -> None:
    script = Script()
    script.connected()
    command = Command(id="c" * 32, op="ping", deadline_s=0)
    assert script >> Heard(command, 7) == [TakeCommand(command, 7)]
    result = CommandResult(id="c" * 32, op="ping", state=State.DONE, at_s=0)
    waiting = CommandTold(result, "c" * 32, 1)
    wants = script >> ResultsWait((waiting,))
    assert told(wants) == [result]
    assert told(script >> ResultsWait((waiting,))) == []
    assert script >> Delivered(token_of(CommandResult, wants), ok=True) == [waiting]


def test_a_result_that_the_broker_did_not_take_is_told_again() -> None:
    script = Script()
    script.connected()
    waiting = CommandTold(CommandResult(id="c" * 32, op="ping", state=State.DONE, at_s=0), "c" * 32, 1)
    script >> Delivered(token_of(CommandResult, script >> ResultsWait((waiting,))), ok=False)
    the(ReadResults, script.after(AGAIN_AFTER_S))


def test_a_result_that_no_controller_heard_is_told_again_after_ever_longer() -> None:
    script = Script()
    script.connected()
    waiting = CommandTold(CommandResult(id="c" * 32, op="ping", state=State.DONE, at_s=0), "c" * 32, 1)
    for wait_s in (60, 120, 240, 480, 960, 960):
        unheard = Delivered(token_of(CommandResult, script >> ResultsWait((waiting,))), ok=True, heard=False)
        assert script >> unheard == []
        assert not any(isinstance(want, ReadResults) for want in script.after(wait_s - 1))
        the(ReadResults, script.after(1))
    script >> Ended("lost")
    script.after(120)
    the(ReadResults, script >> Connected(session_present=True))
    wants = script >> ResultsWait((waiting,))
    assert script >> Delivered(token_of(CommandResult, wants), ok=True) == [waiting]


def test_what_cannot_be_read_is_noted_and_not_sent_again() -> None:
    script = Script()
    script.connected()
    assert script >> Heard(Unreadable(kind="desired", cause="malformed"), 3) == [
        Note("ignored", (("kind", "desired"), ("cause", "malformed"))),
        Acknowledge(3),
    ]


def test_changed_facts_are_reported_and_the_same_ones_are_not() -> None:
    script = Script()
    script.connected()
    [reported] = told(script >> FactsAre(Facts(software_version="2")))
    assert isinstance(reported, Reported)
    assert reported.revision == 2
    assert told(script >> FactsAre(Facts(software_version="2"))) == []


def test_a_report_that_the_broker_did_not_take_is_told_again() -> None:
    script = Script()
    script >> Delivered(token_of(Reported, script.connected()), ok=False)
    assert told(script.after(AGAIN_AFTER_S / 2)) == []
    assert len(told(script.after(AGAIN_AFTER_S))) == 1


def test_a_renewed_certificate_has_it_connect_again_at_once() -> None:
    script = Script()
    script.connected()
    assert script >> NewCredentials() == [Disconnect()]
    assert the(Connect, script >> Ended("closed")).will.connection == 2


def test_a_certificate_renewed_while_connecting_is_used_right_after() -> None:
    script = Script()
    script >> TimePassed()
    assert script >> NewCredentials() == []
    wants = script >> Connected(session_present=False)
    assert the(Disconnect, wants) == Disconnect()
    the(Connect, script >> Ended("closed"))


def test_it_says_goodbye_before_it_leaves() -> None:
    script = Script()
    script.connected()
    wants = script >> Leave()
    [goodbye] = told(wants)
    assert isinstance(goodbye, Presence)
    assert (goodbye.online, goodbye.reason) == (False, "stopping")
    assert script >> Delivered(token_of(Presence, wants), ok=True) == [Disconnect(with_will=False)]
    assert script >> Ended("closed") == [Left()]
    assert script.session.phase is Phase.GONE
    assert script.session.due_s() is None


@pytest.mark.parametrize("ok", [True, False])
def test_where_the_goodbye_may_not_have_been_heard_the_broker_says_the_will(*, ok: bool) -> None:
    script = Script()
    script.connected()
    wants = script >> Leave()
    if not ok:
        assert script >> Delivered(token_of(Presence, wants), ok=False) == [Disconnect(with_will=True)]
    else:
        assert script.after(GOODBYE_WITHIN_S) == [Disconnect(with_will=True)]


def test_who_leaves_while_connecting_says_goodbye_where_it_still_gets_through() -> None:
    script = Script()
    script >> TimePassed()
    script >> Leave()
    [goodbye] = told(script >> Connected(session_present=False))
    assert isinstance(goodbye, Presence)
    assert not goodbye.online


def test_who_leaves_without_a_connection_is_gone_at_once() -> None:
    script = Script()
    script >> TimePassed()
    script >> Ended("unreachable")
    assert script >> Leave() == [Left()]
    assert script >> Leave() == []


def test_nothing_depends_on_the_time_of_day() -> None:
    script = Script()
    script.connected()
    script.unix_s -= 315_360_000
    assert told(script.after(1)) == []
    assert told(script >> WasCut(BATCH)) == [Send(BATCH)]


def asking(script: Script, number: int = 1) -> Request:
    [request] = told(script >> Ask(number, "blocks", b"which"))
    assert isinstance(request, Request)
    return request


def test_a_request_is_published_and_its_answer_handed_over_and_acknowledged() -> None:
    script = Script()
    script.connected()
    request = asking(script)
    answer = Answered(correlation=request.correlation, outcome=requests.Outcome.GIVEN, body=b"these")
    assert script >> Heard(answer, 7) == [Settle(1, b"these"), Acknowledge(7)]
    assert script >> Heard(answer, 8) == [Acknowledge(8)], "it came twice, and nobody waits for it any more"


def test_without_a_connection_a_request_fails_at_once() -> None:
    script = Script()
    assert Settle(1, Failure.AWAY) in script >> Ask(1, "trust", b"")
    script.connected()
    script >> Leave()
    assert script >> Ask(2, "trust", b"") == [Settle(2, Failure.AWAY)]


def test_a_lost_connection_fails_requests_at_once_and_an_answer_over_the_next_means_nothing() -> None:
    script = Script()
    script.connected()
    request = asking(script)
    wants = script >> Ended("lost")
    assert wants[0] == Settle(1, Failure.LOST)
    script.after(200)
    script >> Connected(session_present=True)
    answer = Answered(correlation=request.correlation, outcome=requests.Outcome.GIVEN, body=b"")
    assert script >> Heard(answer, 7) == [Acknowledge(7)]


def test_a_request_that_nobody_answers_fails_when_it_is_due() -> None:
    script = Script()
    script.connected()
    asking(script)
    assert script.session.due_s() == ANSWER_WITHIN_S
    assert script.after(ANSWER_WITHIN_S) == [Settle(1, Failure.LATE)]


def test_an_abandoned_request_settles_nothing() -> None:
    script = Script()
    script.connected()
    asking(script)
    script >> Abandon(1)
    assert script.after(ANSWER_WITHIN_S) == []


@pytest.mark.parametrize(
    ("ok", "heard", "failure"), [(False, True, Failure.TURNED_AWAY), (True, False, Failure.UNHEARD)]
)
def test_a_request_that_reaches_nobody_fails_at_once(*, ok: bool, heard: bool, failure: Failure) -> None:
    script = Script()
    script.connected()
    token = token_of(Request, script >> Ask(1, "blocks", b""))
    assert script >> Delivered(token, ok=ok, heard=heard) == [Settle(1, failure)]
    token = token_of(Request, script >> Ask(2, "blocks", b""))
    assert script >> Delivered(token, ok=True) == []


def test_who_leaves_settles_what_was_asked() -> None:
    script = Script()
    script.connected()
    asking(script)
    script >> Leave()
    assert script >> Ended("closed") == [Settle(1, Failure.LOST), Left()]
