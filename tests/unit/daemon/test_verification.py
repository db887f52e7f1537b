from __future__ import annotations

import pytest

from homebred_daemon.core.verification import Answer, Finding, is_slow, is_weak, verify
from homebred_daemon.ports.cloud import CloudError


@pytest.mark.parametrize(
    ("answer", "findings"),
    [
        (Answer(text="ok", truncated=False), ()),
        (Answer(text=" \n\t", truncated=False), (Finding.EMPTY,)),
        (Answer(text="ok", truncated=True), (Finding.TRUNCATED,)),
        (Answer(text="ok", truncated=False, fits_schema=True), ()),
        (Answer(text="ok", truncated=False, fits_schema=False), (Finding.SCHEMA_INVALID,)),
        (Answer(text="ok", truncated=False, keeps_constraints=False), (Finding.CONSTRAINT_BROKEN,)),
        (Answer(text="ok", truncated=False, confidence=0.5), ()),
        (Answer(text="ok", truncated=False, confidence=0.49), (Finding.LOW_CONFIDENCE,)),
        (
            Answer(text="", truncated=True, fits_schema=False, confidence=0.0),
            (Finding.EMPTY, Finding.SCHEMA_INVALID, Finding.TRUNCATED, Finding.LOW_CONFIDENCE),
        ),
    ],
)
def test_what_is_found_most_telling_first(answer: Answer, findings: tuple[Finding, ...]) -> None:
    assert verify(answer, minimum_confidence=0.5) == findings


def test_confidence_counts_only_where_it_was_asked_for_and_measured() -> None:
    assert verify(Answer(text="ok", truncated=False, confidence=0.0)) == ()
    assert verify(Answer(text="ok", truncated=False), minimum_confidence=1.0) == ()


@pytest.mark.parametrize("finding", Finding)
def test_what_speaks_of_the_way_to_an_answer_does_not_make_it_weak(finding: Finding) -> None:
    weak = {
        *(Finding.EMPTY, Finding.TRUNCATED, Finding.SCHEMA_INVALID, Finding.CONSTRAINT_BROKEN),
        *(Finding.LOW_CONFIDENCE, Finding.WITHHELD),
    }
    assert is_weak((finding,)) is (finding in weak)
    assert is_weak((Finding.SLOW, finding)) is is_weak((finding,))


def test_every_failure_of_a_cloud_is_a_finding() -> None:
    assert {kind.code for kind in CloudError.__subclasses__()} <= set(Finding)


def test_nothing_found_is_not_weak() -> None:
    assert not is_weak(())


def test_slow_is_over_the_budget_and_without_one_nothing_is() -> None:
    assert (is_slow(200.0, 200), is_slow(200.1, 200), is_slow(1e9, None)) == (False, True, False)
