from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from homebred_engines.build_errors import BuildRefusedError
from homebred_engines.build_folder import new_folder


def test_the_folder_appears_when_it_is_whole_and_nothing_else_stays(tmp_path: Path) -> None:
    out = tmp_path / "far" / "out"
    with new_folder(out) as folder:
        (folder.path / "x").write_text("1")
        (folder.scratch / "y").write_text("2")
        assert not out.exists()
    assert [path.name for path in out.iterdir()] == ["x"]
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with new_folder(tmp_path / "out") as folder:
        (folder.path / "x").write_text("1")
    assert (tmp_path / "out" / "x").exists()


def test_after_a_failure_nothing_is_there(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "out") as folder:
        (folder.path / "x").write_text(str(1 // 0))
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_build_left_is_removed_by_the_next(tmp_path: Path) -> None:
    left = tmp_path / ".out.building"
    (left / "new" / "deep").mkdir(parents=True)
    (left / "new" / "half").write_text("1")
    (left / "link").symlink_to(tmp_path)
    with new_folder(tmp_path / "out") as folder:
        assert list(folder.path.iterdir()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("kind", ["file", "link", "filled"])
def test_what_is_there_already_stays(tmp_path: Path, kind: str) -> None:
    out = tmp_path / "out"
    if kind == "file":
        out.write_text("mine")
    elif kind == "link":
        out.symlink_to(tmp_path / "nowhere")
    else:
        out.mkdir()
        (out / "mine").write_text("mine")
    with pytest.raises(BuildRefusedError, match="is there already"), new_folder(out):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_two_builds_of_one_name_are_kept_apart_and_so_is_a_command_that_outlives_one(tmp_path: Path) -> None:
    with new_folder(tmp_path / "out") as folder:
        with pytest.raises(BuildRefusedError, match="Another build fills"), new_folder(tmp_path / "out"):
            pass
        inherited = os.dup(folder.lock)
        (folder.path / "x").write_text("1")
    assert (tmp_path / "out" / "x").exists()
    aside = tmp_path / ".other.building"
    aside.mkdir()
    held = os.open(aside, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    with pytest.raises(BuildRefusedError, match="Another build fills"), new_folder(tmp_path / "other"):
        pass
    for descriptor in (inherited, held):
        os.close(descriptor)


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(BuildRefusedError, match="cannot be made"),
        new_folder(tmp_path / "file" / "out"),
    ):
        pass
