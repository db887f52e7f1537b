"""The broker tells devices what the database says: after every change, and after every loss of the broker's memory."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update
from tests.support.controller_stage import Stage, number_of, play
from tests.support.stop_orders import DIRECTOR, order_in, signed_stop, stop_bytes
from tests.support.telemetry_messages import boot, reported, result, routes, state

from homebred_daemon.core.fleet_messages import StopOrder
from homebred_fleet.adapters.store import commands, desired, stops
from homebred_fleet.adapters.store import tables as kept
from homebred_fleet.errors import StoreBusyError
from homebred_fleet.ports.intents import DocumentRef, SignedStop
from homebred_protocol.topics import STOP
from homebred_protocol.v1 import fleet_pb2 as wire

DIGEST = "sha256:" + "d" * 64


def assign(stage: Stage, *names: str, digest: str = DIGEST) -> None:
    """What an administrator does."""
    numbers = [number_of(stage.database, name) for name in names or ("clinic-1",)]
    with stage.database.writing() as connection:
        policy = DocumentRef(digest=digest, length=12)
        desired.assign(connection, device_numbers=numbers, policy=policy, by="ada", now_s=stage.now_s())
    stage.reconciling.wake()


def command(stage: Stage, *, deadline_s: int = 600) -> str:
    with stage.database.writing() as connection:
        identity = commands.issue(
            connection,
            device_number=number_of(stage.database, "clinic-1"),
            op="ping",
            parameters={"n": "1"},
            deadline_s=stage.now_s() + deadline_s,
            by="ada",
            now_s=stage.now_s(),
        )
    stage.reconciling.wake()
    return identity


def state_of(stage: Stage, identity: str) -> str:
    with stage.database.reading() as connection:
        statement = select(kept.commands.c.state).where(kept.commands.c.id == identity)
        return str(connection.execute(statement).scalar_one())


def stop(stage: Stage, *, stopped: bool = True) -> int:
    with stage.database.writing() as connection:
        epoch = stops.order(connection, stopped=stopped, reason_code="drill", by="ada", now_s=stage.now_s())
    stage.reconciling.wake()
    return epoch


def published_versions(stage: Stage) -> list[int]:
    with stage.database.reading() as connection:
        return list(connection.scalars(select(kept.desired.c.published_version).order_by(kept.desired.c.device)))


def test_a_change_reaches_its_device_and_counts_as_published_once_the_broker_took_it(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        await stage.started()
        device = stage.devices["clinic-1"]
        device.connect()
        assign(stage)
        await stage.until(lambda: device.versions == [1])
        await stage.until(lambda: published_versions(stage) == [1])
        told = wire.Desired.FromString(device.payloads("desired")[0])
        assert (told.device_id, told.policy.digest, told.policy.length) == ("clinic-1", DIGEST, 12)
        assert not told.HasField("gazetteer")
        assert stage.devices["factory-1"].versions == []

    play(tmp_path, scene)


def test_a_device_that_was_away_hears_the_newest_alone(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        await stage.started()
        for _ in range(3):
            assign(stage)
        await stage.until(lambda: published_versions(stage) == [3])
        stage.devices["clinic-1"].connect()
        await stage.until(lambda: stage.devices["clinic-1"].versions == [3])

    play(tmp_path, scene)


@pytest.mark.parametrize("remembers", [True, False])
def test_what_a_broker_lost_is_published_again_and_what_it_keeps_is_not(tmp_path: Path, *, remembers: bool) -> None:
    async def scene(stage: Stage) -> None:
        await stage.started()
        assign(stage, "clinic-1", "factory-1")
        epoch = stop(stage)
        await stage.until(lambda: published_versions(stage) == [1, 1])
        await stage.until(lambda: "hb/1/default/stop" in stage.broker.retained)
        stage.broker.restart(remembers=remembers)
        await stage.until(lambda: not stage.reconciling.is_in_step)
        await stage.later(lambda: stage.reconciling.is_in_step)
        device = stage.devices["clinic-1"]
        device.connect(clean_start=True)
        await stage.until(lambda: device.versions == [1])
        assert [wire.StopOrder.FromString(one).epoch for one in device.payloads("stop")] == [epoch]
        assert stage.figures.republished == (0 if remembers else 2)

    play(tmp_path, scene)


def test_a_controller_that_comes_back_takes_back_what_the_broker_keeps_of_revoked_devices(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        await stage.started()
        assign(stage, "clinic-1", "factory-1")
        await stage.until(lambda: published_versions(stage) == [1, 1])
        with stage.database.writing() as connection:
            connection.execute(update(kept.devices).where(kept.devices.c.id == "factory-1").values(state="revoked"))
        stage.broker.restart(remembers=True)
        await stage.later(lambda: not [topic for topic in stage.broker.retained if "factory-1" in topic])
        assert "hb/1/default/d/clinic-1/desired" in stage.broker.retained

    play(tmp_path, scene)


def test_somebody_elses_retained_message_is_put_right(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        await stage.started()
        assign(stage)
        await stage.until(lambda: published_versions(stage) == [1])
        forged = wire.Desired(schema=1, device_id="clinic-1", version=99).SerializeToString()
        stage.devices["factory-1"].connect()
        stage.devices["factory-1"].connection.publish("hb/1/default/d/clinic-1/desired", forged, token=1, retain=True)
        await stage.later(lambda: kept_version(stage, "clinic-1") == 1, step_s=5)

    play(tmp_path, scene)


def kept_version(stage: Stage, device: str) -> int:
    payload = stage.broker.retained[f"hb/1/default/d/{device}/desired"].payload
    return wire.Desired.FromString(payload).version


def test_a_device_that_has_seen_more_is_given_a_version_above_it(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        await stage.started()
        device = stage.devices["clinic-1"]
        device.connect()
        assign(stage)
        await stage.until(lambda: device.versions == [1])
        await stage.pass_s(61, step_s=1)
        device.say(reported("clinic-1", version=7))
        await stage.until(lambda: device.versions == [1, 8])

    play(tmp_path, scene)


def test_a_command_is_sent_with_its_deadline_as_its_expiry_and_its_answer_is_kept(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        await stage.started()
        device = stage.devices["clinic-1"]
        device.connect()
        deadline_s = stage.now_s() + 600
        identity = command(stage)
        await stage.until(lambda: device.commands == [identity])
        await stage.until(lambda: state_of(stage, identity) == "sent")
        told = wire.Command.FromString(device.payloads("cmd/")[0])
        assert (told.op, told.issued_by, dict(told.parameters)) == ("ping", "ada", {"n": "1"})
        assert told.deadline_s == deadline_s
        device.say(result("clinic-1", identity))
        await stage.until(lambda: state_of(stage, identity) == "done")

    play(tmp_path, scene)


def test_a_command_that_nobody_began_in_time_is_given_up_and_a_late_answer_is_taken(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        await stage.started()
        device = stage.devices["clinic-1"]
        device.connect()
        identity = command(stage, deadline_s=10)
        await stage.until(lambda: state_of(stage, identity) == "sent")
        await stage.later(lambda: state_of(stage, identity) == "expired", step_s=2)
        device.say(result("clinic-1", identity))
        await stage.until(lambda: state_of(stage, identity) == "done")

    play(tmp_path, scene)


def test_a_device_that_comes_back_hears_its_commands_again_and_not_another_devices(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        await stage.started()
        identity = command(stage)
        await stage.until(lambda: state_of(stage, identity) == "sent")
        device = stage.devices["clinic-1"]
        device.connect(clean_start=True)  # its session was lost, and with it what waited in it
        await stage.settle()
        assert device.commands == []
        device.say(state("clinic-1"))
        await stage.until(lambda: device.commands == [identity])
        stage.devices["factory-1"].connect()
        stage.devices["factory-1"].say(state("factory-1"))
        await stage.pass_s(2)
        assert device.commands == [identity]

    play(tmp_path, scene)


def test_a_device_that_comes_back_hears_its_commands_however_many_others_are_open(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        await stage.started()
        with stage.database.writing() as connection:
            numbers = {name: number_of(stage.database, name) for name in stage.devices}
            rows = [
                {"id": f"s-{n}", "site": "s", "labels": {}, "state": "enrolled", "enrolled_at_s": 1} for n in range(250)
            ]
            connection.execute(insert(kept.devices), rows)
            others = connection.scalars(select(kept.devices.c.number).where(kept.devices.c.site == "s"))
            give = partial(
                commands.issue_to_all,
                connection,
                op="ping",
                parameters={},
                deadline_s=stage.now_s() + 600,
                by="ada",
            )
            issued = give(device_numbers=list(others), now_s=stage.now_s() - 1)
            (own,) = give(device_numbers=[numbers["clinic-1"]], now_s=stage.now_s()).values()
            commands.mark_sent(connection, [*issued.values(), own], now_s=stage.now_s())
        device = stage.devices["clinic-1"]
        device.connect(clean_start=True)
        device.say(state("clinic-1"))
        await stage.later(lambda: device.commands == [own])

    play(tmp_path, scene)


def test_a_device_is_asked_again_for_a_last_word_that_was_lost(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        await stage.started()
        device = stage.devices["clinic-1"]
        device.connect()
        identity = command(stage, deadline_s=10)
        await stage.later(lambda: device.commands == [identity])
        device.say(result("clinic-1", identity, state="waiting"))
        await stage.until(lambda: state_of(stage, identity) == "waiting")
        await stage.pass_s(300, step_s=5)
        device.say(state("clinic-1"))
        await stage.later(lambda: device.commands == [identity, identity])
        device.say(result("clinic-1", identity))
        await stage.until(lambda: state_of(stage, identity) == "done")

    play(tmp_path, scene)


def test_a_stop_is_said_at_once_and_the_newest_order_holds(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        await stage.started()
        device = stage.devices["clinic-1"]
        device.connect()
        epochs = [stop(stage)]
        await stage.until(lambda: len(device.payloads("stop")) == 1)
        epochs.append(stop(stage, stopped=False))
        await stage.until(lambda: len(device.payloads("stop")) == 2)
        told = [wire.StopOrder.FromString(one) for one in device.payloads("stop")]
        assert [(one.epoch, one.stopped) for one in told] == [(epochs[0], True), (epochs[1], False)]
        assert epochs[1] > epochs[0]

    play(tmp_path, scene)


def keep_stop(stage: Stage, order: StopOrder) -> None:
    """What the broker keeps, whoever says so."""
    stage.devices["factory-1"].connect()
    stage.devices["factory-1"].connection.publish(STOP, stop_bytes(order), token=1, retain=True)


def in_force(stage: Stage) -> tuple[int, bool]:
    found = stage.intents.stop_in_force()
    assert found is not None
    return found.epoch, found.stopped


def stops_told(stage: Stage) -> list[tuple[int, bool]]:
    published = [wire.StopOrder.FromString(body) for who, topic, body in stage.broker.published if topic == STOP]
    return [(one.epoch, one.stopped) for one in published]


def kept_stop(stage: Stage) -> StopOrder:
    return order_in(stage.broker.retained[STOP].payload)


def test_a_controller_that_was_restored_takes_no_stop_back_that_is_in_force(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        stop(stage, stopped=False)
        keep_stop(stage, signed_stop(7, stopped=True, reason_code="fire"))
        await stage.started()
        await stage.pass_s(30, step_s=1)
        assert stops_told(stage) == [(7, True)]
        assert in_force(stage) == (7, True)
        assert stage.journal.names.count("stop_taken_over") == 1
        stop(stage, stopped=False)
        await stage.later(lambda: stops_told(stage)[-1] == (8, False))

    play(tmp_path, scene)


def test_a_database_that_is_away_for_a_moment_has_no_order_of_the_brokers_forgotten(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        fails, real = iter([True] * 2), stage.intents.follow_stop

        def failing(order: SignedStop, *, now_s: int) -> bool:
            if next(fails, None):
                raise StoreBusyError
            return real(order, now_s=now_s)

        stage.intents.follow_stop = failing  # type: ignore[method-assign]
        stop(stage, stopped=False)
        keep_stop(stage, signed_stop(7, stopped=True))
        await stage.later(lambda: "stop_taken_over" in stage.journal.names)
        assert stops_told(stage) == [(7, True)]
        assert stage.journal.names.count("not_reconciled") == 2

    play(tmp_path, scene)


def test_a_stop_that_nobody_heard_yet_holds_over_what_the_broker_kept(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        stop(stage)
        keep_stop(stage, signed_stop(7, stopped=False))
        await stage.started()
        await stage.until(lambda: stops_told(stage)[-1] == (8, True))

    play(tmp_path, scene)


@pytest.mark.parametrize("stopped", [True, False])
def test_what_the_director_has_not_signed_is_never_taken_over_and_is_published_over(
    tmp_path: Path, *, stopped: bool
) -> None:
    async def scene(stage: Stage) -> None:
        epoch = stop(stage, stopped=not stopped)
        await stage.started()
        for forged in (signed_stop(7, stopped=stopped, key="thief"), StopOrder(epoch=2**62, stopped=stopped)):
            keep_stop(stage, forged)
            await stage.later(lambda: kept_stop(stage).key_id == DIRECTOR)
            assert (kept_stop(stage).epoch, kept_stop(stage).stopped) == (epoch, not stopped)
        assert in_force(stage) == (epoch, not stopped)
        assert "stop_taken_over" not in stage.journal.names
        assert stage.journal.names.count("stop_unproven") == 1, "once a connection"

    play(tmp_path, scene)


@pytest.mark.parametrize("stopped", [True, False])
def test_a_forgery_is_taken_back_where_no_order_was_ever_given(tmp_path: Path, *, stopped: bool) -> None:
    async def scene(stage: Stage) -> None:
        await stage.started()
        keep_stop(stage, signed_stop(7, stopped=stopped, key="thief"))
        await stage.later(lambda: STOP not in stage.broker.retained)
        await stage.pass_s(30, step_s=1)
        assert stops_told(stage) == [(7, stopped), (0, False)], "once, by an empty message"
        assert stage.intents.stop_in_force() is None

    play(tmp_path, scene)


def test_where_nobody_can_say_whose_an_order_is_it_is_not_taken_back(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        stage.signer.key = ""
        await stage.started()
        keep_stop(stage, signed_stop(7, stopped=True))
        await stage.pass_s(30, step_s=1)
        assert stops_told(stage) == [(7, True)]
        stage.signer.key = DIRECTOR
        await stage.later(lambda: "stop_taken_over" in stage.journal.names)
        assert in_force(stage) == (7, True)

    play(tmp_path, scene)


def heeds(stage: Stage, order: StopOrder) -> None:
    """What a device reports."""
    said = wire.StopOrder.FromString(stop_bytes(order))
    told = wire.Reported(
        schema=1,
        boot_id=boot(),
        boot_number=1,
        revision=1,
        stop_epoch=order.epoch,
        stopped=order.stopped,
        stop_order=said,
    )
    stage.devices["clinic-1"].connect()
    stage.devices["clinic-1"].connection.publish(
        "hb/1/default/d/clinic-1/reported", told.SerializeToString(), token=1, retain=True
    )


@pytest.mark.parametrize("stopped", [True, False])
def test_where_the_broker_lost_the_order_too_the_one_that_a_device_heeds_holds_again(
    tmp_path: Path, *, stopped: bool
) -> None:
    async def scene(stage: Stage) -> None:
        stop(stage, stopped=not stopped)
        await stage.started()
        await stage.until(lambda: stops_told(stage) == [(1, not stopped)])
        heeds(stage, signed_stop(7, stopped=stopped))
        await stage.later(lambda: stops_told(stage)[-1] == (7, stopped))
        assert stage.journal.names.count("stop_taken_over") == 1

    play(tmp_path, scene)


def test_what_a_device_claims_to_heed_and_the_director_has_not_signed_stops_nobody(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        stop(stage, stopped=False)
        await stage.started()
        heeds(stage, signed_stop(7, stopped=True, key="thief"))
        await stage.later(lambda: "stop_unproven" in stage.journal.names)
        await stage.pass_s(30, step_s=1)
        assert stops_told(stage) == [(1, False)]
        assert stage.journal.names.count("stop_unproven") == 1

    play(tmp_path, scene)


def test_the_order_in_force_is_signed_anew_by_itself_once_the_director_has_another_key(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        epoch = stop(stage)
        await stage.started()
        await stage.until(lambda: kept_stop(stage).key_id == DIRECTOR)
        stage.signer.key = "director-2"
        await stage.later(lambda: kept_stop(stage).key_id == "director-2")
        assert (kept_stop(stage).epoch, kept_stop(stage).stopped) == (epoch, True)
        assert in_force(stage) == (epoch, True)
        stage.broker.restart(remembers=True)
        await stage.pass_s(30, step_s=1)
        assert not {"stop_taken_over", "stop_unproven"} & set(stage.journal.names)

    play(tmp_path, scene)


def test_without_a_director_no_order_is_published_and_what_the_broker_keeps_is_left_until_there_is_one(
    tmp_path: Path,
) -> None:
    async def scene(stage: Stage) -> None:
        stage.signer.key = ""
        stop(stage)
        keep_stop(stage, signed_stop(7, stopped=False))
        await stage.started()
        await stage.pass_s(30, step_s=1)
        assert stops_told(stage) == [(7, False)]
        assert stage.journal.names.count("stop_unsigned") == 1
        stage.signer.key = DIRECTOR
        await stage.later(lambda: stops_told(stage)[-1] == (8, True))

    play(tmp_path, scene)


def test_a_database_that_is_away_is_asked_again(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        await stage.started()
        stage.devices["clinic-1"].connect()
        fails = iter([True] * 3)
        real = stage.intents.expire_commands

        def failing(*, now_s: int) -> int:
            if next(fails, None):
                raise StoreBusyError
            return real(now_s=now_s)

        stage.intents.expire_commands = failing  # type: ignore[method-assign]
        assign(stage)
        await stage.later(lambda: stage.devices["clinic-1"].versions == [1], step_s=1)
        assert stage.journal.names.count("not_reconciled") == 3

    play(tmp_path, scene)


def test_devices_that_do_not_come_back_to_a_broker_that_lost_their_wills_count_as_away(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        await stage.started()
        for name in ("clinic-1", "factory-1"):
            stage.devices[name].connect()
            stage.devices[name].say(state(name))
        await stage.until(lambda: online(stage) == {"clinic-1", "factory-1"})
        stage.broker.restart(remembers=False)
        await stage.pass_s(30, step_s=1)
        stage.devices["clinic-1"].connect()
        stage.devices["clinic-1"].say(state("clinic-1", connection=2))
        await stage.later(lambda: online(stage) == {"clinic-1"}, step_s=5)
        await stage.until(lambda: "devices_unheard" in stage.journal.names)
        stage.devices["factory-1"].connect()
        stage.devices["factory-1"].say(state("factory-1"))
        await stage.until(lambda: online(stage) == {"clinic-1", "factory-1"})

    play(tmp_path, scene)


def test_a_device_that_died_together_with_the_broker_is_online_no_longer_than_its_kept_birth_counts(
    tmp_path: Path,
) -> None:
    async def scene(stage: Stage) -> None:
        await stage.started()
        for name in ("clinic-1", "factory-1"):
            stage.devices[name].connect()
            stage.devices[name].say(state(name))
        await stage.until(lambda: online(stage) == {"clinic-1", "factory-1"})
        stage.broker.restart(remembers=True)
        stage.devices["clinic-1"].connect()
        for hour in range(2):
            await stage.pass_s(3_500, step_s=20)
            stage.devices["clinic-1"].say(routes("clinic-1", 2 * hour + 1, 2 * hour + 2, after_seq=2 * hour))
            await stage.settle()
            assert online(stage) == ({"clinic-1", "factory-1"} if hour == 0 else {"clinic-1"})
        assert stage.journal.names.count("devices_unheard") == 1
        stage.broker.restart(remembers=True)
        await stage.pass_s(60, step_s=5)
        assert online(stage) == {"clinic-1"}

    play(tmp_path, scene)


def online(stage: Stage) -> set[str]:
    with stage.database.reading() as connection:
        statement = select(kept.devices.c.id).join(kept.presence, kept.presence.c.device == kept.devices.c.number)
        return set(connection.scalars(statement.where(kept.presence.c.online)))
