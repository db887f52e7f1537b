"""Folders made so that others cannot look in, and the daemon's own user can."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from homebred_daemon.adapters.durable_files import make_folder

_SOMEBODY = 65534


def test_a_new_folder_and_its_new_parents_are_the_owner_s_alone_and_old_ones_stay(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    before = os.umask(0)
    try:
        make_folder(tmp_path / "state" / "models" / "specialists")
    finally:
        os.umask(before)
    made = [tmp_path / "state", tmp_path / "state/models", tmp_path / "state/models/specialists"]
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in (tmp_path, *made)] == [0o755, 0o700, 0o700, 0o700]


def test_a_folder_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o750)
    make_folder(tmp_path / "state")
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o750


def test_a_file_in_a_folder_s_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes(b"")
    with pytest.raises(FileExistsError):
        make_folder(tmp_path / "state")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")
def test_what_root_makes_in_a_daemon_s_folder_is_the_daemon_s(tmp_path: Path) -> None:
    os.chown(tmp_path, _SOMEBODY, _SOMEBODY)
    make_folder(tmp_path / "models" / "blobs")
    made = [(tmp_path / "models").stat(), (tmp_path / "models/blobs").stat()]
    assert [(each.st_uid, each.st_gid) for each in made] == [(_SOMEBODY, _SOMEBODY)] * 2
