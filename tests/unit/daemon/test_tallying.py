"""What is counted: bounded words, bounded series, and nothing of any task among them (I4, I9)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.support.answering_stage import PUBLIC, Actor, Stage
from tests.support.manual_clock import run_with
from tests.support.metrics_reader import figure, figures
from tests.support.scripted_cloud import ScriptedCloud
from tests.support.scripted_pool import says

from homebred_daemon.core.exposition import exposition
from homebred_daemon.core.measures import (
    CLOUD_BYTES,
    DECISIONS,
    FINDINGS,
    INTER_TOKEN_SECONDS,
    LINK,
    MEASURES,
    MOST_WORDS,
    OTHER,
    TASKS,
    TOKENS,
    Counter,
    Given,
    Histogram,
    Reading,
    most_series,
)
from homebred_daemon.ports.cloud import CloudFinish
from homebred_daemon.services.tallying import Tally
from homebred_engines import api

COUNTERS = [measure for measure in MEASURES if isinstance(measure, Counter)]
HISTOGRAMS = [measure for measure in MEASURES if isinstance(measure, Histogram)]
BROKEN = api.EngineFailedError("It broke.")
strange = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).map(lambda text: f"ZQ{text}")
"""Words that no list has."""
names = st.text("abcxyz-_.:0189", max_size=12).map(lambda text: f"ZQ{text}")


def text_of(tally: Tally, readings: Sequence[Reading] = ()) -> str:
    return exposition(tally.series(readings))


def tally_of(*specialists: str) -> Tally:
    tally = Tally()
    tally.know(Given.SPECIALIST, lambda: specialists)
    return tally


def test_a_counter_grows_by_what_it_is_told() -> None:
    tally = tally_of("a")
    tally.count(TASKS, "answer")
    tally.count(TASKS, "answer")
    tally.count(TOKENS, "a", "in", by=7)
    found = figures(text_of(tally))
    assert figure(found, TASKS.name, status="answer") == 2
    assert figure(found, TOKENS.name, specialist="a", direction="in") == 7


def test_a_counter_of_one_label_is_there_before_anything_happened() -> None:
    found = figures(text_of(Tally()))
    assert figure(found, TASKS.name, status="error") == 0
    assert figure(found, FINDINGS.name, finding="stopped_at_gate") == 0
    assert not any(name == DECISIONS.name for name, _ in found)


def test_a_value_falls_into_the_bucket_whose_upper_end_it_is() -> None:
    tally = tally_of("a")
    observe = tally.observer(INTER_TOKEN_SECONDS, "a")
    for value in (0.005, 0.0051, 99.0):
        observe(value)
    found = figures(text_of(tally))
    buckets = {
        bound: figure(found, f"{INTER_TOKEN_SECONDS.name}_bucket", specialist="a", le=str(bound))
        for bound in (0.0025, 0.005, 0.01, 2.5)
    }
    assert buckets == {0.0025: 0, 0.005: 1, 0.01: 2, 2.5: 2}
    assert figure(found, f"{INTER_TOKEN_SECONDS.name}_sum", specialist="a") == 0.005 + 0.0051 + 99.0


def test_observers_of_the_same_words_add_up() -> None:
    tally = tally_of("a")
    tally.observer(INTER_TOKEN_SECONDS, "a")(1)
    tally.observer(INTER_TOKEN_SECONDS, "a")(1)
    assert figure(figures(text_of(tally)), f"{INTER_TOKEN_SECONDS.name}_count", specialist="a") == 2


def test_what_the_site_no_longer_names_goes_with_its_series() -> None:
    shelf = ["a", "b"]
    tally = Tally()
    tally.know(Given.SPECIALIST, lambda: shelf)
    tally.count(TOKENS, "a", "out")
    tally.observer(INTER_TOKEN_SECONDS, "a")(1)
    tally.count(TOKENS, "b", "out")
    shelf.remove("a")
    assert '"a"' not in text_of(tally)
    assert '"b"' in text_of(tally)


def test_of_too_many_names_the_first_are_shown_and_the_rest_are_other() -> None:
    names = [f"s{number:03}" for number in range(MOST_WORDS + 2)]
    tally = tally_of(*names)
    for name in names:
        tally.count(TOKENS, name, "out")
    found = figures(text_of(tally))
    assert figure(found, TOKENS.name, specialist=OTHER, direction="out") == 2
    assert figure(found, TOKENS.name, specialist=names[0], direction="out") == 1


def test_readings_whose_words_are_alike_once_they_fit_are_one() -> None:
    readings = [Reading(measure=LINK, words=(alias, "up"), value=1) for alias in ("x", "y")]
    assert figure(figures(text_of(Tally(), readings)), LINK.name, alias=OTHER, state="up") == 2


@given(st.lists(st.tuples(st.sampled_from([*COUNTERS, *HISTOGRAMS]), st.lists(strange, min_size=2, max_size=2))))
def test_no_word_from_outside_is_ever_shown_and_series_stay_bounded(told: list[tuple[Any, list[str]]]) -> None:
    tally = tally_of("a")
    for measure, words in told:
        fit = words[: len(measure.labels)]
        if isinstance(measure, Histogram):
            tally.observer(measure, *fit)(1.0)
        else:
            tally.count(measure, *fit)
    text = text_of(tally, [Reading(measure=LINK, words=(words[0], words[1]), value=1) for _, words in told])
    assert "ZQ" not in text
    assert len(figures(text)) <= most_series()


@given(st.data(), strange, names, names, st.lists(names, max_size=2))
def test_nothing_of_a_task_is_in_the_figures(
    data: st.DataObject, content: str, task_id: str, workflow: str, labels: list[str]
) -> None:
    tally = Tally()
    play = data.draw(st.sampled_from([says(content), (BROKEN,), (content, BROKEN), says(" ")]))
    cloud = ScriptedCloud((content, CloudFinish.STOP)) if data.draw(st.booleans()) else None
    stage = Stage(
        {"a": Actor(plays=[play], fitness=data.draw(st.sampled_from([0.3, 0.95])))}, cloud=cloud, measures=tally
    )
    tally.know(Given.SPECIALIST, lambda: stage.actors)
    tally.know(Given.ALIAS, lambda: ["cloud/default"])
    tally.know(Given.ENTITY_TYPE, lambda: stage.detector.entity_types)
    task = PUBLIC | {"task_id": task_id, "data_classes": labels or ["public"], "allows_escalation": True}
    if data.draw(st.booleans()):
        task |= {"workflow": workflow}
    run_with(stage.clock, stage.answer(task, text=content, caller=(f"uid:{content}",), session_id=content))
    text = text_of(tally)
    assert "ZQ" not in text
    assert (
        sum(figure(figures(text), TASKS.name, status=status) for status in ("answer", "degraded", "review", "error"))
        == 1
    )
    assert any(name == DECISIONS.name for name, _ in figures(text))


def test_bytes_of_an_unknown_endpoint_are_others() -> None:
    tally = Tally()
    tally.count(CLOUD_BYTES, "cloud/strange", by=9)
    assert figure(figures(text_of(tally)), CLOUD_BYTES.name, alias=OTHER) == 9
