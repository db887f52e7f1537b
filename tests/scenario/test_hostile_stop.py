"""Whoever holds a real broker puts stop orders on it: what is not the director's stops no device and lifts nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.controller import Controller
from tests.support.daemon_process import Site
from tests.support.fleet_site import Sight, admin, enrolled
from tests.support.image_repository import key, write_online_key
from tests.support.mqtt_client import clients
from tests.support.signing_controller import SigningController, signing_controller
from tests.support.stop_orders import order_in, signed_stop, stop_bytes
from tests.support.wire_client import DaemonClient

from homebred_daemon.core.fleet_messages import StopOrder
from homebred_fleet.adapters.tuf_repository.editing import ONLINE
from homebred_fleet.core.keyholders import Purpose
from homebred_protocol.limits import MAX_GIVEN
from homebred_protocol.topics import STOP

POLICY = b"version = 1\n# after the stop\n"
PATIENCE_S = 40.0


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SigningController]:
    with signing_controller(tmp_path_factory.mktemp("fleet")) as running:
        yield running


@pytest.fixture(scope="module")
def device(signed: SigningController, tmp_path_factory: pytest.TempPathFactory) -> tuple[Site, str]:
    return enrolled(signed.controller, tmp_path_factory.mktemp("device"))


def put(controller: Controller, order: StopOrder) -> None:
    """What somebody does who has the controller's rights at the broker, and no key of the director's."""
    with clients(controller.broker.port) as make:
        hostile = make("homebred-fleet", controller.broker.controller)
        hostile.connected()
        assert hostile.publish(STOP, stop_bytes(order), retain=True)


def kept(controller: Controller) -> StopOrder:
    """What the broker keeps."""
    with clients(controller.broker.port) as make:
        reader = make("reader", controller.broker.device("reader"))
        reader.connected()
        reader.subscribe(STOP)
        return order_in(reader.arrived(STOP).payload)


def until(holds: Callable[[], object]) -> None:
    ends_at_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < ends_at_s, "it does not happen"
        time.sleep(0.1)


def is_stopped(client: DaemonClient) -> bool:
    return bool(client.status().fleet.stopped)


def notes(site: Site) -> int:
    return site.log.count("does not prove to be the director's")


def test_a_broker_in_other_hands_neither_stops_a_device_nor_lifts_a_stop_and_its_fleet_hears_of_it(
    signed: SigningController, device: tuple[Site, str]
) -> None:
    site, name = device
    controller, sight = signed.controller, Sight(signed.controller)
    policy = signed.policy("clinic", POLICY)
    with site.daemon() as client:
        until(lambda: client.status().fleet.connected)
        controller.stop()
        put(controller, signed_stop(MAX_GIVEN, stopped=True, key="thief"))
        until(lambda: notes(site) == 1)
        assert not is_stopped(client)
        controller.start()
        admin(controller, "stop", "on", "--reason", "recall")
        until(lambda: is_stopped(client))
        genuine = kept(controller)
        admin(controller, "policy", "assign", policy, "--device", name)
        sight.until(Sight.parts, lambda parts: parts.get("policy") == "stopped")

        controller.stop()
        for lift in (
            StopOrder(epoch=genuine.epoch + 1, stopped=False),
            replace(genuine, stopped=False),
            replace(genuine, epoch=genuine.epoch + 1, stopped=False),
        ):
            put(controller, lift)
            assert is_stopped(client)
        controller.start()
        until(lambda: kept(controller) == genuine)
        assert is_stopped(client)
        assert "stop_unproven" in [one["event"] for one in controller.log]

        admin(controller, "stop", "off", "--reason", "checked")
        until(lambda: not is_stopped(client))
        sight.until(Sight.parts, lambda parts: parts.get("policy") == "applied")
        sight.until(lambda each: each.rows("receipt_events"), lambda rows: rows >= 3)  # of two orders and a forgery
        controller.stop()  # who is called as it is would be thrown out by it
        put(controller, genuine)  # an old one, once more
        controller.start()
        until(lambda: kept(controller).epoch == genuine.epoch + 1)
        assert not is_stopped(client)


def test_a_stop_that_is_in_force_is_signed_anew_when_the_directors_key_is_changed_and_is_lifted_by_the_new_one(
    signed: SigningController, device: tuple[Site, str]
) -> None:
    site, _ = device
    controller, there = signed.controller, signed.fleet.director_root
    with site.daemon() as client:
        admin(controller, "stop", "on", "--reason", "theft")
        until(lambda: is_stopped(client))
        before = kept(controller)
        there.rotate(ONLINE, add=[key("newer", Purpose.ONLINE).public], drop=["online"], now_s=signed.fleet.now_s)
        for name in ("anna", "carla"):
            there.sign(key(name, Purpose.DIRECTOR).signer, signed.fleet.now_s)
        there.publish(signed.fleet.now_s)
        write_online_key(Path(controller.settings["RELEASES__ONLINE_KEY"]), "newer")
        until(lambda: kept(controller).key_id == key("newer", Purpose.ONLINE).public.keyid)
        assert (kept(controller).epoch, is_stopped(client)) == (before.epoch, True)
        admin(controller, "stop", "off", "--reason", "over")
        until(lambda: not is_stopped(client))
    with site.daemon() as client:
        assert not is_stopped(client)
