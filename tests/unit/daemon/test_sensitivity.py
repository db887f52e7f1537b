from __future__ import annotations

import itertools
import time

from hypothesis import given
from hypothesis import strategies as st

from homebred_daemon.core.sensitivity import Span, clipped, raised_classes, redact, redaction_record, resolve

SPANS = st.lists(
    st.builds(
        lambda start, length, kind, tier: Span(start, start + length, kind, tier),
        st.integers(0, 40),
        st.integers(1, 15),
        st.sampled_from(["PHONE", "DATE", "SECRET"]),
        st.integers(1, 3),
    ),
    max_size=12,
)


def covered(spans: list[Span] | tuple[Span, ...]) -> set[int]:
    return {position for span in spans for position in range(span.start, span.end)}


@given(SPANS)
def test_resolved_spans_are_sorted_apart_and_cover_what_was_found(spans: list[Span]) -> None:
    resolved = resolve(spans)
    assert all(left.end <= right.start for left, right in itertools.pairwise(resolved))
    assert covered(resolved) == covered(spans)


@given(SPANS, st.integers(0, 50), st.integers(0, 10))
def test_what_is_clipped_covers_the_same_within_its_stretch(spans: list[Span], start: int, length: int) -> None:
    inside = clipped(resolve(spans), start, start + length)
    assert covered(inside) == {at - start for at in covered(spans) if start <= at < start + length}


@given(SPANS)
def test_each_code_point_goes_to_the_longest_then_the_lower_tier_then_the_earlier(spans: list[Span]) -> None:
    assert list(resolve(spans)) == settled_one_by_one(spans)


def settled_one_by_one(spans: list[Span]) -> list[Span]:
    """`resolve` by its definition, in quadratic time: the spans take what is still free, the strongest first."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start - span.end, span.tier, span.start)):
        start = span.start
        for winner in sorted((w for w in kept if w.start < span.end and w.end > span.start), key=lambda w: w.start):
            if start < winner.start:
                kept.append(Span(start, winner.start, span.type, span.tier))
            start = max(start, winner.end)
        if start < span.end:
            kept.append(Span(start, span.end, span.type, span.tier))
    return sorted(kept, key=lambda span: span.start)


def test_an_endless_chain_of_overlapping_spans_is_resolved_in_passing() -> None:
    chain = [Span(start, start + 15, "PERSON", 1) for start in range(0, 400_000, 10)]
    before_s = time.process_time()
    shown = resolve(chain)
    assert time.process_time() - before_s < 5  # settling span by span takes minutes
    assert (len(shown), shown[0], shown[-1]) == (40_000, Span(0, 15, "PERSON", 1), Span(399_995, 400_005, "PERSON", 1))


@given(SPANS)
def test_resolving_twice_changes_nothing(spans: list[Span]) -> None:
    assert resolve(resolve(spans)) == resolve(spans)


def test_the_longest_span_wins_then_the_lower_tier_then_the_earlier() -> None:
    assert resolve([Span(2, 5, "DATE", 1), Span(0, 9, "PHONE", 2)]) == (Span(0, 9, "PHONE", 2),)
    assert resolve([Span(0, 4, "DATE", 2), Span(0, 4, "PHONE", 1)]) == (Span(0, 4, "PHONE", 1),)
    assert resolve([Span(2, 6, "DATE", 1), Span(0, 4, "PHONE", 1)]) == (Span(0, 4, "PHONE", 1), Span(4, 6, "DATE", 1))


def test_what_is_left_of_a_losing_span_stays_masked() -> None:
    assert redact("call 0171 2345678 now", [Span(5, 17, "PHONE", 1), Span(10, 21, "ACCOUNT", 1)]) == (
        "call <PHONE><ACCOUNT>"
    )


def test_redaction_counts_code_points_and_keeps_everything_else() -> None:
    text = "👩‍⚕️ Zoë: 12345"
    start = text.index("1")
    assert redact(text, [Span(start, start + 5, "MEDICAL_RECORD", 1)]) == "👩‍⚕️ Zoë: <MEDICAL_RECORD>"
    assert redact(text, []) == text


def test_only_the_contracts_types_raise_a_class_by_default() -> None:
    raising = {
        "MEDICAL_RECORD": "patient",
        "HEALTH_PLAN": "patient",
        "NHS_NUMBER": "patient",
        "SOCIAL_INSURANCE": "patient",
        "SECRET": "code",
        "SOURCE_CODE": "code",
        "MARKER": "trade_secret",
        "PART_CODE": "trade_secret",
        "ATTACHED_VOICE": "voice",
        "ATTACHED_IMAGE": "biometric",
        "ATTACHED_BIOMETRIC": "biometric",
        "ATTACHED_MEDICAL": "patient",
    }
    silent = ["PERSON", "EMAIL", "PHONE", "ORGANIZATION", "DATE", "STREET_ADDRESS", "POSTCODE", "US_SSN", "IBAN", "URL"]
    silent += ["ATTACHED_UNREADABLE"]
    assert {kind: raised_classes([Span(0, 1, kind, 1)], {}) for kind in raising} == {
        kind: frozenset({name}) for kind, name in raising.items()
    }
    assert raised_classes([Span(0, 1, kind, 1) for kind in silent], {}) == frozenset()


def test_later_tiers_raise_no_class_whatever_a_policy_says() -> None:
    assert raised_classes([Span(0, 1, "PERSON", 3), Span(0, 1, "MARKER", 3)], {"PERSON": "client"}) == frozenset()
    assert raised_classes([Span(0, 1, "PERSON", 2)], {"PERSON": "client"}) == {"client"}


def test_a_policy_adds_classes_and_takes_none_away() -> None:
    spans = [Span(0, 1, "EMAIL", 1), Span(1, 2, "SECRET", 1)]
    assert raised_classes(spans, {"EMAIL": "client", "SECRET": "vault"}) == {"client", "code", "vault"}


def test_a_secret_inside_a_longer_span_still_raises_its_class() -> None:
    found = [Span(0, 30, "URL", 1), Span(10, 20, "SECRET", 1)]
    record = redaction_record("7", "x" * 30 + " end", found, extra={}, risk=0.0)
    assert record == {
        "id": "7",
        "text": "<URL> end",
        "spans": [{"start": 0, "end": 30, "type": "URL", "tier": 1}],
        "classes": ["code"],
        "residual_risk": 0.0,
    }
