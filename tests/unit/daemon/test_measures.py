"""The catalogue of figures: whole, named as Prometheus asks, bounded, and the source of its page."""

from __future__ import annotations

import re
from collections import Counter as Times
from pathlib import Path

import pytest
from tests.support.committed_files import ROOT, committed_files
from tests.support.generated_documents import metric_documents

from homebred_daemon.core import measures
from homebred_daemon.core.measures import MEASURES, MOST_WORDS, Counter, Given, Histogram, Measure, Total
from homebred_daemon.ports.cloud import CloudError

MOST_SERIES = 5000
"""What any Prometheus takes from one target without noticing."""


def test_every_measure_stands_in_the_list_once() -> None:
    assert {id(value) for value in vars(measures).values() if isinstance(value, Measure)} == set(map(id, MEASURES))
    assert [name for name, times in Times(measure.name for measure in MEASURES).items() if times > 1] == []


def test_a_measure_is_named_as_prometheus_asks() -> None:
    for measure in MEASURES:
        name = measure.name
        assert re.fullmatch(r"(homebred|process)_[a-z_]+", name)
        assert name.endswith("_total") == isinstance(measure, Counter | Total), name
        assert not isinstance(measure, Histogram) or name.endswith("_seconds"), name
        assert measure.meaning.endswith("."), name
        assert all(re.fullmatch(r"[a-z_]+", label.name) and label.name != "le" for label in measure.labels), name


def test_a_word_of_the_code_is_a_machine_word_and_stands_once() -> None:
    for measure in MEASURES:
        for words in (label.words for label in measure.labels if not isinstance(label.words, Given)):
            assert [word for word in words if not re.fullmatch(r"[a-z_]+", word)] == [], measure.name
            assert len(set(words)) == len(words), measure.name


def test_a_histograms_bounds_rise() -> None:
    bounds = {measure.name: measure.bounds for measure in MEASURES if isinstance(measure, Histogram)}
    assert {name: found for name, found in bounds.items() if list(found) != sorted(set(found))} == {}


def test_there_is_a_bound_on_series_whatever_happens() -> None:
    assert MOST_WORDS < measures.most_series() <= MOST_SERIES


def test_every_measure_is_told_somewhere() -> None:
    named = {id(value): name for name, value in vars(measures).items() if isinstance(value, Measure)}
    code = "".join(path.read_text() for path in committed_files("daemon/homebred_daemon/*.py"))
    words = Times(re.findall(r"\w+", code))
    assert [name for name in named.values() if words[name] == 1] == []


def test_every_way_that_a_cloud_call_can_fail_is_a_word() -> None:
    (_, outcome) = measures.CLOUD_CALLS.labels
    assert {"answered", *(error.code for error in CloudError.__subclasses__())} == set(outcome.words)


@pytest.mark.parametrize(("path", "text"), metric_documents().items(), ids=lambda part: getattr(part, "name", ""))
def test_the_page_of_figures_is_up_to_date(path: Path, text: str) -> None:
    assert path.read_text() == text, f"run packaging/tools/metric_docs.py and commit {path.relative_to(ROOT)}"
