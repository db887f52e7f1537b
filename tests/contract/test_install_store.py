"""One suite for whatever keeps installs: in SQLite and in memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.install_stage import SPECIALIST, release
from tests.support.memory_installs import MemoryInstallStore

from homebred_daemon.adapters.store.installs import (
    INSTALLS,
    KEPT_INSTALLS,
    KEPT_REFUSALS,
    MOST_OUTCOMES,
    SqliteInstallStore,
)
from homebred_daemon.core.compatibility import Refusal
from homebred_daemon.core.deployment import Event, Install, State, Tally
from homebred_daemon.core.pairs import NONE_YET, Pair, Pairs
from homebred_daemon.errors import StateError
from homebred_daemon.ports.installs import Counted, InstallStore

NOW_S = 1_790_000_000
TO_PROBATION = (Event.FETCHED, Event.VERIFIED, Event.FITS, Event.PASSED, Event.ACTIVATED)


@pytest.fixture(params=["sqlite", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[InstallStore]:
    made: InstallStore = (
        SqliteInstallStore(tmp_path / "installs.sqlite") if request.param == "sqlite" else MemoryInstallStore()
    )
    yield made
    made.close()


def moved(store: InstallStore, install: Install, *events: Event) -> Install:
    for event in events:
        install = store.move(install, event, now_s=install.changed_at_s + 1, facts={})
    return install


def counted(number: int, good: int, seen: int, version: str = "") -> list[Counted]:
    tally = Tally(good=good, seen=seen)
    return [Counted(specialist=SPECIALIST, version=version or f"v{number}", tally=tally)]


def test_what_was_begun_is_found_with_its_release(store: InstallStore) -> None:
    install = store.begin(release(1), now_s=NOW_S)
    assert store.find(install.seq) == install
    assert store.unfinished() == [install]
    assert store.history(SPECIALIST) == [install]
    assert store.history("another") == []
    assert store.find(99) is None
    (step,) = store.steps(install)
    assert (step.event, step.state, step.at_s) == (None, State.DOWNLOADING, NOW_S)


def test_every_move_is_kept_with_why_and_its_facts(store: InstallStore) -> None:
    install = moved(store, store.begin(release(1), now_s=NOW_S), *TO_PROBATION[:3])
    why = Refusal(code="gate_quality", sentence="it scored too little")
    refused = store.move(install, Event.REFUSAL, now_s=NOW_S + 9, refusal=why, facts={"score_ppm": 1})
    assert store.find(install.seq) == refused
    assert (refused.state, refused.code, refused.reason) == (State.REFUSED, "gate_quality", "it scored too little")
    last = store.steps(install)[-1]
    assert (last.event, last.state, last.code, last.facts) == (
        Event.REFUSAL,
        State.REFUSED,
        "gate_quality",
        {"score_ppm": 1},
    )
    assert store.unfinished() == []


def test_an_event_that_cannot_come_changes_nothing(store: InstallStore) -> None:
    install = store.begin(release(1), now_s=NOW_S)
    with pytest.raises(ValueError, match="cannot come"):
        store.move(install, Event.ACTIVATED, now_s=NOW_S, facts={})
    assert store.find(install.seq) == install


def test_what_it_and_what_serves_made_of_the_same_tasks_is_kept(store: InstallStore) -> None:
    install = moved(store, store.begin(release(1), now_s=NOW_S), *TO_PROBATION[:3], Event.PASSED_TO_SHADOW)
    assert install.pairs == NONE_YET
    pairs = Pairs(version="v1").plus(Pair(serving_is_good=True, newcomer_is_good=False))
    assert store.compare(install, pairs) == replace(install, pairs=pairs)
    assert store.find(install.seq) == replace(install, pairs=pairs)
    assert store.unfinished() == [replace(install, pairs=pairs)]
    assert len(store.steps(install)) == 5
    further = moved(store, replace(install, pairs=pairs), Event.COMPARED)
    assert store.find(install.seq) == further
    assert (further.state, further.pairs) == (State.ACTIVATING, pairs)


def test_what_it_waits_for_is_kept_without_a_step_and_forgotten_with_the_next_move(store: InstallStore) -> None:
    install = store.begin(release(1), now_s=NOW_S)
    held = store.hold(install, Refusal(code="away", sentence="the controller is"), attempts=2)
    assert store.find(install.seq) == held
    assert (held.code, held.attempts) == ("away", 2)
    assert len(store.steps(install)) == 1
    after = store.move(held, Event.FETCHED, now_s=NOW_S, facts={})
    assert (after.code, after.attempts) == ("", 0)


def test_a_newer_one_supersedes_the_one_on_its_way_by_the_same_commit(store: InstallStore) -> None:
    first = store.begin(release(1), now_s=NOW_S)
    second = store.begin(release(2), now_s=NOW_S + 1, ends=first, reason="release 2 is wanted instead")
    ended = store.find(first.seq)
    assert ended is not None
    assert (ended.state, ended.reason) == (State.SUPERSEDED, "release 2 is wanted instead")
    assert store.unfinished() == [second]
    assert store.history(SPECIALIST) == [second, ended]


def test_an_activation_supersedes_the_one_in_probation(store: InstallStore) -> None:
    first = moved(store, store.begin(release(1), now_s=NOW_S), *TO_PROBATION)
    other = moved(store, store.begin(release(1, "another"), now_s=NOW_S), *TO_PROBATION)
    second = moved(store, store.begin(release(2), now_s=NOW_S), *TO_PROBATION)
    ended = store.find(first.seq)
    assert ended is not None
    assert ended.state is State.SUPERSEDED
    assert "release 2" in ended.reason
    assert list(store.unfinished()) == [other, second]


def test_outcomes_count_once_and_for_the_probation_of_what_answered(store: InstallStore) -> None:
    install = moved(store, store.begin(release(1), now_s=NOW_S), *TO_PROBATION[:4])
    install = store.refer(install, "v1", Tally(good=90, seen=100))
    assert install.reference == Tally(good=90, seen=100)
    store.count(counted(1, 5, 5), through="1")  # before it is active, as at its gate: no outcomes of its probation
    install = moved(store, install, Event.ACTIVATED)
    store.count(counted(1, 2, 3), through="2")
    store.count(counted(1, 2, 3), through="2")
    store.count(counted(0, 7, 7), through="3")
    found = store.find(install.seq)
    assert found is not None
    assert (found.counted, found.reference) == (Tally(good=2, seen=3), Tally(good=90, seen=100))
    assert store.tally(SPECIALIST, "v1") == Tally(good=7, seen=8)
    assert store.tally(SPECIALIST, "v0") == Tally(good=7, seen=7)
    assert store.tally(SPECIALIST, "unknown") == Tally()


def test_steps_are_told_once(store: InstallStore) -> None:
    install = moved(store, store.begin(release(1), now_s=NOW_S), Event.FETCHED)
    first, second = store.untold()
    assert [step.state for _, step in (first, second)] == [State.DOWNLOADING, State.VERIFYING]
    assert first[0].release == install.release
    store.told(first[1])
    assert store.untold() == [second]
    store.told(second[1])
    assert store.untold() == []


# -- what the one on the disk does beside


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "installs.sqlite"


def test_all_is_there_after_it_is_opened_anew(path: Path) -> None:
    with closing(SqliteInstallStore(path)) as store:
        install = moved(store, store.begin(release(1), now_s=NOW_S), *TO_PROBATION)
        store.count(counted(1, 1, 1), through="5")
        steps = store.steps(install)
    with closing(SqliteInstallStore(path)) as store:
        assert store.find(install.seq) == install
        assert store.steps(install) == steps
        store.count(counted(1, 1, 1), through="5")
        assert store.tally(SPECIALIST, "v1") == Tally(good=1, seen=1)


def test_the_schema_is_the_sum_of_its_migrations() -> None:
    with closing(sqlite3.connect(":memory:")) as summed, closing(sqlite3.connect(":memory:")) as written:
        for script in INSTALLS.migrations():
            summed.executescript(script)
        written.executescript(INSTALLS.schema())
        query = "SELECT name, sql FROM sqlite_schema ORDER BY name"
        assert summed.execute(query).fetchall() == written.execute(query).fetchall()


def test_the_open_states_of_the_sql_are_the_tables(path: Path) -> None:
    with closing(SqliteInstallStore(path)) as store:
        for number, state in enumerate(State, start=1):
            store.begin(release(number, f"s{number}"), now_s=NOW_S)
            store._connection.execute("UPDATE installs SET state = ? WHERE number = ?", (state.value, number))
        assert {each.state for each in store.unfinished()} == {
            each.state for each in store.history() if not each.is_over
        }


def test_old_installs_go_beyond_the_bound_and_none_that_is_under_way(path: Path) -> None:
    with closing(SqliteInstallStore(path)) as store:
        first = moved(store, store.begin(release(1), now_s=NOW_S), *TO_PROBATION)
        last = first
        for number in range(2, KEPT_INSTALLS + 10):
            install = store.begin(release(number), now_s=NOW_S)
            last = store.move(install, Event.REFUSAL, now_s=NOW_S, refusal=Refusal(code="a", sentence="b"), facts={})
        history = store.history(SPECIALIST)
        assert len(history) == KEPT_INSTALLS + 1
        assert history[0] == last
        assert history[-1] == first
        kept = store._connection.execute("SELECT count(DISTINCT install) FROM steps").fetchone()[0]
        assert kept == KEPT_INSTALLS + 1


def test_old_outcomes_fade_so_that_the_reference_is_of_late(path: Path) -> None:
    with closing(SqliteInstallStore(path)) as store:
        store.count(counted(1, MOST_OUTCOMES, MOST_OUTCOMES), through="1")
        store.count(counted(1, 0, 1000), through="2")
        assert store.tally(SPECIALIST, "v1") == Tally(good=MOST_OUTCOMES // 2, seen=MOST_OUTCOMES // 2 + 1000)


def test_a_file_that_is_none_is_an_error_that_says_what_to_do(path: Path) -> None:
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(StateError, match="cannot be used"):
        SqliteInstallStore(path)


def test_a_release_that_cannot_be_read_back_is_an_error_that_says_what_to_do(path: Path) -> None:
    with closing(SqliteInstallStore(path)) as store:
        store.begin(release(1), now_s=NOW_S)
        store._connection.execute("UPDATE installs SET release = '{}'")
        with pytest.raises(StateError, match="cannot be read") as caught:
            store.unfinished()
        assert "serves" in caught.value.hint


def test_what_became_no_install_is_kept_and_told_once(store: InstallStore) -> None:
    store.decline("models/qa/intake/8.json", "other_site", "sha256:8", now_s=NOW_S)
    store.decline("image", "expired", "", now_s=NOW_S + 1)
    first, second = store.declined()
    assert (first.about, first.code, first.digest, first.at_s) == (
        "models/qa/intake/8.json",
        "other_site",
        "sha256:8",
        NOW_S,
    )
    assert store.untold_declined() == [first, second]
    store.told_declined(first)
    assert store.untold_declined() == [second]
    assert store.declined() == [first, second]


def test_of_what_became_no_install_the_newest_are_kept_and_no_number_comes_twice(store: InstallStore) -> None:
    for number in range(KEPT_REFUSALS + 3):
        store.decline("image", f"code_{number}", "", now_s=NOW_S)
    kept = store.declined()
    assert [one.seq for one in kept] == list(range(4, KEPT_REFUSALS + 4))
    assert kept[-1].code == f"code_{KEPT_REFUSALS + 2}"
    store.told_declined(kept[-1])
    store.decline("director", "expired", "", now_s=NOW_S)
    left = store.declined()
    assert (left[0], left[-1].about) == (kept[0], "director"), "what nobody has heard of stays"
    assert kept[-1] not in left


def test_what_became_no_install_for_the_same_reason_is_kept_once_a_day(store: InstallStore) -> None:
    for after_s in (0, 5, 86_399, 86_400, 86_500):
        store.decline("image", "expired", "", now_s=NOW_S + after_s)
    store.decline("image", "rollback", "", now_s=NOW_S)
    store.decline("image", "expired", "sha256:1", now_s=NOW_S)
    kept = [(one.code, one.digest, one.at_s - NOW_S) for one in store.declined()]
    assert kept == [("expired", "", 0), ("expired", "", 86_400), ("rollback", "", 0), ("expired", "sha256:1", 0)]
