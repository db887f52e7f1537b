from __future__ import annotations

from itertools import combinations, product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_protocol.limits import MAX_GIVEN
from homebred_protocol.stop_orders import (
    EARLIEST_S,
    LATEST_S,
    MAX_KEY_ID,
    MAX_REASON,
    SIGNATURE_BYTES,
    is_within_bounds,
    to_be_signed,
)
from homebred_protocol.v1 import fleet_pb2 as wire

EPOCHS = st.integers(1, 2**64 - 1)
TIMES = st.integers(-(2**63), 2**63 - 1)
REASONS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
ORDERS = st.tuples(EPOCHS, st.booleans(), TIMES, REASONS, st.sampled_from(["default", "other"]))


def words(order: tuple[int, bool, int, str, str]) -> bytes:
    epoch, stopped, issued_at_s, reason_code, tenant = order
    return to_be_signed(epoch=epoch, stopped=stopped, issued_at_s=issued_at_s, reason_code=reason_code, tenant=tenant)


def test_the_words_are_these_for_ever() -> None:
    said = to_be_signed(epoch=7, stopped=True, issued_at_s=1_796_000_000, reason_code="recall")
    assert said == (
        b"homebred stop order 1\ntenant default\nepoch 7\nstopped true\nissued_at_s 1796000000\nreason recall\n"
    )


@given(ORDERS, ORDERS)
def test_two_orders_are_never_the_same_words(
    one: tuple[int, bool, int, str, str], other: tuple[int, bool, int, str, str]
) -> None:
    assert (words(one) == words(other)) is (one == other)
    assert not words(one).startswith(b"{"), "metadata is JSON"


def test_no_reason_passes_for_other_lines() -> None:
    reasons = ["", "a", "a\n", "a\nstopped false", "\nreason a"]
    orders = [(3, stopped, 5, reason, "default") for stopped, reason in product([True, False], reasons)]
    assert all(words(one) != words(other) for one, other in combinations(orders, 2))


LARGEST: dict[str, Any] = {
    "epoch": MAX_GIVEN,
    "issued_at_s": LATEST_S,
    "reason_code": "ü" * MAX_REASON,
    "key_id": "k" * MAX_KEY_ID,
    "signature": bytes(SIGNATURE_BYTES),
}
SMALLEST: dict[str, Any] = {"epoch": 1, "issued_at_s": EARLIEST_S, "reason_code": "", "key_id": "", "signature": b""}


@pytest.mark.parametrize(
    "beyond",
    [
        {"epoch": 0},
        {"epoch": MAX_GIVEN + 1},
        {"issued_at_s": EARLIEST_S - 1},
        {"issued_at_s": LATEST_S + 1},
        {"reason_code": "r" * (MAX_REASON + 1)},
        {"reason_code": "r\0"},
        {"key_id": "k" * (MAX_KEY_ID + 1)},
        {"key_id": "\0"},
        {"signature": bytes(SIGNATURE_BYTES + 1)},
    ],
)
def test_the_bounds_hold_their_ends_and_nothing_beyond(beyond: dict[str, Any]) -> None:
    assert is_within_bounds(wire.StopOrder(**SMALLEST))
    assert is_within_bounds(wire.StopOrder(**LARGEST))
    assert not is_within_bounds(wire.StopOrder(**{**LARGEST, **beyond}))
