"""The text that Prometheus reads, held to prometheus-client's own parser."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.support.metrics_reader import figure, figures

from homebred_daemon.core.exposition import exposition
from homebred_daemon.core.measures import (
    CLOUD_BYTES,
    DECISIONS,
    FIRST_TOKEN_SECONDS,
    LEDGER_COMMIT_SECONDS,
    TASKS,
    TASKS_RUNNING,
    Reading,
    Spread,
)

values = st.floats(min_value=0, allow_nan=False, allow_infinity=False) | st.integers(0, 1 << 53)
words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20) | st.sampled_from(['a"b', "a\\b", "a\nb"])


def test_figures_come_in_the_catalogues_order_each_with_what_it_means_and_those_without_series_not_at_all() -> None:
    text = exposition(
        [
            Reading(measure=DECISIONS, words=("no_op", "no_route"), value=2),
            Reading(measure=TASKS_RUNNING, value=0.5),
            Reading(measure=TASKS, words=("review",), value=2),
            Reading(measure=TASKS, words=("answer",), value=3),
        ]
    )
    assert text.splitlines() == [
        f"# HELP homebred_tasks_total {TASKS.meaning}",
        "# TYPE homebred_tasks_total counter",
        'homebred_tasks_total{status="answer"} 3',
        'homebred_tasks_total{status="review"} 2',
        f"# HELP homebred_tasks_running {TASKS_RUNNING.meaning}",
        "# TYPE homebred_tasks_running gauge",
        "homebred_tasks_running 0.5",
        f"# HELP homebred_decisions_total {DECISIONS.meaning}",
        "# TYPE homebred_decisions_total counter",
        'homebred_decisions_total{runtime="no_op",reason_code="no_route"} 2',
    ]


def test_a_histogram_has_cumulative_buckets_a_sum_and_a_count() -> None:
    bounds = LEDGER_COMMIT_SECONDS.bounds
    counts = (1, 2, *[0] * (len(bounds) - 2), 4)
    found = figures(exposition([Spread(measure=LEDGER_COMMIT_SECONDS, counts=counts, total=12.5)]))
    buckets = [figure(found, f"{LEDGER_COMMIT_SECONDS.name}_bucket", le=f"{bound:g}") for bound in bounds]
    assert buckets == [1, *[3] * (len(bounds) - 1)]
    assert figure(found, f"{LEDGER_COMMIT_SECONDS.name}_bucket", le="+Inf") == 7
    assert figure(found, f"{LEDGER_COMMIT_SECONDS.name}_count") == 7
    assert figure(found, f"{LEDGER_COMMIT_SECONDS.name}_sum") == 12.5


def test_nothing_is_an_empty_text() -> None:
    assert exposition([]) == ""


@given(st.dictionaries(words, values, max_size=8))
def test_prometheus_reads_back_what_was_written_whatever_a_word_holds(by_alias: dict[str, float]) -> None:
    text = exposition(Reading(measure=CLOUD_BYTES, words=(alias,), value=value) for alias, value in by_alias.items())
    read = {dict(labels)["alias"]: value for (_, labels), value in figures(text).items()}
    assert read == {alias: float(value) for alias, value in by_alias.items()}


@given(words, st.lists(st.integers(0, 1 << 40), min_size=14, max_size=14), values)
def test_prometheus_reads_back_a_histogram(word: str, counts: list[int], total: float) -> None:
    spread = Spread(measure=FIRST_TOKEN_SECONDS, words=(word,), counts=tuple(counts), total=total)
    found = figures(exposition([spread]))
    assert figure(found, f"{FIRST_TOKEN_SECONDS.name}_count", specialist=word) == sum(counts)
    assert figure(found, f"{FIRST_TOKEN_SECONDS.name}_sum", specialist=word) == total
