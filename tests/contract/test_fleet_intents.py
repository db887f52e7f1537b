"""What the reconciler reads of the database and notes in it, on SQLite and a real PostgreSQL; and the audit's rows."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Connection, insert, select, update
from tests.support import telemetry_messages as made
from tests.support.stop_orders import as_signed, signed_stop, stop_bytes
from tests.support.telemetry_messages import NOW_S

from homebred_fleet.adapters.store import audit, commands, desired, stops
from homebred_fleet.adapters.store import tables as kept
from homebred_fleet.adapters.store.database import Database
from homebred_fleet.adapters.store.intake import StoreIntake
from homebred_fleet.adapters.store.intents import StoreIntents
from homebred_fleet.core.commands import ANSWER_GRACE_S
from homebred_fleet.core.presence import SignsOfLife
from homebred_fleet.ports.intake import Arrival
from homebred_fleet.ports.intents import OWN, CommandOrder, DesiredState, DocumentRef, Stop, WantedCommands
from homebred_protocol.v1 import fleet_pb2 as wire

POLICY = DocumentRef(digest="sha256:" + "a" * 64, length=12)
NAMES = DocumentRef(digest="sha256:g", length=7)
DEVICES = {"clinic-1": "enrolled", "factory-1": "enrolled", "gone-1": "revoked"}


class Controller:
    """A database with two devices and a revoked one."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.intents = StoreIntents(database)
        with database.writing() as connection:
            rows = [
                {"id": name, "site": "a", "labels": {"role": name}, "state": state, "enrolled_at_s": 1}
                for name, state in DEVICES.items()
            ]
            connection.execute(insert(kept.devices), rows)

    def assign(
        self, *numbers: int, policy: DocumentRef | None = POLICY, gazetteer: DocumentRef | None = None
    ) -> dict[int, int]:
        with self.database.writing() as connection:
            return desired.assign(
                connection, device_numbers=numbers, policy=policy, gazetteer=gazetteer, by="ada", now_s=NOW_S
            )

    def command(self, number: int = 1, *, deadline_s: int = 60) -> str:
        with self.database.writing() as connection:
            return commands.issue(
                connection,
                device_number=number,
                op="ping",
                parameters={"n": "1"},
                deadline_s=NOW_S + deadline_s,
                by="ada",
                now_s=NOW_S,
            )

    def to_send(self, *, also_sent: bool = False, after_s: int = 0, of: tuple[str, ...] | None = None) -> list[str]:
        wanted = WantedCommands(now_s=NOW_S + after_s, also_sent=also_sent, of=of)
        return [one.id for one in self.intents.commands_to_send(wanted, after=None, max_commands=9)]

    def published(self, *, versions: dict[str, int] | None = None, sent: tuple[str, ...] = ()) -> None:
        self.intents.mark_published(versions=versions or {}, sent=sent, stop_epoch=None, now_s=NOW_S)


@pytest.fixture
def controller(database: Database) -> Controller:
    return Controller(database)


def test_a_change_gives_enrolled_devices_a_version_and_leaves_the_other_part_as_it_is(controller: Controller) -> None:
    assert controller.assign(1, 2, 3) == {1: 1, 2: 1}
    assert controller.assign(1, policy=None, gazetteer=NAMES) == {1: 2}
    (state,) = controller.intents.states_of(["clinic-1", "gone-1", "nobody"])
    assert state == DesiredState(
        device="clinic-1",
        version=2,
        issued_at_s=NOW_S,
        policy=POLICY,
        gazetteer=NAMES,
        labels={"role": "clinic-1"},
    )
    assert controller.intents.versions_in_force() == {"clinic-1": 2, "factory-1": 1}


def test_a_part_is_given_back_to_the_device(controller: Controller) -> None:
    controller.assign(1)
    controller.assign(1, policy=OWN)
    assert controller.intents.states_of(["clinic-1"])[0].policy is None


