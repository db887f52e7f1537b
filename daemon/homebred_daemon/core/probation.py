"""Whether a release that serves does worse than what it took the place of: a test that may be read at any time.

Each outcome is good or bad. The null hypothesis is that at least a share p0 is good, whatever has happened before. For
a p1 below p0, the product over outcomes of p1/p0 (good) or (1-p1)/(1-p0) (bad) is then a supermartingale that begins at
1, and so is a mixture over several p1 (Robbins 1970, Ann. Math. Stat. 41:1397): by Ville's inequality (1939) the chance
that it ever reaches 1/a is at most a, however often it is looked at and whenever one stops. This is the mixture
sequential probability ratio test of Johari, Koomen, Pekelis & Walsh 2017 ("Peeking at A/B tests", KDD), one-sided.

p0 is not known: it is the exact lower limit (Clopper & Pearson 1934) of what the incumbent did, at half of the error;
the test takes the other half, so that a newcomer no worse than the incumbent is rolled back wrongly with a chance of at
most `false_alarm` in all. It looks at counts alone: their order does not matter, and a restart loses nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from homebred_daemon.core.deployment import Tally
from homebred_daemon.core.verification import WEAK, Finding

MILLION = 1_000_000
_STEPS = 16
_WEIGHTS = tuple(1 / step for step in range(1, _STEPS + 1))
_NOT_GOOD = frozenset(WEAK | {Finding.SLOW, Finding.REJECTED_BY_CALLER})
_HALVINGS = 50
_ANSWERED = "answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbationTerms:
    """How long it takes, and how much error it may make."""

    false_alarm: float = 0.01
    """Chance that a release as good as what it replaced is rolled back, over the whole probation."""
    floor_ppm: int = 500_000
    """Good outcomes below which it is bad whatever was before, in millionths: also where nothing was."""
    least_outcomes: int = 200
    """Seen before it may settle early."""
    soak_s: int = 86_400
    """It settles no sooner, in seconds."""
    longest_s: int = 7 * 86_400
    """It settles after so long, though few outcomes were seen."""


class Standing(StrEnum):
    """What is known of a release in probation."""

    OPEN = "open"
    HEALTHY = "healthy"
    DEGRADED = "degraded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What the outcomes say."""

    standing: Standing
    sentence: str
    reference_ppm: int
    """The share that it is held against, in millionths."""
    evidence_milli: int
    """Of its being worse: thousandths of the natural logarithm of the likelihood ratio."""


def counts_as_good(status: str, findings: tuple[str, ...]) -> bool:
    """Whether a task that a specialist answered here went well: an answer, neither weak, slow nor taken back."""
    return status == _ANSWERED and _NOT_GOOD.isdisjoint(findings)


def judged(counted: Tally, reference: Tally, terms: ProbationTerms, *, since_s: int, now_s: int) -> Judgement:
    """What to do about a release; `since_s` is when it was activated, `now_s` now, both trusted time."""
    share = reference_share(reference, terms)
    found = evidence(counted, share)
    facts = {"reference_ppm": round(share * MILLION), "evidence_milli": _milli(found)}
    seen = f"{counted.good} of {counted.seen} outcomes were good"
    if found >= math.log(2 / terms.false_alarm):
        sentence = f"{seen}, where at least {share:.3f} of them should be"
        return Judgement(standing=Standing.DEGRADED, sentence=sentence, **facts)
    soaked_s = now_s - since_s
    if soaked_s >= terms.longest_s or (soaked_s >= terms.soak_s and counted.seen >= terms.least_outcomes):
        few = "" if counted.seen >= terms.least_outcomes else "; few, but its time is over"
        return Judgement(standing=Standing.HEALTHY, sentence=seen + few, **facts)
    return Judgement(standing=Standing.OPEN, sentence=seen, **facts)


def reference_share(reference: Tally, terms: ProbationTerms) -> float:
    """The share of good outcomes that a release is held against, in (0, 1)."""
    exact = lower_limit(reference.good, reference.seen, terms.false_alarm / 2)
    return min(max(exact, terms.floor_ppm / MILLION), 1 - 1e-9)


def evidence(counted: Tally, share: float) -> float:
    """Logarithm of the mixture likelihood ratio of "less than `share` is good" to "at least `share` is"."""
    bad = counted.seen - counted.good
    terms = [
        math.log(weight / sum(_WEIGHTS)) + _log_ratio(counted.good, bad, share * (1 - step / _STEPS), share)
        for step, weight in enumerate(_WEIGHTS, start=1)
    ]
    most = max(terms)
    return most + math.log(sum(math.exp(term - most) for term in terms))


def _log_ratio(good: int, bad: int, worse: float, share: float) -> float:
    if good and worse <= 0:
        return -math.inf
    of_good = good * math.log(worse / share) if good else 0.0
    return of_good + (bad * math.log((1 - worse) / (1 - share)) if bad else 0.0)


@lru_cache(maxsize=256)
def lower_limit(good: int, seen: int, error: float) -> float:
    """Exact one-sided lower limit of a share: the p under which so many good outcomes have a chance of `error`."""
    if good == 0:
        return 0.0
    low, high = 0.0, good / seen
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _chance_of_at_least(good, seen, middle) < error:
            low = middle
        else:
            high = middle
    return low


def _chance_of_at_least(good: int, seen: int, share: float) -> float:
    if share <= 0:
        return 0.0
    log_all = math.lgamma(seen + 1)
    log_share, log_rest = math.log(share), math.log1p(-share)
    return math.fsum(
        math.exp(log_all - math.lgamma(k + 1) - math.lgamma(seen - k + 1) + k * log_share + (seen - k) * log_rest)
        for k in range(good, seen + 1)
    )


def _milli(found: float) -> int:
    return round(max(found, -1e9) * 1000)
