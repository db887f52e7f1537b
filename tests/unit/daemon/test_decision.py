from __future__ import annotations

from dataclasses import fields

import pytest
from tests.support.ledger_entries import ENTRY

from homebred_daemon.core.decision import REASONS, Fallback, Reason, RouteDecision, Runtime

# reason_code, runtime, redaction, evidence, fallback, local_reason: CONTRACT.md's table, word for word
CONTRACT = """
local_only    | local            | false | false | none          | private data stays on this device
margin_met    | local            | false | false | none          | local fitness margin met
utility_local | local            | false | false | none          | local lane has the higher utility
offline_local | local            | false | true  | none          | offline: best local specialist at the floor
margin_short  | cloud_escalation | true  | true  | local_summary | local margin not enough
utility_cloud | cloud_escalation | true  | true  | local_summary | cloud lane has the higher utility
below_floor   | no_op            | false | true  | human_review  | no acceptable route under policy:
no_candidate  | no_op            | false | true  | human_review  | no acceptable route under policy:
residual_risk | no_op            | false | true  | human_review  | no acceptable route under policy:
no_route      | no_op            | false | true  | human_review  | no acceptable route under policy:
"""


def test_the_reasons_mean_what_the_contracts_table_says() -> None:
    rows = [tuple(cell.strip() for cell in line.split("|")) for line in CONTRACT.strip().splitlines()]
    assert rows == [
        (
            reason.value,
            meaning.runtime.value,
            str(meaning.redaction).lower(),
            str(meaning.evidence).lower(),
            meaning.fallback.value,
            meaning.sentence.strip(),
        )
        for reason, meaning in REASONS.items()
    ]


def test_every_reason_has_its_meaning() -> None:
    assert set(REASONS) == set(Reason)


def test_the_first_seven_fields_are_the_contracts_in_its_order() -> None:
    assert [field.name for field in fields(RouteDecision)][:7] == [
        "selected_runtime",
        "selected_model_or_stack",
        "local_reason",
        "redaction_required",
        "evidence_required",
        "fallback_target",
        "route_created_at_utc",
    ]


def test_runtimes_and_fallbacks_are_the_contracts_words() -> None:
    assert [runtime.value for runtime in Runtime] == ["local", "cloud_escalation", "no_op"]
    assert [fallback.value for fallback in Fallback] == ["none", "local_summary", "human_review"]


@pytest.mark.parametrize(
    ("runtime", "selected", "stack"),
    [
        (Runtime.LOCAL, "a", ("a",)),
        (Runtime.LOCAL, "cascade:a+b+c", ("a", "b", "c")),
        (Runtime.CLOUD_ESCALATION, "cloud/default", ()),
        (Runtime.NO_OP, "none", ()),
    ],
)
def test_only_a_local_route_has_specialists_to_try(runtime: Runtime, selected: str, stack: tuple[str, ...]) -> None:
    shown = {field.name: getattr(ENTRY.decision, field.name) for field in fields(RouteDecision)}
    decision = RouteDecision(**(shown | {"selected_runtime": runtime, "selected_model_or_stack": selected}))
    assert decision.stack == stack