def test_a_version_is_above_what_the_device_has_reported(controller: Controller) -> None:
    StoreIntake(controller.database).take([made.reported("clinic-1", version=41)], now_s=NOW_S)
    assert controller.assign(1) == {1: 42}


def test_what_the_broker_took_is_no_longer_due_until_the_next_change(controller: Controller) -> None:
    controller.assign(1, 2)
    assert controller.intents.unpublished(max_devices=9) == ["clinic-1", "factory-1"]
    assert controller.intents.unpublished(max_devices=1) == ["clinic-1"]
    controller.published(versions={"clinic-1": 1})
    assert controller.intents.unpublished(max_devices=9) == ["factory-1"]
    controller.assign(1)
    controller.published(versions={"clinic-1": 1})  # the broker's word of an older version comes late
    assert set(controller.intents.unpublished(max_devices=9)) == {"factory-1", "clinic-1"}


def test_a_revoked_device_is_told_nothing_more(controller: Controller) -> None:
    controller.assign(1)
    controller.command()
    with controller.database.writing() as connection:
        connection.execute(update(kept.devices).where(kept.devices.c.number == 1).values(state="revoked"))
    assert controller.intents.unpublished(max_devices=9) == []
    assert controller.intents.versions_in_force() == {}
    assert controller.to_send(also_sent=True) == []


def test_a_command_is_due_until_it_was_sent_and_again_where_a_broker_may_have_lost_it(controller: Controller) -> None:
    first, second = controller.command(), controller.command(2)
    assert sorted(controller.to_send()) == sorted([first, second])
    controller.published(sent=(first,))
    assert controller.to_send() == [second]
    assert sorted(controller.to_send(also_sent=True)) == sorted([first, second])
    assert controller.to_send(also_sent=True, after_s=60) == []


@pytest.mark.parametrize("word", ["accepted", "waiting"])
def test_what_a_device_has_begun_is_asked_about_until_its_last_word_came(controller: Controller, word: str) -> None:
    identity = controller.command()
    controller.published(sent=(identity,))
    intake = StoreIntake(controller.database)
    intake.take([made.result("clinic-1", identity, state=word)], now_s=NOW_S)
    assert controller.to_send() == []
    assert controller.to_send(also_sent=True, after_s=10**7) == [identity]
    intake.take([made.result("clinic-1", identity)], now_s=NOW_S)
    assert controller.to_send(also_sent=True) == []


def test_every_open_command_is_found_page_by_page_and_those_of_some_devices_alone(controller: Controller) -> None:
    made_ids = [controller.command(number) for number in (1, 2) * 4]
    found: list[str] = []
    after: CommandOrder | None = None
    while True:
        page = controller.intents.commands_to_send(WantedCommands(now_s=NOW_S), after=after, max_commands=3)
        found += [order.id for order in page]
        if len(page) < 3:
            break
        after = page[-1]
    assert sorted(found) == sorted(made_ids)
    assert len(found) == 8
    assert sorted(controller.to_send(of=("factory-1",))) == sorted(made_ids[1::2])


def test_what_nobody_answered_is_given_up_once_the_answer_cannot_be_on_its_way(controller: Controller) -> None:
    queued, sent = controller.command(), controller.command()
    controller.published(sent=(sent,))
    intents = controller.intents
    assert [intents.expire_commands(now_s=NOW_S + after_s) for after_s in (59, 60, 60 + ANSWER_GRACE_S)] == [0, 1, 1]
    with controller.database.reading() as connection:
        assert states(connection) == {queued: "expired", sent: "expired"}


def states(connection: Connection) -> dict[str, str]:
    return {row.id: row.state for row in connection.execute(select(kept.commands.c.id, kept.commands.c.state))}


