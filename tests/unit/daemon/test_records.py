from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.cases import random_cases
from tests.support.ledger_entries import DECIDER, ENTRY
from tests.support.product import inputs_of, parsed

from homebred_daemon.core.records import DECISION_FIELDS, canonical, decision_record, inputs_record, read_inputs
from homebred_daemon.core.routing import DecisionInputs, decide

SEEDS = st.integers(0, 2**32)
MOMENTS = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45))]))


def random_inputs(seed: int, now: datetime) -> DecisionInputs:
    (case,) = random_cases(seed, 1)
    return replace(inputs_of(case, parsed(case.world)), now=now)


def read_again(inputs: DecisionInputs) -> DecisionInputs:
    """Through the text that a ledger keeps."""
    record = json.loads(canonical(inputs_record(inputs)))
    return read_inputs(record, registry=inputs.registry, policy=inputs.policy)


@given(seed=SEEDS, now=MOMENTS)
@settings(max_examples=70)
def test_i5_recorded_inputs_come_back_as_they_were_bit_for_bit_and_decide_the_same(seed: int, now: datetime) -> None:
    inputs = random_inputs(seed, now)
    again = read_again(inputs)
    assert again == inputs
    assert canonical(inputs_record(again)) == canonical(inputs_record(inputs))
    assert canonical(decision_record(decide(again))) == canonical(decision_record(decide(inputs)))


def test_the_inputs_name_their_documents_by_digest_and_hold_nothing_else_of_them() -> None:
    record = inputs_record(ENTRY.inputs)
    assert record["policy_digest"] == DECIDER.policy.digest
    assert record["ceiling_digest"] == DECIDER.policy.ceiling_digest
    assert record["registry_digest"] == DECIDER.registry.digest
    assert not {"policy", "registry", "text"} & set(record)
    assert "hello" not in canonical(record), "a ledger is free of content"


def test_a_decisions_record_has_its_fields_in_their_order_as_plain_json() -> None:
    record = decision_record(ENTRY.decision)
    assert tuple(record) == DECISION_FIELDS
    assert json.loads(json.dumps(record)) == record
    assert datetime.fromisoformat(record["route_created_at_utc"]) == ENTRY.inputs.now


def test_one_value_has_one_text() -> None:
    assert canonical({"b": [1, 0.1], "a": "ü"}) == '{"a":"ü","b":[1,0.1]}'
    assert canonical({"x": 1, "y": 2}) == canonical({"y": 2, "x": 1})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_json_cannot_say_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical({"x": value})


@pytest.mark.parametrize("key", inputs_record(ENTRY.inputs))
def test_a_record_without_one_of_its_keys_is_refused_or_lacks_only_a_digest(key: str) -> None:
    record = json.loads(canonical(inputs_record(ENTRY.inputs)))
    del record[key]
    if key in {"registry_digest", "policy_digest", "ceiling_digest"}:  # read by whoever fetches the documents
        assert read_inputs(record, registry=DECIDER.registry, policy=DECIDER.policy) == ENTRY.inputs
        return
    with pytest.raises(KeyError):
        read_inputs(record, registry=DECIDER.registry, policy=DECIDER.policy)


@pytest.mark.parametrize(
    ("key", "value"), [("link", "sideways"), ("now", "yesterday"), ("now", "2026-11-23T09:00:00"), ("task", {"x": 1})]
)
def test_a_record_that_says_something_else_is_refused(key: str, value: object) -> None:
    record = json.loads(canonical(inputs_record(ENTRY.inputs))) | {key: value}
    with pytest.raises((KeyError, TypeError, ValueError)):
        read_inputs(record, registry=DECIDER.registry, policy=DECIDER.policy)
