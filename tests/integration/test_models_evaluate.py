"""`homebred models` as people run it: the real command, the real worker process, no daemon but where one is started."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from tests.support.specialists import write_specialist
from tests.support.tiny_gguf import write_tiny_adapter, write_tiny_gguf

READY_WITHIN_S = 30.0
Homebred = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def temporary() -> Iterator[Path]:
    """Where the commands keep temporary files: a short path, as most people's is."""
    with tempfile.TemporaryDirectory(prefix="hb-", dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture
def home(tmp_path: Path, temporary: Path) -> dict[str, str]:
    """An environment of its own: state, sockets and temporary files."""
    own = {
        "HOMEBRED_PATHS__STATE_DIR": str(tmp_path / "state"),
        "HOMEBRED_PATHS__RUNTIME_DIR": str(tmp_path / "run"),
        "TMPDIR": str(temporary),
    }
    return {name: text for name, text in os.environ.items() if not name.startswith("HOMEBRED_")} | own


@pytest.fixture
def models(home: dict[str, str]) -> Homebred:
    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from homebred_daemon.cli import main; raise SystemExit(main())", "models"]
        command += map(str, arguments)
        return subprocess.run(command, env=home, capture_output=True, text=True, check=False, timeout=120)

    return run


@pytest.fixture
def parrot(tmp_path: Path) -> Path:
    return write_specialist(tmp_path / "parrot")


def as_json(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    value: dict[str, Any] = json.loads(line)
    return value


def test_a_specialist_is_added_measured_listed_and_removed(models: Homebred, parrot: Path, temporary: Path) -> None:
    assert as_json(models("add", parrot, "--json"))["change"] == "added"
    measured = as_json(models("evaluate", "parrot", "--json"))["workflows"]["say.again"]
    assert (round(measured["fitness"], 3), measured["samples"], measured["engine"]) == (0.667, 3, "echo")
    assert [row["score"] for row in measured["rows"]] == [1.0, 1.0, 0.0]
    assert all("answer" not in row for row in measured["rows"])
    assert 0 < measured["lower_limit"] < measured["fitness"]
    (listed,) = as_json(models("list", "--verify", "--json"))["specialists"]
    assert listed["workflows"]["say.again"]["samples"] == 3
    assert listed["base_is_intact"] is True
    assert as_json(models("rm", "parrot", "--json"))["freed_bytes"] == listed["base_bytes"]
    assert as_json(models("list", "--json")) == {"specialists": [], "damaged": []}
    assert list(temporary.iterdir()) == []


def test_people_read_tables_and_what_to_do_next(models: Homebred, parrot: Path) -> None:
    assert "no specialist is here yet" in models("list").stdout
    added = models("add", parrot).stdout
    assert added.startswith("added: parrot on sha256:")
    assert "homebred models evaluate parrot" in added
    evaluated = models("evaluate", "parrot").stdout
    assert "0.667" in evaluated
    assert "not fully right on line 3; see them with --show-wrong" in evaluated
    assert "answer    'c'" in models("evaluate", "parrot", "--show-wrong").stdout
    assert "say.again" in models("list").stdout
    assert models("rm", "parrot").stdout.startswith("removed: parrot; 0.0 kB freed")


def test_another_golden_set_may_be_named_and_the_wrong_answers_shown(
    models: Homebred, parrot: Path, tmp_path: Path
) -> None:
    models("add", parrot)
    golden = tmp_path / "other.jsonl"
    golden.write_text('{"input": "x", "expected": "x"}\n{"input": "y", "expected": "z"}\n')
    done = models("evaluate", "parrot", "--golden", golden, "--workflow", "say.again", "--show-wrong", "--json")
    right, wrong = as_json(done)["workflows"]["say.again"]["rows"]
    assert "answer" not in right
    assert (wrong["line"], wrong["answer"], wrong["expected"]) == (2, "y", "z")


def test_a_gguf_file_is_measured_by_the_embedded_engine(models: Homebred, tmp_path: Path) -> None:
    models("add", write_tiny_gguf(tmp_path / "tiny.gguf"))
    golden = tmp_path / "golden.jsonl"
    golden.write_text('{"input": "Hello", "expected": "x"}\n')
    refused = models("evaluate", "tiny")
    assert refused.returncode == 2
    assert "next:  name a file with --golden" in refused.stderr
    measured = as_json(models("evaluate", "tiny", "--golden", golden, "--json"))["workflows"]["*"]
    assert (measured["fitness"], measured["samples"], measured["engine"]) == (0.0, 1, "llamacpp")


def test_an_adapter_is_shown_with_its_size_and_measured_as_it_will_be_served(models: Homebred, tmp_path: Path) -> None:
    base = as_json(models("add", write_tiny_gguf(tmp_path / "tiny.gguf"), "--json"))["base_digest"]
    folder = write_specialist(
        tmp_path / "adapted",
        "adapted",
        engine="llamacpp",
        base=f'digest = "{base}"',
        further='[prompt]\nmax_tokens = 8\n[adapter]\nfile = "adapter.gguf"',
        rows=({"input": "Hello", "expected": "x"},),
        model=None,
    )
    size = write_tiny_adapter(folder / "adapter.gguf").stat().st_size
    added = models("add", folder).stdout
    assert f"\nwith the adapter sha256:{sha256((folder / 'adapter.gguf').read_bytes()).hexdigest()}, 11.0 kB" in added
    alone = ("--golden", folder / "golden/say.again.jsonl", "--show-wrong", "--json")
    of_base = as_json(models("evaluate", "tiny", *alone))["workflows"]["*"]
    of_adapted = as_json(models("evaluate", "adapted", "--show-wrong", "--json"))["workflows"]["say.again"]
    assert of_adapted["rows"][0]["answer"][:4] != of_base["rows"][0]["answer"][:4]
    shown = as_json(models("show", "adapted", "--json"))
    assert shown["adapter"] == {"digest": of_adapted["adapter_digest"], "bytes": size, "is_intact": True}
    assert shown["workflows"]["say.again"]["samples"] == 1
    told = models("show", "adapted").stdout
    assert f"base     {base}, " in told
    assert "kB of cache a token, trained for 8192 tokens" in told
    assert "11.0 kB" in models("list").stdout


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("show", "raven"), 2, "the store has no specialist 'raven'"),
        (("rm", "raven"), 2, "the store has no specialist 'raven'"),
        (("evaluate", "raven"), 2, "the store has no specialist 'raven'"),
        (("evaluate", "parrot", "--workflow", "sing"), 2, "has no workflow 'sing'"),
        (("evaluate", "parrot", "--golden", "nowhere.jsonl"), 2, "cannot be read"),
        (("add", "nowhere.gguf"), 2, "neither a file nor a folder"),
    ],
)
def test_what_cannot_be_done_is_said_with_what_to_do_next(
    models: Homebred, parrot: Path, arguments: tuple[str, ...], status: int, said: str
) -> None:
    models("add", parrot)
    done = models(*arguments)
    assert (done.returncode, done.stdout) == (status, "")
    assert said in done.stderr
    assert "\nnext:  " in done.stderr
    error = json.loads(models(*arguments, "--json").stdout)["error"]
    assert said in error["message"]
    assert error["hint"]


