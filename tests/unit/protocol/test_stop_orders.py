from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from homebred_protocol.stop_orders import to_be_signed

ORDER = {"epoch": 7, "stopped": True, "issued_at_s": 1_796_000_000, "reason_code": "recall"}


def test_what_is_signed_is_the_text_that_the_module_shows() -> None:
    assert to_be_signed(**ORDER) == (  # type: ignore[arg-type]  # each of its own type
        b"homebred stop order 1\ntenant default\nepoch 7\nstopped true\nissued_at_s 1796000000\nreason recall\n"
    )


orders = st.tuples(
    st.integers(0, 2**63 - 1),
    st.booleans(),
    st.integers(0, 2**40),
    st.text(max_size=40),
    st.from_regex(r"[a-z0-9]{1,12}", fullmatch=True),
)


@given(st.lists(orders, min_size=2, max_size=6, unique=True))
def test_no_two_orders_are_signed_by_the_same_bytes_whatever_their_reasons_say(
    several: list[tuple[int, bool, int, str, str]],
) -> None:
    said = [
        to_be_signed(epoch=epoch, stopped=stopped, issued_at_s=at_s, reason_code=reason, tenant=tenant)
        for epoch, stopped, at_s, reason, tenant in several
    ]
    assert all(one != other for one, other in itertools.combinations(said, 2))
