from __future__ import annotations

import pytest
from tests.support.install_stage import release

from homebred_daemon.core.deployment import TABLE, Event, State, receipt_word
from homebred_daemon.core.install_receipts import receipt_of
from homebred_protocol.receipts import LATEST_S, Receipt, body_of

NOW_S = 1_796_000_000
STEPS = [(None, State.DOWNLOADING), *((event, to) for phase in TABLE.values() for event, to in phase.then.items())]


def receipt(event: Event | None, state: State, *, code: str = "", at_s: int = NOW_S) -> Receipt | None:
    return receipt_of(
        release(7), event, state, device="kiosk-1", code=code, facts={"memory_bytes": 5}, at_s=at_s, seq=12
    )


def test_a_passed_gate_is_told_with_what_it_measured() -> None:
    assert receipt(Event.PASSED, State.ACTIVATING) == Receipt(
        device="kiosk-1",
        specialist=release(7).id,
        number=7,
        digest=release(7).digest,
        result="gate_passed",
        facts={"memory_bytes": 5},
        at_s=NOW_S,
        seq=12,
    )


@pytest.mark.parametrize(("event", "state"), STEPS)
def test_every_step_is_a_receipt_that_can_be_read_or_no_news(event: Event | None, state: State) -> None:
    found = receipt(event, state, code="gate_quality")
    assert (found is None) == (receipt_word(event, state) == "")
    if found is not None:
        assert body_of(found)


@pytest.mark.parametrize("code", ["Somebody's words", "x" * 65])
def test_a_code_that_is_no_word_is_not_told(code: str) -> None:
    found = receipt(Event.REFUSAL, State.REFUSED, code=code)
    assert found is not None
    assert found.code == "other"


@pytest.mark.parametrize("at_s", [-5, 2**60])
def test_a_clock_that_is_wrong_by_ages_keeps_no_receipt_back(at_s: int) -> None:
    found = receipt(Event.ACTIVATED, State.PROBATION, at_s=at_s)
    assert found is not None
    assert 0 <= found.at_s <= LATEST_S
    assert body_of(found)
