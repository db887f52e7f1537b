from __future__ import annotations

import pytest
from tests.support.install_stage import release

from homebred_daemon.core.deployment import TABLE, Event, State, receipt_word
from homebred_daemon.core.install_receipts import receipt_of, receipt_of_refusal
from homebred_daemon.core.trust_refusals import Reason
from homebred_protocol.receipts import LATEST_S, Receipt, body_of

NOW_S = 1_796_000_000
BUILT = "sha256:" + "cd" * 32
STEPS = [(None, State.DOWNLOADING), *((event, to) for phase in TABLE.values() for event, to in phase.then.items())]


def receipt(event: Event | None, state: State, *, code: str = "", at_s: int = NOW_S) -> Receipt | None:
    return receipt_of(
        release(7),
        event,
        state,
        device="kiosk-1",
        code=code,
        facts={"memory_bytes": 5},
        built=BUILT,
        at_s=at_s,
        seq=12,
    )


def test_a_passed_gate_is_told_with_what_it_measured() -> None:
    assert receipt(Event.PASSED, State.ACTIVATING) == Receipt(
        device="kiosk-1",
        specialist=release(7).id,
        number=7,
        digest=release(7).digest,
        result="gate_passed",
        facts={"memory_bytes": 5},
        built=BUILT,
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


def test_what_became_no_install_is_a_receipt_whatever_it_was() -> None:
    found = receipt_of_refusal(
        "models/qa/intake/8.json", device="kiosk-1", code="Somebody's words", digest="", at_s=-5, seq=3
    )
    assert (found.specialist, found.number, found.result, found.code, found.at_s) == (
        "intake",
        8,
        "refused",
        "other",
        0,
    )
    assert body_of(found)


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_can_be_told(reason: Reason) -> None:
    found = receipt_of_refusal("director", device="kiosk-1", code=reason.value, digest="", at_s=NOW_S, seq=1)
    assert found.code == reason.value
    assert body_of(found)
