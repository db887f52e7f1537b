"""Whether a release may serve on this device: its golden sets' thresholds, its speed, its memory, and what serves now.

A golden set and its thresholds are signed with the release. Beyond them a newcomer must not be provably worse here than
what serves, where both were measured on the same golden set: a threshold that its maker set too low does not let it in.
Facts name the sample size beside every score; nothing is measured here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from homebred_daemon.core.compatibility import Refusal
from homebred_daemon.core.fitness import DECIMALS, unpaired_margin, wilson_limits
from homebred_protocol.documents.release_values import GoldenDemand

MILLION = 1_000_000
LEAST_SAMPLES = 3
"""Rows of a golden set; of fewer a share says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was measured on one golden set."""

    golden_digest: str
    score_ppm: int
    """Mean score, in millionths."""
    samples: int
    p95_ms: int
    """95th percentile of a row's time, in milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """All that the gate measured."""

    found: Mapping[str, Found]
    """By workflow."""
    memory_bytes: int
    """What the engine's process took, the model loaded and all rows asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateVerdict:
    """What the gate says."""

    refusal: Refusal | None
    """The first; None: it has passed."""
    facts: Mapping[str, int]
    """What was found and demanded, for the receipt and for people: integers only."""


def judged(
    golden: Sequence[GoldenDemand],
    maximum_memory_bytes: int,
    trial: Trial,
    incumbent: Mapping[str, Found],
) -> GateVerdict:
    """The verdict; `incumbent` is what was measured of what serves now, by workflow."""
    facts = {"memory_bytes": trial.memory_bytes, "maximum_memory_bytes": maximum_memory_bytes}
    refusals = [refusal for demand in golden for refusal in _refusals(demand, trial, incumbent)]
    for demand in golden:
        facts |= _facts(demand, trial.found.get(demand.workflow), incumbent.get(demand.workflow))
    if maximum_memory_bytes and trial.memory_bytes > maximum_memory_bytes:
        sentence = f"its engine took {trial.memory_bytes} bytes of memory; {maximum_memory_bytes} are allowed"
        refusals.append(Refusal(code="gate_memory", sentence=sentence))
    if not golden:
        refusals.append(Refusal(code="gate_missing", sentence="it brings no golden set to be measured on"))
    return GateVerdict(refusal=refusals[0] if refusals else None, facts=facts)


def _refusals(demand: GoldenDemand, trial: Trial, incumbent: Mapping[str, Found]) -> list[Refusal]:
    found = trial.found.get(demand.workflow)
    if found is None or found.samples < LEAST_SAMPLES:
        rows = 0 if found is None else found.samples
        sentence = f"{demand.workflow} was measured on {rows} rows; at least {LEAST_SAMPLES} tell something"
        return [Refusal(code="gate_samples", sentence=sentence)]
    refusals = []
    if found.score_ppm < demand.minimum_ppm:
        sentence = (
            f"{demand.workflow} scored {_share(found.score_ppm)} on {found.samples} rows;"
            f" {_share(demand.minimum_ppm)} is demanded"
        )
        refusals.append(Refusal(code="gate_quality", sentence=sentence))
    if demand.maximum_p95_ms and found.p95_ms > demand.maximum_p95_ms:
        sentence = f"{demand.workflow} took {found.p95_ms} ms (95th percentile); {demand.maximum_p95_ms} is the most"
        refusals.append(Refusal(code="gate_latency", sentence=sentence))
    serving = incumbent.get(demand.workflow)
    if serving is not None and serving.golden_digest == found.golden_digest and _is_worse(found, serving):
        sentence = (
            f"{demand.workflow} scored {_share(found.score_ppm)} on {found.samples} rows; what serves scored"
            f" {_share(serving.score_ppm)} on the same"
        )
        refusals.append(Refusal(code="gate_regression", sentence=sentence))
    return refusals


def _is_worse(found: Found, serving: Found) -> bool:
    """Whether it is worse beyond chance: a one-sided 95 % lower bound of (serving − found) above 0, Newcombe 1998."""
    margin = unpaired_margin(serving.score_ppm / MILLION, serving.samples, found.score_ppm / MILLION, found.samples)
    return round(margin, DECIMALS) > 0


def _facts(demand: GoldenDemand, found: Found | None, serving: Found | None) -> dict[str, int]:
    facts = {f"{demand.workflow}:minimum_ppm": demand.minimum_ppm}
    if found is not None:
        low, high = wilson_limits(found.score_ppm / MILLION, found.samples)
        facts |= {
            f"{demand.workflow}:score_ppm": found.score_ppm,
            f"{demand.workflow}:samples": found.samples,
            f"{demand.workflow}:at_least_ppm": int(low * MILLION),
            f"{demand.workflow}:at_most_ppm": round(high * MILLION),
            f"{demand.workflow}:p95_ms": found.p95_ms,
        }
    if demand.maximum_p95_ms:
        facts[f"{demand.workflow}:maximum_p95_ms"] = demand.maximum_p95_ms
    if serving is not None and found is not None and serving.golden_digest == found.golden_digest:
        facts[f"{demand.workflow}:serving_ppm"] = serving.score_ppm
    return facts


def _share(ppm: int) -> str:
    return f"{ppm / MILLION:.3f}"
