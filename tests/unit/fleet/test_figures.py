"""The hub's counts, and how long devices waited."""

from __future__ import annotations

from homebred_fleet.core.figures import ACK_BOUNDS_S, Figures


def test_messages_are_counted_by_fate_and_what_is_wrong_by_cause() -> None:
    figures = Figures()
    for fate, cause in (("stored", ""), ("refused", "count"), ("refused", "count"), ("quarantined", "topic")):
        figures.count_message(fate, cause)
    assert figures.messages == {"stored": 1, "refused": 2, "quarantined": 1}
    assert figures.causes == {"count": 2, "topic": 1}


def test_a_quantile_is_the_bound_of_its_bucket() -> None:
    figures = Figures()
    assert figures.ack_quantile_s(0.5) == 0.0
    for seconds in [0.001] * 98 + [0.3, 100.0]:
        figures.count_ack(seconds)
    assert [figures.ack_quantile_s(share) for share in (0.5, 0.99, 1.0)] == [ACK_BOUNDS_S[0], 0.5, float("inf")]
    assert sum(figures.ack_buckets) == 100
