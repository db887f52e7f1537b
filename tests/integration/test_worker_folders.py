"""Workers' folders that outlive a killed daemon, told apart from those in use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from homebred_daemon.adapters.worker_folders import PREFIX, Hold, made_and_held, remove_leftovers


def made(runtime_dir: Path) -> Path:
    folder = runtime_dir / f"{PREFIX}made"
    folder.mkdir()
    return folder


def test_what_a_living_process_holds_stays_and_the_rest_goes(tmp_path: Path) -> None:
    runtime = tmp_path / "run"
    folder, hold = made_and_held(made, runtime)
    (runtime / f"{PREFIX}left").mkdir()
    (runtime / f"{PREFIX}left" / "engine.sock").touch()
    (runtime / "homebred.sock").touch()
    remove_leftovers(runtime)
    assert sorted(path.name for path in runtime.iterdir()) == [folder.name, "homebred.sock"]
    hold.release()
    hold.release()
    remove_leftovers(runtime)
    assert [path.name for path in runtime.iterdir()] == ["homebred.sock"]


def test_a_held_folder_is_held_once(tmp_path: Path) -> None:
    hold = Hold(tmp_path)
    with pytest.raises(BlockingIOError):
        Hold(tmp_path)
    hold.release()
    Hold(tmp_path).release()


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    code = (
        "import sys, os, signal, pathlib\n"
        "from homebred_daemon.adapters.worker_folders import Hold\n"
        "hold = Hold(pathlib.Path(sys.argv[1]))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    folder = made(tmp_path)
    subprocess.run([sys.executable, "-c", code, str(folder)], check=False, timeout=30)
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_links_and_files_with_such_a_name_are_left_alone(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    runtime = tmp_path / "run"
    runtime.mkdir()
    (runtime / f"{PREFIX}link").symlink_to(precious)
    (runtime / f"{PREFIX}file").touch()
    remove_leftovers(runtime)
    assert len(list(runtime.iterdir())) == 2
    assert precious.is_dir()


def test_there_may_be_no_runtime_folder_yet(tmp_path: Path) -> None:
    remove_leftovers(tmp_path / "nowhere")
    folder, hold = made_and_held(made, tmp_path / "new" / "run")
    hold.release()
    assert folder.is_dir()
