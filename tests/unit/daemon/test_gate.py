"""The gate's verdict: thresholds, sample sizes, speed, memory, and what serves now."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_daemon.core.gate import Found, Trial, judged
from homebred_protocol.documents.release_values import GoldenDemand

W = "intake.normalise"
DEMAND = GoldenDemand(workflow=W, path="golden/w.jsonl", scorer="exact", minimum_ppm=900_000, maximum_p95_ms=800)
FOUND = Found(golden_digest="sha256:g", score_ppm=930_000, samples=100, p95_ms=500)


def code_of(found: Found, *, serving: Found | None = None, memory_bytes: int = 100, most_bytes: int = 200) -> str:
    trial = Trial(found={W: found}, memory_bytes=memory_bytes)
    verdict = judged([DEMAND], most_bytes, trial, {} if serving is None else {W: serving})
    return "" if verdict.refusal is None else verdict.refusal.code


def test_one_that_reaches_all_that_is_demanded_passes_with_its_facts() -> None:
    verdict = judged([DEMAND], 200, Trial(found={W: FOUND}, memory_bytes=100), {W: FOUND})
    assert verdict.refusal is None
    assert verdict.facts[f"{W}:score_ppm"] == 930_000
    assert verdict.facts[f"{W}:samples"] == 100
    assert verdict.facts[f"{W}:at_least_ppm"] < 930_000 < verdict.facts[f"{W}:at_most_ppm"]
    assert verdict.facts[f"{W}:serving_ppm"] == 930_000
    assert all(isinstance(value, int) for value in verdict.facts.values())


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"score_ppm": 899_999}, "gate_quality"),
        ({"score_ppm": 900_000}, ""),
        ({"p95_ms": 801}, "gate_latency"),
        ({"p95_ms": 800}, ""),
        ({"samples": 2}, "gate_samples"),
    ],
)
def test_each_threshold_is_held_by_itself(change: dict[str, int], code: str) -> None:
    assert code_of(replace(FOUND, **change)) == code  # type: ignore[arg-type]


def test_memory_is_bounded_where_the_release_says_so() -> None:
    assert code_of(FOUND, memory_bytes=201) == "gate_memory"
    assert code_of(FOUND, memory_bytes=201, most_bytes=0) == ""


def test_one_that_is_provably_worse_than_what_serves_does_not_pass_whatever_its_threshold() -> None:
    serving = replace(FOUND, score_ppm=1_000_000)
    assert code_of(replace(FOUND, score_ppm=900_000), serving=serving) == "gate_regression"
    assert code_of(FOUND, serving=replace(FOUND, score_ppm=950_000)) == ""


def test_what_serves_was_measured_on_another_golden_set_and_cannot_be_compared() -> None:
    serving = replace(FOUND, score_ppm=1_000_000, golden_digest="sha256:other")
    assert code_of(replace(FOUND, score_ppm=900_000), serving=serving) == ""


def test_without_a_golden_set_or_with_one_that_was_not_measured_nothing_passes() -> None:
    trial = Trial(found={}, memory_bytes=1)
    missing, unmeasured = judged([], 0, trial, {}), judged([DEMAND], 0, trial, {})
    assert missing.refusal is not None
    assert missing.refusal.code == "gate_missing"
    assert unmeasured.refusal is not None
    assert unmeasured.refusal.code == "gate_samples"


@given(st.integers(900_000, 1_000_000), st.integers(3, 500))
def test_one_as_good_as_what_serves_is_never_refused_for_it(score_ppm: int, samples: int) -> None:
    found = replace(FOUND, score_ppm=score_ppm, samples=samples)
    assert code_of(found, serving=found) == ""
