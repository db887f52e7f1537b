"""A device that is taken out is out of a real broker within five seconds, and stays out."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from tests.support.broker import Broker, now_s, running_broker
from tests.support.controller import Controller, Device, running_controller
from tests.support.fleet_journal import KeptJournal
from tests.support.mqtt_client import Client, clients

from homebred_fleet.adapters.broker_control import Address, BrokerOnThisMachine
from homebred_fleet.adapters.certificate_authority import CertificateAuthority
from homebred_fleet.adapters.store.identities import IdentityStore
from homebred_fleet.errors import BrokerError
from homebred_fleet.ports.authority import Revocation
from homebred_fleet.services.revoking import Pace, Revoking
from homebred_protocol.mqtt import Connected, Ended
from homebred_protocol.mqtt_thread import MqttThread
from homebred_protocol.topics import DeviceTopic, Up

OUT_WITHIN_S = 5.0
STAYS_OUT_TRIES = 10


class Office:
    """Revocation beside a controller's process, over the same database and broker, on a loop of its own."""

    def __init__(
        self, controller: Controller, *, reload_command: tuple[str, ...] = (), pace: Pace | None = None
    ) -> None:
        folder = controller.folder
        self.database = controller.database()
        self.journal = KeptJournal()
        self.revoking = Revoking(
            IdentityStore(self.database),
            CertificateAuthority.opened(folder),
            control_of(controller.broker, reload_command),
            self.journal,
            now_s=now_s,
            pace=pace,
        )

    @contextmanager
    def working(self) -> Iterator[Revoking]:
        loop = asyncio.new_event_loop()
        task = loop.create_task(self.revoking.run())
        thread = threading.Thread(target=self._run, args=(loop, task))
        thread.start()
        try:
            yield self.revoking
        finally:
            loop.call_soon_threadsafe(task.cancel)
            thread.join()
            loop.close()
            self.database.close()

    @staticmethod
    def _run(loop: asyncio.AbstractEventLoop, task: asyncio.Task[None]) -> None:
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(task)


def control_of(broker: Broker, reload_command: tuple[str, ...] = ()) -> BrokerOnThisMachine:
    return BrokerOnThisMachine(
        Address(host="localhost", port=broker.port, authorities=broker.folder.authorities),
        pid_file=broker.folder.broker_pid,
        reload_command=reload_command,
        connect=MqttThread,
    )


@pytest.fixture(scope="module")
def controller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    with running_controller(tmp_path_factory.mktemp("fleet") / "fleet") as running:
        yield running


def stays_out(client: Client) -> None:
    """It is refused at every try from now on."""
    for _ in range(STAYS_OUT_TRIES):
        assert isinstance(client.connect(clean_start=False, session_expiry_s=3600), Ended)


def test_a_revoked_device_is_out_within_5_seconds_and_stays_out_and_others_stay(controller: Controller) -> None:
    one, other = controller.enrol(), controller.enrol()
    with clients(controller.broker.port) as make, Office(controller).working() as revoking:
        out, stays = make(one.id, one.credentials), make(other.id, other.credentials)
        for client in (out, stays):
            client.connected(clean_start=False, session_expiry_s=3600)
        started_s = time.monotonic()
        assert revoking.revoke(one.id, reason="stolen", by="test")
        out.ended(within_s=OUT_WITHIN_S)
        took_s = time.monotonic() - started_s
        assert took_s < OUT_WITHIN_S
        stays_out(out)
        assert controller.ask("GET", "/device/v1/enrolment", credentials=one.credentials).error == "device_revoked"
        assert stays.publish(DeviceTopic(other.id, Up.STATE).text)
        controller.broker.reload()
        stays_out(out)
        controller.broker.stop()
        controller.broker.start()
        stays_out(out)
        assert isinstance(stays.ended(), Ended)
        assert isinstance(stays.connect(), Connected)


def test_a_device_that_reconnects_all_the_time_is_out_too(controller: Controller) -> None:
    device = controller.enrol()
    with clients(controller.broker.port) as make, Office(controller).working() as revoking:
        client = make(device.id, device.credentials)
        client.connected()
        revoking.revoke(device.id, reason="stolen", by="test")
        deadline_s, refused_s = time.monotonic() + OUT_WITHIN_S, 0.0
        while time.monotonic() < deadline_s:  # whatever ends, it comes again at once
            if isinstance(client.connect(), Connected):
                refused_s = 0.0
            elif not refused_s:
                refused_s = time.monotonic()
        assert refused_s
        stays_out(client)


