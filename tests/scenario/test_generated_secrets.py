"""The pattern tier on secrets and identifiers made here: none missed, and one report in a hundred wrong at most.

Every value is made from its published format, in prose, configuration, code, logs and shells (`tests/support`), and
must be covered whole by what is reported. A report is right where it overlaps such a value. The table that
`pytest -s` prints shows the recall of each kind and how often each near miss was reported.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import TypeVar

import pytest
from tests.support.made_identifiers import identifier_kinds
from tests.support.made_secrets import Sample, secret_kinds
from tests.support.near_misses import near_misses

from homebred_daemon.adapters.detectors.patterns import default_detector

SEED = "generated secrets"
SAMPLES = 200
LEAST_PRECISION = 0.99
# What is a secret or an identifier with a check; names, telephones, dates and addresses may be reported anywhere.
REPORTED = frozenset(
    {
        *("SECRET", "US_SSN", "US_ITIN", "UK_NINO", "DE_TAX_ID", "NL_BSN", "NATIONAL_ID", "SOCIAL_INSURANCE"),
        *("HEALTH_PLAN", "NHS_NUMBER", "PROVIDER_ID", "IBAN", "CREDIT_CARD", "DEVICE_ID", "VEHICLE", "ACCOUNT"),
        *("TAX_ID", "CRYPTO_WALLET"),
    }
)
_Made = TypeVar("_Made", Sample, str)


def made(makers: Mapping[str, Callable[[random.Random], _Made]], count: int) -> dict[str, list[_Made]]:
    return {kind: several(make, count, seeded(kind)) for kind, make in makers.items()}


def several(make: Callable[[random.Random], _Made], count: int, source: random.Random) -> list[_Made]:
    return [make(source) for _ in range(count)]


def seeded(kind: str) -> random.Random:
    return random.Random(f"{SEED} {kind}")


def reports(text: str) -> list[tuple[int, int]]:
    return [(span.start, span.end) for span in default_detector().detect(text) if span.type in REPORTED]


def is_whole(sample: Sample, found: list[tuple[int, int]]) -> bool:
    covered = {at for start, end in found for at in range(max(start, sample.start), min(end, sample.end))}
    return len(covered) == sample.end - sample.start


def test_no_generated_secret_or_identifier_is_missed_and_hardly_anything_else_is_reported(
    thorough: bool,  # noqa: FBT001 - a fixture
) -> None:
    count = SAMPLES if thorough else SAMPLES // 5
    right = wrong = 0
    recalls: dict[str, float] = {}
    missed: dict[str, str] = {}
    for kind, samples in made(secret_kinds() | identifier_kinds(), count).items():
        found = [reports(sample.text) for sample in samples]
        hits = [is_whole(sample, spans) for sample, spans in zip(samples, found, strict=True)]
        recalls[kind] = sum(hits) / count
        missed |= {sample.text: kind for sample, hit in zip(samples, hits, strict=True) if not hit}
        for sample, spans in zip(samples, found, strict=True):
            overlapping = sum(start < sample.end and end > sample.start for start, end in spans)
            right += overlapping
            wrong += len(spans) - overlapping
    looks_alike = near_misses()
    each = -(-len(recalls) * count // len(looks_alike))
    false_reports = {kind: [len(reports(text)) for text in texts] for kind, texts in made(looks_alike, each).items()}
    wrong += sum(map(sum, false_reports.values()))
    precision = right / (right + wrong)
    print(table(recalls, false_reports, precision, count))  # noqa: T201 - figures that were found
    assert missed == {}
    assert precision >= LEAST_PRECISION


def table(recalls: Mapping[str, float], false_reports: Mapping[str, list[int]], precision: float, count: int) -> str:
    texts = sum(map(len, false_reports.values()))
    reported = sum(sum(map(bool, counts)) for counts in false_reports.values())
    return "\n".join(
        (
            *(f"{kind:38} recall   {recall:6.3f}" for kind, recall in recalls.items()),
            *(f"{kind:38} reported {sum(map(bool, c)) / len(c):6.3f}" for kind, c in false_reports.items()),
            f"{len(recalls)} kinds, {len(recalls) * count} values, least recall {min(recalls.values()):.3f}",
            f"{texts} texts without one, {reported} of them reported, precision {precision:.4f}",
        )
    )


@pytest.mark.parametrize(
    "makers", [secret_kinds(), identifier_kinds(), near_misses()], ids=["secrets", "ids", "misses"]
)
def test_the_same_seed_makes_the_same_values(makers: Mapping[str, Callable[[random.Random], Sample | str]]) -> None:
    assert [make(seeded(kind)) for kind, make in makers.items()] == [
        make(seeded(kind)) for kind, make in makers.items()
    ]
