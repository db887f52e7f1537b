"""The one connection to the broker: how it introduces itself, what it asks for, and that it comes back."""

from __future__ import annotations

from pathlib import Path

from tests.support.controller_stage import Stage, play
from tests.support.telemetry_messages import routes

from homebred_fleet.services.hub import subscriptions, terms
from homebred_protocol.ids import CONTROLLER


def test_its_session_ends_with_its_connection() -> None:
    told = terms(77)
    assert (told.client_id, told.clean_start, told.session_expiry_s, told.will) == (CONTROLLER, True, 0, None)
    assert told.receive_maximum == 77


def test_it_asks_first_for_what_the_broker_keeps_for_devices_then_for_what_devices_tell() -> None:
    asked = subscriptions(is_shared=False)
    assert asked[:2] == ("hb/1/default/stop", "hb/1/default/d/+/desired")
    assert set(asked[2:]) == {
        f"hb/1/default/d/+/{last}" for last in ("reported", "state", "tm/+", "rq/+", "cmd-rs", "ev")
    }


def test_where_controllers_take_turns_what_is_retained_still_goes_to_each() -> None:
    shared = {topic for topic in subscriptions(is_shared=True) if topic.startswith("$share/hb/")}
    assert shared == {f"$share/hb/hb/1/default/d/+/{last}" for last in ("tm/+", "rq/+", "cmd-rs", "ev")}


def test_it_comes_back_with_longer_pauses_and_takes_up_where_it_was(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        await stage.started()
        stage.broker.reachable = False
        stage.broker.cut(CONTROLLER)
        await stage.pass_s(60, step_s=0.5)
        tries = stage.journal.names.count("broker_lost")
        assert 4 <= tries <= 9
        assert not stage.figures.is_connected
        stage.broker.reachable = True
        await stage.later(lambda: stage.figures.is_connected)
        device = stage.devices["clinic-1"]
        device.connect()
        device.say(routes("clinic-1", 1, 2))
        await stage.until(lambda: device.acks == [2])
        assert stage.figures.connections == 2

    play(tmp_path, scene)


def test_a_controller_that_ends_says_goodbye(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> Stage:
        await stage.started()
        return stage

    stage = play(tmp_path, scene)
    assert CONTROLLER not in stage.broker.sessions
