"""Measures tokens per second through daemon and worker against the same engine in process."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from tests.bench.figures import Aim, Bench, Conditions, Found
from tests.bench.generations import MAX_TOKENS, STORIES, Round
from tests.bench.raw_engine import RawEngine
from tests.bench.side_by_side import Product, side_by_side

PRODUCT = "product"
STREAMS = (1, 4)
MOST_S = {1: 70.0, 4: 100.0}
TARGET_RATIO = 0.97
PROBE_TOKENS = 16
HOPELESS_SHARE = 0.5
"""A raw setting that in a trial has less than this share of the speed with the product's threads is not the best."""
_SETTLE_S = 0.05  # threads that wait by spinning have gone to sleep


def _tokens_per_s(conditions: Conditions) -> Mapping[str, Found]:
    found: dict[str, Found] = {}
    with side_by_side(conditions.model) as (product, raw):
        same = _raw_name(product.threads)
        sides: dict[str, Product | RawEngine] = {PRODUCT: product}
        sides |= {_raw_name(threads): engine for threads, engine in raw.items()}
        for streams in STREAMS:
            prompts = STORIES[:streams]
            for side in sides.values():
                side.ask_together(prompts, 1)  # every prompt is in its prefix cache
            probed = {name: _rounds({name: side}, prompts, PROBE_TOKENS, [0])[name] for name, side in sides.items()}
            rivals = {
                name: side
                for name, side in sides.items()
                if name in (PRODUCT, same) or _speed(probed[name]) > _speed(probed[same]) * HOPELESS_SHARE
            }
            numbers = conditions.paced(conditions.rounds(15, 3), at_most_s=MOST_S[streams])
            rounds = _rounds(rivals, prompts, conditions.rounds(MAX_TOKENS, 48), numbers)
            found |= _found(f"tokens_per_s_{streams}", rounds, probed, same=same)
    return found


def _rounds(
    sides: Mapping[str, Product | RawEngine], prompts: Sequence[str], max_tokens: int, numbers: Iterable[int]
) -> dict[str, list[Round]]:
    """Every side in turn, in alternating order."""
    rounds: dict[str, list[Round]] = {name: [] for name in sides}
    for number in numbers:
        for name, side in sorted(sides.items(), reverse=bool(number % 2)):
            time.sleep(_SETTLE_S)
            rounds[name].append(side.ask_together(prompts, max_tokens))
    return rounds


def _found(
    name: str, rounds: Mapping[str, Sequence[Round]], probed: Mapping[str, Sequence[Round]], *, same: str
) -> dict[str, Found]:
    medians = {side: _speed(each) for side, each in rounds.items()}
    best = max(medians.keys() - {PRODUCT}, key=lambda side: medians[side])
    hopeless = [
        f"{side} {_speed(each):.1f} in a trial, left out" for side, each in probed.items() if side not in rounds
    ]
    told = ", ".join([*(f"{side} {speed:.1f}" for side, speed in medians.items()), *hopeless])
    note = (
        f"{_how(rounds[PRODUCT])}; tokens/s: {told}; ratio to {same} (the product's own number of threads), best raw"
        f" setting: {best}"
    )
    return {
        name: Found(value=medians[PRODUCT], reference=medians[same], note=note),
        f"{name}_ratio": Found(value=_ratio(rounds[PRODUCT], rounds[same]), note=note),
        f"{name}_ratio_to_best": Found(value=_ratio(rounds[PRODUCT], rounds[best]), note=note),
    }


def _how(rounds: Sequence[Round]) -> str:
    tokens = [one.completion_tokens for each in rounds for one in each.generations]
    lengths = f"{min(tokens)}" if min(tokens) == max(tokens) else f"{min(tokens)} to {max(tokens)}"
    return (
        f"completion tokens over wall time, from asking to outcome, {lengths} tokens a stream, prompts in the prefix"
        f" cache; medians of {len(rounds)} rounds in turn, of ratios too"
    )


def _raw_name(threads: int) -> str:
    return f"raw with {threads} thread{'s' * (threads > 1)}"


def _speed(rounds: Sequence[Round]) -> float:
    return median(one.tokens_per_s for one in rounds)


def _ratio(ours: Sequence[Round], theirs: Sequence[Round]) -> float:
    """The median over rounds: neighbours in time share what else the machine did."""
    return median(mine.tokens_per_s / other.tokens_per_s for mine, other in zip(ours, theirs, strict=True))


TOKENS_PER_S = Bench(
    name="tokens_per_s",
    aims=tuple(
        aim
        for streams in STREAMS
        for aim in (
            Aim(name=f"tokens_per_s_{streams}", unit="tokens/s", better="higher"),
            Aim(name=f"tokens_per_s_{streams}_ratio", unit="ratio", better="higher", target=TARGET_RATIO),
            Aim(name=f"tokens_per_s_{streams}_ratio_to_best", unit="ratio", better="higher"),
        )
    ),
    run=_tokens_per_s,
)