def test_an_answer_is_kept_with_what_is_attached_and_belongs_to_its_device_alone(controller: Controller) -> None:
    identity = controller.command()
    intake = StoreIntake(controller.database)
    outcomes = intake.take(
        [
            made.result("factory-1", identity),
            made.result("clinic-1", identity, state="accepted"),
            made.result("clinic-1", identity, attachment=b"bundle"),
            made.result("clinic-1", identity, state="failed"),
        ],
        now_s=NOW_S,
    )
    assert [outcome.fate.value for outcome in outcomes] == ["quarantined", "stored", "stored", "duplicate"]
    with controller.database.reading() as connection:
        row = connection.execute(select(kept.commands)).one()
    assert (row.state, row.attachment, row.answered_at_s) == ("done", b"bundle", NOW_S)
    assert row.result["answer"] == {"uptime_s": "5"}
    assert "attachment" not in row.result


def test_the_newest_stop_order_holds_above_all_that_devices_have_seen(controller: Controller) -> None:
    assert controller.intents.stop_in_force() is None
    with controller.database.writing() as connection:
        first = stops.order(connection, stopped=True, reason_code="drill", by="ada", now_s=NOW_S)
    seen = wire.Reported(schema=1, boot_id=made.boot(), boot_number=1, revision=1, stop_epoch=7)
    topic = "hb/1/default/d/clinic-1/reported"
    arrival = Arrival(topic=topic, payload=seen.SerializeToString(), is_retained=False)
    StoreIntake(controller.database).take([arrival], now_s=NOW_S)
    with controller.database.writing() as connection:
        second = stops.order(connection, stopped=False, reason_code="over", by="ada", now_s=NOW_S + 1)
    assert (first, second) == (1, 8)
    expected = Stop(epoch=8, stopped=False, reason_code="over", issued_at_s=NOW_S + 1, is_published=False)
    assert controller.intents.stop_in_force() == expected
    controller.intents.mark_published(versions={}, sent=(), stop_epoch=8, now_s=NOW_S)
    found = controller.intents.stop_in_force()
    assert found is not None
    assert found.is_published


@pytest.mark.parametrize(("number", "claimed"), [(1, 2**62 + 1), (1, 2**63 - 1), (3, 50)])
def test_no_device_can_raise_the_epochs_out_of_the_others_reach(
    controller: Controller, number: int, claimed: int
) -> None:
    device = list(DEVICES)[number - 1]
    with controller.database.writing() as connection:
        connection.execute(update(kept.devices).where(kept.devices.c.number == number).values(state="enrolled"))
    StoreIntake(controller.database).take([heeding(device, claimed)], now_s=NOW_S)
    with controller.database.writing() as connection:
        connection.execute(update(kept.devices).where(kept.devices.c.id == device).values(state=DEVICES[device]))
        epoch = stops.order(connection, stopped=True, reason_code="drill", by="ada", now_s=NOW_S)
    assert epoch == 1


@pytest.mark.parametrize("epoch", [7, 2**62, 2**62 + 1, 2**63 - 1])
def test_a_device_that_heeds_whatever_epoch_is_heard(controller: Controller, epoch: int) -> None:
    """The next order after the highest that is believed must not silence those who follow it."""
    (outcome,) = StoreIntake(controller.database).take([heeding("clinic-1", epoch)], now_s=NOW_S)
    assert outcome.fate.value == "stored"


def heeding(device: str, epoch: int, *, stopped: bool = True) -> Arrival:
    order = signed_stop(epoch, stopped=stopped, reason_code="recall")
    told = wire.Reported(
        schema=1,
        boot_id=made.boot(),
        boot_number=1,
        revision=1,
        stop_epoch=epoch,
        stopped=stopped,
        stop_order=wire.StopOrder.FromString(stop_bytes(order)),
    )
    return Arrival(topic=f"hb/1/default/d/{device}/reported", payload=told.SerializeToString(), is_retained=False)