def test_many_that_are_taken_out_at_once_are_all_out(controller: Controller) -> None:
    """Lists follow each other within a second: of two with the same time the broker would keep the first."""
    enrolled = [controller.enrol() for _ in range(6)]
    with clients(controller.broker.port) as make, Office(controller).working() as revoking:
        connected = [make(device.id, device.credentials) for device in enrolled]
        for client in connected:
            client.connected()
        started_s = time.monotonic()
        for device in enrolled:
            revoking.revoke(device.id, reason="stolen", by="test")
            time.sleep(0.1)
        for client in connected:
            client.ended(within_s=OUT_WITHIN_S)
        assert time.monotonic() - started_s < OUT_WITHIN_S
        for client in connected:
            assert isinstance(client.connect(), Ended)


def test_what_a_broker_missed_while_it_was_away_it_refuses_from_its_start(controller: Controller) -> None:
    device = controller.enrol()
    quick = Pace(retry_s=0.2)
    office = Office(controller, pace=quick)
    with clients(controller.broker.port) as make, office.working() as revoking:
        controller.broker.kill()
        revoking.revoke(device.id, reason="stolen", by="test")
        eventually(lambda: "revocation_not_in_force" in office.journal.names)
        eventually(lambda: takes_back(controller, device))
        controller.broker.start()
        stays_out(make(device.id, device.credentials))
        eventually(lambda: "revocation_in_force" in office.journal.names)


def test_a_command_may_reload_the_broker_and_one_that_does_not_is_noticed(controller: Controller) -> None:
    device = controller.enrol()
    office = Office(controller, reload_command=("true",), pace=Pace(retry_s=60.0, patience_s=0.3))
    with clients(controller.broker.port) as make, office.working() as revoking:
        client = make(device.id, device.credentials)
        client.connected()
        revoking.revoke(device.id, reason="stolen", by="test")
        client.ended(within_s=OUT_WITHIN_S)  # thrown out all the same
        eventually(lambda: "revocation_not_in_force" in office.journal.names)
        (entry,) = [one for one in office.journal.entries if one.event.name == "revocation_not_in_force"]
        assert entry.fields["cause"] == "broker_not_reloaded"
    pid = str(controller.broker.folder.broker_pid.read_text()).strip()
    office = Office(controller, reload_command=("kill", "-HUP", pid))
    with clients(controller.broker.port) as make, office.working():
        client = make(device.id, device.credentials)
        eventually(lambda: isinstance(client.connect(), Ended))
        stays_out(client)


def test_the_controllers_own_process_puts_in_force_what_was_taken_back(controller: Controller) -> None:
    old = controller.enrol()
    with clients(controller.broker.port) as make:
        client = make(old.id, old.credentials)
        client.connected()
        started_s = time.monotonic()
        controller.enrol(controller.token(replaces=old.id))
        client.ended(within_s=OUT_WITHIN_S)
        assert time.monotonic() - started_s < OUT_WITHIN_S
        stays_out(client)


def test_what_was_taken_back_before_a_crash_is_put_in_force_at_the_next_start(controller: Controller) -> None:
    device = controller.enrol()
    with clients(controller.broker.port) as make:
        client = make(device.id, device.credentials)
        client.connected()
        controller.kill()
        database = controller.database()
        IdentityStore(database).revoke(device.id, reason="stolen", by="test", now_s=now_s())
        database.close()
        controller.start()
        client.ended(within_s=OUT_WITHIN_S)
        stays_out(client)


async def test_a_broker_of_another_fleet_is_not_taken_for_one_that_refuses(
    controller: Controller, tmp_path: Path
) -> None:
    with running_broker(tmp_path / "other") as other:
        probe = CertificateAuthority.opened(controller.folder).takeover_of("clinic-1", now_s=now_s())
        stranger = BrokerOnThisMachine(
            Address(host="localhost", port=other.port, authorities=controller.folder.authorities),
            pid_file=other.folder.broker_pid,
            reload_command=(),
            connect=MqttThread,
        )
        with pytest.raises(BrokerError) as refused:
            await stranger.refuses(probe)
        assert refused.value.code == "broker_not_trusted"


async def test_lists_that_follow_each_other_are_read_in_their_order(tmp_path: Path) -> None:
    with running_broker(tmp_path / "fleet") as broker:
        authority, control = broker.authority, control_of(broker)
        taken: list[Revocation] = []
        for number in range(4):
            probe = authority.write_revocations(taken, now_s=now_s())
            await control.reload()
            async with asyncio.timeout(OUT_WITHIN_S):
                while not await control.refuses(probe):  # noqa: ASYNC110  # another process's state
                    await asyncio.sleep(0.02)
            taken.append(Revocation(serial=f"{number + 1:x}", at_s=now_s()))


def takes_back(controller: Controller, device: Device) -> bool:
    """Whether the list that the broker reads at its start has the device's certificate."""
    lists = x509.load_pem_x509_crl(controller.folder.revocation_list.read_bytes())
    return lists.get_revoked_certificate_by_serial_number(device.certificate.serial_number) is not None


def eventually(condition: Callable[[], bool], *, within_s: float = 10.0) -> None:
    """Waits until it is so."""
    deadline_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline_s, "it did not come to that"
        time.sleep(0.05)
