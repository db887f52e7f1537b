"""Measures tokens per second through daemon and worker against the same engine in process."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from statistics import median

from tests.bench.figures import Aim, Bench, Conditions, Found
from tests.bench.generations import MAX_TOKENS, STORIES, Round
from tests.bench.raw_engine import RawEngine
from tests.bench.side_by_side import Product, side_by_side

PRODUCT = "product"
STREAMS = (1, 4)
MOST_S = {1: 70.0, 4: 100.0}
TARGET_RATIO = 0.97
_SETTLE_S = 0.05  # threads that wait by spinning have gone to sleep


def _tokens_per_s(conditions: Conditions) -> Mapping[str, Found]:
    found: dict[str, Found] = {}
    with side_by_side(conditions.model) as (product, raw):
        sides: dict[str, Product | RawEngine] = {PRODUCT: product}
        sides |= {_raw_name(threads): engine for threads, engine in raw.items()}
        for streams in STREAMS:
            prompts = STORIES[:streams]
            rounds: dict[str, list[Round]] = {name: [] for name in sides}
            for side in sides.values():
                side.ask_together(prompts, 1)  # every prompt is in its prefix cache
            for number in conditions.paced(conditions.rounds(9, 3), at_most_s=MOST_S[streams]):
                for name, side in sorted(sides.items(), reverse=bool(number % 2)):
                    time.sleep(_SETTLE_S)
                    rounds[name].append(side.ask_together(prompts, conditions.rounds(MAX_TOKENS, 48)))
            found |= _found(f"tokens_per_s_{streams}", rounds, same=_raw_name(product.threads))
    return found


def _found(name: str, rounds: Mapping[str, Sequence[Round]], *, same: str) -> dict[str, Found]:
    speeds = {side: [one.tokens_per_s for one in each] for side, each in rounds.items()}
    medians = {side: median(each) for side, each in speeds.items()}
    best = max(medians.keys() - {PRODUCT}, key=lambda side: medians[side])
    note = (
        f"{_how(rounds[PRODUCT])}; tokens/s: {', '.join(f'{side} {speed:.1f}' for side, speed in medians.items())};"
        f" ratio to {same} (the product's own number of threads), best raw setting: {best}"
    )
    return {
        name: Found(value=medians[PRODUCT], reference=medians[same], note=note),
        f"{name}_ratio": Found(value=_ratio(speeds[PRODUCT], speeds[same]), note=note),
        f"{name}_ratio_to_best": Found(value=_ratio(speeds[PRODUCT], speeds[best]), note=note),
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


def _ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median over rounds: neighbours in time share what else the machine did."""
    return median(mine / other for mine, other in zip(ours, theirs, strict=True))


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
