"""Whether a newcomer that answers a device's own tasks beside what serves does worse than it there.

A task that both answer well, or neither does, tells nothing of a difference; of those where one of them alone did well,
a newcomer that is no worse loses at most half (McNemar 1947, Psychometrika 12:153). That share is tested after every
task by the mixture sequential probability ratio test of `probation.py`, against one half, which is known: all of the
allowed error is the test's. However often one looks, a newcomer no worse than what serves is refused with a chance of
at most `FALSE_ALARM` in all. It looks at counts alone, so a restart loses nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from homebred_daemon.core.compatibility import Refusal
from homebred_daemon.core.deployment import Tally
from homebred_daemon.core.pairs import NONE_YET, Pairs
from homebred_daemon.core.probation import evidence
from homebred_protocol.documents.release_values import Shadow

FALSE_ALARM = 0.01
"""Chance that a release no worse than what serves is refused."""
_HALF = 0.5


class Comparison(StrEnum):
    """What is known."""

    OPEN = "open"
    PASSES = "passes"
    WORSE = "worse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What the comparison says."""

    standing: Comparison
    note: Refusal | None
    """Why it is refused, or what is to be known of its passing."""
    facts: Mapping[str, int]
    """What was counted, for the receipt and for people."""


def compared(pairs: Pairs, demand: Shadow, *, since_s: int, now_s: int) -> Compared:
    """What to do about a newcomer; `since_s` is when it began to answer beside what serves, both trusted time."""
    told = pairs.only_serving + pairs.only_newcomer
    found = evidence(Tally(good=pairs.only_newcomer, seen=told), _HALF)
    facts = _facts(pairs, demand) | {"shadow_evidence_milli": round(found * 1000)}
    if found >= math.log(1 / FALSE_ALARM):
        sentence = (
            f"of {pairs.seen} tasks of this device it alone failed at {pairs.only_serving}, what serves alone at"
            f" {pairs.only_newcomer}"
        )
        return _said(Comparison.WORSE, Refusal(code="shadow_worse", sentence=sentence), facts)
    if pairs.seen >= demand.outcomes:
        return _said(Comparison.PASSES, None, facts)
    if now_s - since_s >= demand.longest_s:
        sentence = (
            f"its time is over, and {pairs.seen} of {demand.outcomes} tasks were compared: none speaks against it"
        )
        return _said(Comparison.PASSES, Refusal(code="shadow_short", sentence=sentence), facts)
    return _said(Comparison.OPEN, None, facts)


def passed_by(note: Refusal, demand: Shadow, pairs: Pairs = NONE_YET) -> Compared:
    """It cannot be compared here, and `note` says why; its gate and its probation stand."""
    return _said(Comparison.PASSES, note, _facts(pairs, demand))


def _said(standing: Comparison, note: Refusal | None, facts: Mapping[str, int]) -> Compared:
    return Compared(standing=standing, note=note, facts=facts)


def _facts(pairs: Pairs, demand: Shadow) -> dict[str, int]:
    facts = {
        "shadow_seen": pairs.seen,
        "shadow_demanded": demand.outcomes,
        "shadow_only_serving_good": pairs.only_serving,
        "shadow_only_newcomer_good": pairs.only_newcomer,
        "shadow_neither_good": pairs.neither,
    }
    if pairs.both_good:
        facts |= {
            "shadow_serving_mean_ms": round(pairs.serving_ms / pairs.both_good),
            "shadow_newcomer_mean_ms": round(pairs.newcomer_ms / pairs.both_good),
        }
    return facts
