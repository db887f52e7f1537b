"""The daemon killed at random moments: no task is lost, and the next start is clean."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest
from tests.support.daemon_process import Site
from tests.support.killed_daemons import Tally, kill_and_restart
from tests.support.killed_reviews import Reviewers

from homebred_protocol.v1 import inference_pb2 as wire

SEED = 20261123
SITES = 2
KILLS, KILLS_WHEN_THOROUGH = 8, 200


@pytest.fixture
def kills(thorough: bool) -> int:  # noqa: FBT001 - a fixture
    """At each of the sites."""
    return (KILLS_WHEN_THOROUGH if thorough else KILLS) // SITES


def sites(folder: Path) -> list[Site]:
    made = [Site(folder / str(number)) for number in range(SITES)]
    for site in made:
        site.folder.mkdir()
        site.add_echo("repeater")
    return made


def streams(random: Random) -> wire.Task:
    """Long enough to be cut in the middle."""
    text = "[echo token_delay_s=0.01]\n" + "word " * random.randint(5, 80)
    return wire.Task(text=text, data_classes=["patient"])


def trifles(random: Random) -> wire.Task:
    """Over in no time; every third is for a person."""
    needs = ["vision"] if random.random() < 1 / 3 else []
    return wire.Task(text="word " * random.randint(1, 4), data_classes=["patient"], requires=needs)


@pytest.mark.timeout(900)
def test_a_daemon_killed_in_the_middle_of_streams_loses_no_task(tmp_path: Path, kills: int) -> None:
    def run(number: int, site: Site) -> Tally:
        return kill_and_restart(
            site,
            streams,
            kills=kills,
            seed=SEED + number,
            callers=4,
            reconnects=False,
            waits_for_event=True,
            within_s=1.0,
        )

    with ThreadPoolExecutor(SITES) as pool:
        tally = sum(pool.map(run, range(SITES), sites(tmp_path)), Tally())
    print(f"killed mid-stream: {tally}")  # noqa: T201 - with `pytest -s`: what was gone through
    assert tally.kills == kills * SITES
    assert tally.cut_short


@pytest.mark.timeout(900)
def test_a_daemon_killed_while_it_accepts_tasks_loses_none_that_a_caller_saw(tmp_path: Path, kills: int) -> None:
    def run(number: int, site: Site) -> Tally:
        return kill_and_restart(
            site,
            trifles,
            kills=kills,
            seed=SEED + number,
            callers=4,
            reconnects=True,
            waits_for_event=False,
            within_s=1.0,
        )

    with ThreadPoolExecutor(SITES) as pool:
        tally = sum(pool.map(run, range(SITES), sites(tmp_path)), Tally())
    print(f"killed mid-accept: {tally}")  # noqa: T201 - as above
    assert tally.kills == kills * SITES
    assert tally.tasks > tally.kills


def for_a_person(random: Random) -> wire.Task:
    """Nothing here can see."""
    return wire.Task(text="word " * random.randint(1, 50), data_classes=["patient"], requires=["vision"])


@pytest.mark.timeout(900)
def test_a_daemon_killed_while_people_answer_loses_no_answer_and_takes_none_twice(tmp_path: Path, kills: int) -> None:
    reviewers = [Reviewers(number=3) for _ in range(SITES)]

    def run(number: int, site: Site) -> Tally:
        return kill_and_restart(
            site,
            for_a_person,
            kills=kills,
            seed=SEED + number,
            callers=3,
            reconnects=False,
            waits_for_event=True,
            within_s=0.5,
            company=reviewers[number],
        )

    with ThreadPoolExecutor(SITES) as pool:
        tally = sum(pool.map(run, range(SITES), sites(tmp_path)), Tally())
    taken, in_doubt = (sum(getattr(each, name) for each in reviewers) for name in ("taken", "in_doubt"))
    print(f"killed mid-review: {tally}; answers taken {taken}, in doubt {in_doubt}")  # noqa: T201 - as above
    assert tally.kills == kills * SITES
    assert taken
