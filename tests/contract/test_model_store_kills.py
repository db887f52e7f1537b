"""What a store holds after `kill -9` at any step of a writer."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.specialists import write_specialist, write_specialist_of_folders
from tests.support.stored_specialists import leftovers_in, specialists_of, titles_of

from homebred_daemon.adapters.model_store import ModelStore

OLD, NEW = "Says it again", "Says it better"
Survivors = Callable[[str], Iterator[ModelStore]]


@pytest.fixture(params=["a file", "folders"])
def of_folders(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "folders")


@pytest.fixture
def old(tmp_path: Path, of_folders: bool) -> Path:  # noqa: FBT001 - a fixture
    if of_folders:
        return write_specialist_of_folders(tmp_path / "old", title=OLD)
    return write_specialist(tmp_path / "old", title=OLD)


@pytest.fixture
def new(tmp_path: Path, of_folders: bool) -> Path:  # noqa: FBT001 - a fixture
    if of_folders:
        return write_specialist_of_folders(tmp_path / "new", title=NEW)
    return write_specialist(tmp_path / "new", title=NEW, model={"format": "homebred-echo", "logprob": -1.0})


@pytest.fixture
def killed(tmp_path: Path, old: Path, new: Path) -> Survivors:
    """The stores that a scenario's kills left, opened anew; the last one's writer survived."""

    def run(scenario: str) -> Iterator[ModelStore]:
        template, out = tmp_path / "template", tmp_path / scenario
        (template / "specialists").mkdir(parents=True)
        if scenario != "add":
            ModelStore(template).add(old)
        command = [sys.executable, "-m", "tests.support.killed_writers", scenario, str(new), str(template), str(out)]
        steps = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
        assert len(steps) > 10
        for number, step in enumerate(steps, start=1):
            assert step.startswith(f"{number} ")
            root = out / str(number)
            store = ModelStore(root)
            assert leftovers_in(root) == [], step
            yield store

    return run


def test_a_killed_add_leaves_nothing_new_or_all_of_it_and_can_be_repeated(killed: Survivors, new: Path) -> None:
    seen = []
    for store in killed("add"):
        seen.append(titles_of(store))
        store.add(new)
        assert titles_of(store) == [NEW]
    assert seen[0] == []
    assert seen[-1] == [NEW]
    assert set(map(tuple, seen)) == {(), (NEW,)}


def test_a_killed_replacement_leaves_the_old_specialist_or_the_new_one(killed: Survivors, new: Path) -> None:
    seen = []
    for store in killed("replace"):
        (title,) = titles_of(store)
        seen.append(title)
        store.add(new, replaces=True)
        assert titles_of(store) == [NEW]
    assert seen == [OLD] * seen.count(OLD) + [NEW] * seen.count(NEW)
    assert set(seen) == {OLD, NEW}


def test_a_killed_removal_leaves_the_specialist_whole_or_not_at_all(killed: Survivors) -> None:
    seen = [titles_of(store) for store in killed("remove")]
    assert set(map(tuple, seen)) == {(), (OLD,)}
    assert seen[-1] == []


def test_a_killed_record_of_fitness_leaves_the_specialist_and_what_was_measured_or_nothing(killed: Survivors) -> None:
    seen = []
    for store in killed("record"):
        (specialist,) = specialists_of(store)
        assert specialist.note == ""
        seen.append(len(specialist.measurements))
    assert set(seen) == {0, 1}
