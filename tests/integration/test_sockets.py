"""The daemon's places: one daemon a folder, a socket for its group, a private folder, and what a killed one left."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.other_user import STRANGER, needs_root

from homebred_daemon.adapters.grpc_api.sockets import OwnSocket, SoleRight, private_socket
from homebred_daemon.errors import ConfigurationError, StateError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run = tmp_path / "run"
    run.mkdir(mode=0o700)
    return run


@pytest.fixture
def own(folder: Path) -> Iterator[OwnSocket]:
    made = OwnSocket(folder / "s", gid=None)
    yield made
    made.remove()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_right_is_had_by_one_at_a_time(folder: Path) -> None:
    first = SoleRight(folder / "made" / "lock")
    with pytest.raises(StateError, match="another daemon serves from"):
        SoleRight(folder / "made" / "lock")
    first.release()
    SoleRight(folder / "made" / "lock").release()
    assert mode(folder / "made") == 0o700


def test_a_lock_file_is_never_reached_through_a_link(folder: Path) -> None:
    (folder / "precious").write_text("kept")
    (folder / "lock").symlink_to(folder / "precious")
    with pytest.raises(StateError):
        SoleRight(folder / "lock")


def test_without_a_group_the_socket_is_its_users_alone(own: OwnSocket, folder: Path) -> None:
    assert (mode(folder / "s"), mode(folder)) == (0o600, 0o700)


@needs_root
def test_a_group_gets_the_socket_and_the_way_to_it_and_nothing_else(folder: Path) -> None:
    made = OwnSocket(folder / "s", gid=STRANGER)
    private = private_socket(folder)
    assert (mode(folder / "s"), (folder / "s").stat().st_gid) == (0o660, STRANGER)
    assert (mode(folder), folder.stat().st_gid) == (0o710, STRANGER)
    assert mode(private.parent) == 0o700
    made.remove()


@needs_root
def test_a_folder_that_everybody_may_pass_is_left_as_it_is(folder: Path) -> None:
    folder.chmod(0o755)
    made = OwnSocket(folder / "s", gid=STRANGER)
    assert (mode(folder), folder.stat().st_gid) == (0o755, os.getegid())
    made.remove()


def test_what_a_killed_daemon_left_is_replaced(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(folder / "s"))
    OwnSocket(folder / "s", gid=None).remove()
    assert not (folder / "s").exists()


def test_a_socket_that_somebody_serves_is_not_taken(own: OwnSocket, folder: Path) -> None:
    with pytest.raises(StateError, match="another process serves"):
        OwnSocket(folder / "s", gid=None)
    with socket.socket(socket.AF_UNIX) as client:
        assert client.connect_ex(str(folder / "s")) == 0


def test_a_file_in_its_place_is_not_removed(folder: Path) -> None:
    (folder / "s").write_text("precious")
    with pytest.raises(StateError, match="is not a socket"):
        OwnSocket(folder / "s", gid=None)
    assert (folder / "s").read_text() == "precious"


def test_on_leaving_it_takes_away_its_own_path_only(folder: Path) -> None:
    first = OwnSocket(folder / "s", gid=None)
    (folder / "s").rename(folder / "moved")
    (folder / "s").write_text("somebody else's")
    first.remove()
    assert (folder / "s").read_text() == "somebody else's"
    first.remove()


def test_a_private_folder_is_closed_again_and_emptied_of_a_left_socket(folder: Path) -> None:
    (folder / "private").mkdir(mode=0o755)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(folder / "private" / "grpc.sock"))
    path = private_socket(folder)
    assert (mode(path.parent), path.exists()) == (0o700, False)


def test_a_private_folder_is_never_a_link_to_another(folder: Path, tmp_path: Path) -> None:
    (folder / "private").symlink_to(tmp_path)
    with pytest.raises(StateError):
        private_socket(folder)
    assert tmp_path.exists()


@needs_root
def test_a_private_folder_of_somebody_else_is_refused(folder: Path) -> None:
    (folder / "private").mkdir()
    os.chown(folder / "private", STRANGER, STRANGER)
    with pytest.raises(StateError, match="no folder of this user"):
        private_socket(folder)


def test_a_path_too_long_for_a_socket_is_a_matter_of_configuration(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    with pytest.raises(ConfigurationError, match="Unix sockets allow 107"):
        private_socket(deep)