def test_a_worker_that_crashes_ends_the_evaluation_and_nothing_is_kept(
    models: Homebred, tmp_path: Path, temporary: Path
) -> None:
    rows = ({"input": "a", "expected": "a"}, {"input": "[echo crash_after=0]\nb", "expected": "b"})
    models("add", write_specialist(tmp_path / "parrot", rows=rows))
    done = models("evaluate", "parrot")
    assert done.returncode == 5
    assert "SIGABRT" in done.stderr
    (listed,) = as_json(models("list", "--json"))["specialists"]
    assert listed["workflows"]["say.again"] == {"samples": 0}
    assert list(temporary.iterdir()) == []


def test_verifying_ends_with_status_1_where_a_base_is_not_intact(
    models: Homebred, parrot: Path, tmp_path: Path
) -> None:
    models("add", parrot)
    (blob,) = (tmp_path / "state/models/blobs/sha256").iterdir()
    blob.unlink()
    assert models("list").returncode == 0
    done = models("list", "--verify")
    assert done.returncode == 1
    assert "NO" in done.stdout


def test_a_running_daemon_takes_up_what_is_added(
    models: Homebred, home: dict[str, str], parrot: Path, tmp_path: Path
) -> None:
    with running_daemon(home, tmp_path / "run/homebred.sock"):
        assert as_json(models("add", parrot, "--json"))["daemon"] == "reloaded"
        assert as_json(models("add", parrot, "--json"))["daemon"] == "not told"
    assert as_json(models("rm", "parrot", "--json"))["daemon"] == "not running"


@contextmanager
def running_daemon(home: dict[str, str], socket: Path) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-m", "homebred_daemon"], env=home, stderr=subprocess.PIPE, text=True)
    try:
        give_up_s = time.monotonic() + READY_WITHIN_S
        while not socket.exists() and time.monotonic() < give_up_s and process.poll() is None:
            time.sleep(0.02)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=READY_WITHIN_S)


def test_a_long_path_for_temporary_files_is_no_obstacle(
    models: Homebred, home: dict[str, str], parrot: Path, tmp_path: Path
) -> None:
    home["TMPDIR"] = str(tmp_path / ("long" * 20))
    Path(home["TMPDIR"]).mkdir()
    models("add", parrot)
    assert models("evaluate", "parrot").returncode == 0
