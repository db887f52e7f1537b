"""What is heard of NetworkManager over a real dbus-daemon, from a stand-in that comes, speaks and goes."""

from __future__ import annotations

import asyncio
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from jeepney import DBusAddress, HeaderFields, new_signal
from tests.support.system_bus import NAME, PATH, Caller, StandInNetworkManager, system_bus

from homebred_daemon.adapters.network_manager import BUS_VARIABLE, LONGEST_MESSAGE, _next_message, listen
from homebred_daemon.adapters.network_manager import system_bus as system_bus_of
from homebred_daemon.core.metering import SILENCE, ManagerWord, Saying
from homebred_daemon.services.background import beside

pytestmark = pytest.mark.skipif(shutil.which("dbus-daemon") is None, reason="dbus-daemon is missing")
WITHIN_S = 10.0
RETRY_S = 0.1
FULL, PORTAL = 4, 2
UNKNOWN_FIELD = b"\xc8"
"""Of a message's head; those who do not know it are to pass over it (D-Bus specification, "Header Fields")."""
METERED, FREE = (ManagerWord(metered=Saying(said), connectivity=FULL) for said in (1, 2))


class Ear:
    """All that was heard, in order, each word once."""

    def __init__(self) -> None:
        self.words: list[ManagerWord] = []

    def hear(self, word: ManagerWord) -> None:
        if not self.words or self.words[-1] != word:
            self.words.append(word)

    async def wait_for(self, word: ManagerWord) -> None:
        """Until that is the last word."""
        await until(lambda: self.words[-1:] == [word])


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not is_so():  # noqa: ASYNC110  # what is waited for happens in other threads and processes
            await asyncio.sleep(0.01)


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[str]:
    with system_bus(tmp_path / "bus") as address:
        yield address


def path_of(bus: str) -> str:
    path = system_bus_of({BUS_VARIABLE: bus})
    assert path is not None
    return path


async def test_what_it_says_and_says_anew_is_heard(bus: str) -> None:
    ear = Ear()
    with StandInNetworkManager(bus, Metered=1) as manager:
        async with beside(listen(ear.hear, path_of(bus))):
            await ear.wait_for(METERED)
            manager.says(Metered=2)
            await ear.wait_for(FREE)
            manager.says(Connectivity=PORTAL)
            await ear.wait_for(ManagerWord(metered=Saying.NO, connectivity=PORTAL))
            manager.says(WwanEnabled=False, Metered=3)
            await ear.wait_for(ManagerWord(metered=Saying.GUESS_YES, connectivity=PORTAL))
    assert len(ear.words) == 4


async def test_one_that_comes_goes_and_comes_again_is_heard_while_it_is_there(bus: str) -> None:
    ear = Ear()
    async with beside(listen(ear.hear, path_of(bus))):
        for _ in range(2):
            with StandInNetworkManager(bus, Metered=1):
                await ear.wait_for(METERED)
            await ear.wait_for(SILENCE)
    assert ear.words == [METERED, SILENCE, METERED, SILENCE]


async def test_a_bus_that_is_not_there_yet_or_starts_anew_is_no_error(tmp_path: Path) -> None:
    ear, folder = Ear(), tmp_path / "bus"
    async with beside(listen(ear.hear, str(folder / "bus"), retry_s=RETRY_S)):
        await ear.wait_for(SILENCE)
        for _ in range(2):
            with system_bus(folder) as address, StandInNetworkManager(address, Metered=1):
                await ear.wait_for(METERED)
            await ear.wait_for(SILENCE)


async def test_nobody_else_can_speak_in_its_name(bus: str) -> None:
    ear = Ear()
    with StandInNetworkManager(bus, Metered=1) as manager, Caller(bus) as stranger:
        async with beside(listen(ear.hear, path_of(bus))):
            await ear.wait_for(METERED)
            stranger.tell_changes({"Metered": 2})
            stranger.tell_changes({"Metered": 2}, to=manager.asked_by[0])
            manager.says(Connectivity=PORTAL)
            await ear.wait_for(ManagerWord(metered=Saying.YES, connectivity=PORTAL))
    assert {word.metered for word in ear.words} == {Saying.YES}


async def test_a_message_that_cannot_be_read_is_passed_over(bus: str) -> None:
    ear = Ear()
    with StandInNetworkManager(bus, Metered=1) as manager, Caller(bus) as stranger:
        async with beside(listen(ear.hear, path_of(bus))):
            await ear.wait_for(METERED)
            odd = new_signal(DBusAddress(PATH, interface=NAME), "Odd")
            odd.header.fields |= {HeaderFields.destination: manager.asked_by[0], HeaderFields.error_name: "a.b"}
            raw = odd.serialise(serial=1_000).replace(b"\x04\x01s", UNKNOWN_FIELD + b"\x01s")
            stranger.connection.sock.sendall(raw)
            await asyncio.sleep(0.1)
            manager.says(Metered=2)
            await ear.wait_for(FREE)
    assert ear.words == [METERED, FREE]
    reader = asyncio.StreamReader()
    reader.feed_data(raw)
    assert await _next_message(reader) is None


async def test_an_endless_message_from_a_stranger_ends_the_connection_and_a_new_one_is_made(bus: str) -> None:
    ear = Ear()
    with StandInNetworkManager(bus, Metered=1) as manager, Caller(bus) as stranger:
        async with beside(listen(ear.hear, path_of(bus), retry_s=RETRY_S)):
            await ear.wait_for(METERED)
            flood = new_signal(DBusAddress(PATH, interface=NAME), "Flood", "s", ("x" * LONGEST_MESSAGE,))
            flood.header.fields[HeaderFields.destination] = manager.asked_by[0]
            stranger.connection.send(flood)
            await until(lambda: len(manager.asked_by) == 2)
            await ear.wait_for(METERED)
    assert ear.words == [METERED, SILENCE, METERED]


@pytest.mark.parametrize("said", [b"REJECTED EXTERNAL\r\n", b"", b"OK 1234\r\n" + b"l\x63" * 8, b"OK 1\r\nx"])
async def test_what_is_no_bus_is_given_up_and_tried_again(tmp_path: Path, said: bytes) -> None:
    ear, tries = Ear(), threading.Semaphore(0)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "bus"))
        listening.listen()

        def answer() -> None:
            for _ in range(2):
                connection, _ = listening.accept()
                with connection:
                    connection.sendall(said)
                    connection.recv(1024)
                tries.release()

        answering = threading.Thread(target=answer)
        answering.start()
        async with beside(listen(ear.hear, str(tmp_path / "bus"), retry_s=RETRY_S)):
            await until(lambda: tries.acquire(blocking=False))
            await until(lambda: tries.acquire(blocking=False))
        answering.join()
    assert set(ear.words) <= {SILENCE}


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("", "/run/dbus/system_bus_socket"),
        ("unix:path=/a", "/a"),
        ("unix:path=/with%20space,guid=1;unix:path=/b", "/with space"),
        ("tcp:host=localhost,port=1", None),
        ("nonsense", None),
    ],
)
def test_the_bus_is_where_the_environment_says_if_it_says_so(address: str, path: str | None) -> None:
    assert system_bus_of({BUS_VARIABLE: address}) == path
