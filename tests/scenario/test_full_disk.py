"""A disk that fills while the daemon serves, and a state folder it cannot use: told as what, why and what next."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path
from random import Random

import pytest
from tests.support.bounded_disks import bound_files, fill, make_room, small_disk, without_rights
from tests.support.daemon_process import Site
from tests.support.killed_daemons import Tally, started
from tests.support.ledger_entries import entries, keep_documents
from tests.support.obligations import Heard, check_kept, listen
from tests.support.wire_client import DaemonClient

from homebred_daemon.adapters.store.ledger import SqliteLedger
from homebred_protocol.v1 import inference_pb2 as wire

TASK = wire.Task(text="one two three", data_classes=["patient"])
LONG = wire.Task(text="[echo token_delay_s=0.05]\n" + "word " * 20, data_classes=["patient"])
SOMEBODY = 65534


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


class Bound:
    """Files that may grow no further, as on a full disk."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def disk(self) -> AbstractContextManager[object]:
        return nullcontext()

    def fill(self) -> None:
        assert self._site.process is not None
        log = self._site.state / "ledger.sqlite-wal"
        bound_files(self._site.process.pid, log.stat().st_size)

    def make_room(self) -> None:
        assert self._site.process is not None
        bound_files(self._site.process.pid, -1)


class Small:
    """A small disk of its own."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def disk(self) -> AbstractContextManager[object]:
        return small_disk(self._site.state, megabytes=4)

    def fill(self) -> None:
        fill(self._site.state)

    def make_room(self) -> None:
        make_room(self._site.state)


Disk = Bound | Small


@pytest.mark.parametrize("kind", [Bound, Small])
def test_a_full_disk_stops_tasks_and_nothing_else_and_room_is_enough_to_go_on(
    site: Site, kind: Callable[[Site], Disk]
) -> None:
    disk, tally = kind(site), Tally()
    with disk.disk():
        site.add_echo("repeater")
        with started(site, tally), DaemonClient(site.socket) as client:
            before = [listen(client, TASK) for _ in range(3)]
            under_way: list[Heard] = []

            def once_full(_: str) -> None:
                if not under_way:
                    under_way.append(Heard())
                    disk.fill()

            caught = listen(client, LONG, on_event=once_full)
            refused = [listen(client, TASK) for _ in range(5)]
            assert client.status().version
            disk.make_room()
            after = [listen(client, TASK) for _ in range(3)]
            check_kept(site.state / "ledger.sqlite", [*before, *after], may_be_unfinished=True)
        assert [heard.outcomes for heard in before + after] == [["answer"]] * 6
        not_acted_on = [(heard.routes, heard.deltas, heard.error) for heard in refused]
        assert not_acted_on == [([], 0, "bad_state")] * 5, "what cannot be recorded is not acted on"
        assert (caught.outcomes, caught.error) == (["error"], "bad_state"), "decided, and no room for its outcome"
        with started(site, tally):
            check_kept(site.state / "ledger.sqlite", [*before, *after])


def refusal(site: Site, *flags: str, limited: bool = False) -> str:
    """What a daemon that does not start says."""
    command = site.command(*flags)
    ended = subprocess.run(
        without_rights(command) if limited else command, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 2, ended
    assert "Traceback" not in ended.stderr
    _, _, said = f"\n{ended.stderr}".partition("\nerror: ")  # what is before is its log
    assert "\nnext:  " in said
    return said


def test_a_full_disk_without_a_ledger_is_refused(site: Site) -> None:
    with small_disk(site.state, megabytes=1):
        fill(site.state)
        assert str(site.state) in refusal(site)
        make_room(site.state)
        with started(site, Tally()):
            pass


def test_a_start_on_a_full_disk_waits_for_room_and_loses_nothing(site: Site) -> None:
    with small_disk(site.state, megabytes=4):
        site.add_echo("repeater")
        with started(site, Tally()), DaemonClient(site.socket) as client:
            before = listen(client, TASK)
        fill(site.state)
        with attempt(site) as process:
            if is_up(site, process):
                with DaemonClient(site.socket) as client:
                    assert listen(client, TASK).error == "bad_state"
            else:
                assert_refused(process, site.state)
        make_room(site.state)
        with started(site, Tally()), DaemonClient(site.socket) as client:
            after = listen(client, TASK)
            check_kept(site.state / "ledger.sqlite", [before, after])
        assert before.outcomes == after.outcomes == ["answer"]


def test_a_read_only_disk_is_refused(site: Site) -> None:
    with small_disk(site.state, megabytes=1, read_only=True):
        assert str(site.state) in refusal(site)


@pytest.mark.parametrize("mode", [0o700, 0o500])
def test_a_state_folder_that_is_not_ours_to_write_is_refused(site: Site, mode: int) -> None:
    site.state.mkdir()
    site.state.chmod(mode)
    if os.geteuid() == 0:
        os.chown(site.state, SOMEBODY, SOMEBODY)
    elif mode & 0o200:
        pytest.skip("without root there is nobody else to own it")
    assert str(site.state) in refusal(site, limited=True)


def test_a_place_where_no_state_folder_can_be_made_is_refused(site: Site) -> None:
    (site.folder / "state").write_text("a file")
    assert str(site.state) in refusal(site)


def test_a_runtime_folder_that_cannot_be_written_is_refused(site: Site) -> None:
    runtime = site.folder / "run"
    runtime.mkdir()
    runtime.chmod(0o500)
    if os.geteuid() == 0:
        os.chown(runtime, SOMEBODY, SOMEBODY)
    assert str(runtime) in refusal(site, limited=True)


def filled_ledger(site: Site) -> Path:
    """A ledger of some pages, closed."""
    site.add_echo("repeater")
    path = site.state / "ledger.sqlite"
    with closing(SqliteLedger(path)) as ledger:
        keep_documents(ledger)
        ledger.record_decisions(entries(*(str(number) for number in range(40))))
    return path


def random_bytes(body: bytes) -> bytes:
    return Random(len(body)).randbytes(len(body))


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "random bytes": random_bytes,
    "a text": lambda _: b"not a database at all\n" * 300,
    "cut in half": lambda body: body[: len(body) // 2],
    "a random head": lambda body: random_bytes(body[:4096]) + body[4096:],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_ledger_is_refused_and_left_as_it_is(site: Site, damage: str) -> None:
    ledger = filled_ledger(site)
    damaged = DAMAGES[damage](ledger.read_bytes())
    ledger.write_bytes(damaged)
    assert str(ledger) in refusal(site)
    assert ledger.read_bytes() == damaged


def with_random_pages(body: bytes) -> bytes:
    """All but the first, which says what is where."""
    return body[:4096] + random_bytes(body[4096:])


@pytest.mark.parametrize("damage", [with_random_pages, lambda body: body[:-1000]], ids=["random pages", "a cut page"])
def test_damage_that_shows_when_it_is_touched_is_told_then(site: Site, damage: Callable[[bytes], bytes]) -> None:
    """SQLite looks at a page when it needs it: a start that read all of a large ledger would take minutes."""
    ledger = filled_ledger(site)
    ledger.write_bytes(damage(ledger.read_bytes()))
    left = ledger.read_bytes()
    with attempt(site) as process:
        if is_up(site, process):
            with DaemonClient(site.socket) as client:
                heard = [listen(client, TASK) for _ in range(3)]
            assert {each.error for each in heard} <= {"", "bad_state"}
            assert all(each.is_clear for each in heard)
            assert ledger.stat().st_size >= len(left)
        else:
            assert_refused(process, ledger)
            assert ledger.read_bytes() == left


@contextmanager
def attempt(site: Site) -> Iterator[subprocess.Popen[str]]:
    """A daemon that may or may not start."""
    process = subprocess.Popen(site.command(), stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def assert_refused(process: subprocess.Popen[str], path: Path) -> None:
    assert process.returncode == 2
    assert process.stderr is not None
    said = process.stderr.read()
    assert str(path) in said
    assert "\nnext:  " in said


def is_up(site: Site, process: subprocess.Popen[str]) -> bool:
    """Whether it serves; if not, it has ended."""
    while process.poll() is None:
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(site.socket)) == 0:
                return True
        time.sleep(0.02)
    return False
