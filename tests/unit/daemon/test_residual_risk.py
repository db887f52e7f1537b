from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homebred_daemon.core.residual_risk import residual_risk
from homebred_daemon.core.sensitivity import Span
from homebred_protocol.documents.policy import RiskWeights

MAXIMUM = 0.2  # the policy's default maximum_residual_risk
WEIGHTS = RiskWeights()

ORDINARY = """
How should a mid-sized manufacturer balance automation against retraining over the next five years? Consider Europe.
Compare three go-to-market strategies for a kiosk vendor entering France. Budget: $250,000. Time: Q3 2026 to Q1 2027.
Draft a plan to reduce waiting times in an emergency department. Options: triage nurse, fast track. Weigh cost.
Summarise the arguments: some favour a phased rollout, others a complete migration. Highlight unresolved tensions.
Should we certify to ISO 9001 first, or to ISO 13485? We have 4500 employees, 12 sites and a 10kg limit per parcel.
What did COVID-19 change for B2B pricing? Compare GPT-4 with a local LLM on privacy, latency and cost.
Wie sollte ein Betrieb seine Produktionsplanung absichern? Nenne Vorteile, Nachteile, Risiken und eine Empfehlung.
Quelle stratégie recommandez-vous pour une petite clinique rurale face à la pénurie de médecins ?
""".strip().splitlines()
TELLING = [
    "Please ask Sorensen whether Petrovic signed.",
    "Jane Doe called about the invoice.",
    "The complaint came from Müller & Kowalczyk in Oberhausen.",
    "Look up AX-4471-B.",
    "The number is 48291734.",
    "They moved to 12 Oak Tree Lane last year.",
    "It is the second door, Apt 5.",
    "Use xKjsLqPwZrTb to log in.",
]


@pytest.mark.parametrize("text", ORDINARY)
def test_an_ordinary_question_stays_well_under_the_default_maximum(text: str) -> None:
    assert residual_risk(text, (), WEIGHTS) <= MAXIMUM / 2


@pytest.mark.parametrize("text", TELLING)
def test_names_codes_and_addresses_left_behind_go_over_it(text: str) -> None:
    assert residual_risk(text, (), WEIGHTS) > MAXIMUM


@pytest.mark.parametrize("text", TELLING)
def test_a_fully_masked_text_has_no_risk_left(text: str) -> None:
    assert residual_risk(text, [Span(0, len(text), "PERSON", 1)], WEIGHTS) == 0.0


def test_one_unknown_name_or_odd_number_alone_stays_under_it() -> None:
    assert residual_risk("We bought it from Kowalczyk.", (), WEIGHTS) == 0.15
    assert residual_risk("It turned 3157 times.", (), WEIGHTS) == 0.15


def test_the_formula_multiplies_what_is_left_of_each_distinct_token() -> None:
    assert residual_risk("ask Sorensen, ask Sorensen, then Petrovic", (), WEIGHTS) == round(1 - 0.85**2, 12)
    assert residual_risk("ask Sorensen about 3157 and AX-4471-B", (), WEIGHTS) == round(1 - 0.85 * 0.85 * 0.75, 12)


def test_a_word_that_begins_a_sentence_counts_half_and_not_at_all_when_written_small_elsewhere() -> None:
    assert residual_risk("Svetlana called.", (), WEIGHTS) == 0.075
    assert residual_risk("It rang. Svetlana called.", (), WEIGHTS) == 0.075
    assert residual_risk("Zymurgy is brewing; zymurgy is old.", (), WEIGHTS) == 0.0
    assert residual_risk("Svetlana called. We know Svetlana.", (), WEIGHTS) == 0.15


def test_a_masked_word_keeps_its_place_in_the_sentence() -> None:
    assert residual_risk("Dr. X. Sorensen called", [Span(0, 6, "PERSON", 1)], WEIGHTS) == 0.15


@pytest.mark.parametrize(
    "text",
    [
        "in 1999 and 2031",
        "3.14159 or 0,98765",
        "10000 units",
        "250mm and 1500rpm",
        "the 21st",
        "Q3, A4, 5G and B12",
        "1,250,000",
    ],
)
def test_years_quantities_and_round_figures_are_no_identifiers(text: str) -> None:
    assert residual_risk(text, (), WEIGHTS) == 0.0


def test_the_weights_are_the_policys() -> None:
    weights = RiskWeights(capitalised=0.5, digits=0.0, rare=0.0, address=0.0)
    assert residual_risk("ask Sorensen about 3157 and AX-4471-B", (), weights) == 0.5


@given(st.text(max_size=200), st.text(max_size=40))
def test_risk_is_a_share_and_masking_everything_removes_it(text: str, more: str) -> None:
    risk = residual_risk(text + " " + more, (), WEIGHTS)
    assert 0.0 <= risk <= 1.0
    assert residual_risk(text, [Span(0, len(text), "PERSON", 1)] if text else (), WEIGHTS) == 0.0


@pytest.mark.parametrize("piece", ["a", "A", "1", "aA", "A1-", "1 Main ", ". A", "'"])
def test_a_hostile_text_takes_time_in_proportion_to_its_length(piece: str) -> None:
    text = (piece * 100_000)[:100_000]
    began = time.process_time()
    residual_risk(text, (), WEIGHTS)
    assert time.process_time() - began < 2.0