@pytest.mark.parametrize(
    ("epoch", "stopped", "state", "is_told"),
    [
        (7, True, "enrolled", True),
        (7, False, "enrolled", True),
        (2**62, True, "enrolled", True),
        (5, True, "enrolled", False),
        (2**62 + 1, True, "enrolled", False),
        (7, True, "revoked", False),
    ],
)
def test_a_newer_order_that_a_device_of_the_fleet_heeds_is_told_as_it_was_signed(
    controller: Controller, epoch: int, *, stopped: bool, state: str, is_told: bool
) -> None:
    with controller.database.writing() as connection:
        for _ in range(5):
            stops.order(connection, stopped=False, reason_code="over", by="ada", now_s=NOW_S)
    StoreIntake(controller.database).take([heeding("clinic-1", epoch, stopped=stopped)], now_s=NOW_S)
    with controller.database.writing() as connection:
        connection.execute(update(kept.devices).where(kept.devices.c.number == 1).values(state=state))
    order = as_signed(signed_stop(epoch, stopped=stopped, reason_code="recall"))
    assert controller.intents.told_stops() == ((order,) if is_told else ())
    if is_told:
        assert controller.intents.follow_stop(order, now_s=NOW_S)
        found = controller.intents.stop_in_force()
        assert found is not None
        assert (found.epoch, found.stopped, found.reason_code) == (epoch, stopped, "recall")
        assert controller.intents.told_stops() == ()


def test_who_was_not_heard_of_is_turned_offline_and_only_they(controller: Controller) -> None:
    StoreIntake(controller.database).take([made.state("clinic-1"), made.state("factory-1")], now_s=NOW_S)
    signs = SignsOfLife(heard=frozenset({"clinic-1"}), kept=frozenset({"factory-1"}), kept_counts_from_s=NOW_S)
    assert controller.intents.note_unheard(signs, now_s=NOW_S + 9) == []
    signs = replace(signs, kept_counts_from_s=NOW_S + 1)
    assert controller.intents.note_unheard(signs, now_s=NOW_S + 9) == ["factory-1"]
    assert controller.intents.note_unheard(signs, now_s=NOW_S + 9) == []
    with controller.database.reading() as connection:
        rows = connection.execute(select(kept.presence).order_by(kept.presence.c.device)).all()
    assert [(row.online, row.reason) for row in rows] == [(True, "birth"), (False, "unheard")]


@pytest.mark.parametrize(
    ("said", "is_there", "reason"),
    [
        ([made.routes("clinic-1", 1, 2)], True, "heard"),
        ([made.state("clinic-1", is_retained=True)], False, "unheard"),
        ([made.state("clinic-1")], True, "birth"),
        ([made.state("clinic-1", online=False, reason="lost")], False, "unheard"),
        ([made.routes("clinic-1", 1, 2), made.state("clinic-1", online=False, reason="lost")], False, "lost"),
    ],
)
def test_a_device_that_was_taken_for_gone_is_there_once_it_speaks_itself(
    controller: Controller, said: list[Arrival], *, is_there: bool, reason: str
) -> None:
    intake = StoreIntake(controller.database)
    intake.take([made.state("clinic-1")], now_s=NOW_S)
    nobody = SignsOfLife(heard=frozenset(), kept=frozenset(), kept_counts_from_s=0)
    assert controller.intents.note_unheard(nobody, now_s=NOW_S) == ["clinic-1"]
    intake.take(said, now_s=NOW_S + 9)
    with controller.database.reading() as connection:
        row = connection.execute(select(kept.presence)).one()
    assert (row.online, row.reason) == (is_there, reason)


def test_the_audits_chain_is_whole_until_somebody_changes_it(controller: Controller) -> None:
    for step in range(3):
        with controller.database.writing() as connection:
            details = {"step": step, "name": "Zoë", "list": [1, "a"]}
            audit.append(connection, at_s=NOW_S, actor="ada", action="assign", target=f"d{step}", details=details)
    with controller.database.reading() as connection:
        assert audit.check(connection) is None
    with controller.database.writing() as connection:
        connection.execute(update(kept.audit).where(kept.audit.c.target == "d1").values(actor="eve"))
    with controller.database.reading() as connection:
        second = connection.execute(select(kept.audit.c.number).where(kept.audit.c.target == "d1")).scalar_one()
        assert audit.check(connection) == second
