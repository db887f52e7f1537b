"""Measures what daemon and worker add to the time to the first token, at one stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from tests.bench.figures import Aim, Bench, Conditions, Found
from tests.bench.generations import STORIES, Generation
from tests.bench.raw_engine import RawEngine
from tests.bench.side_by_side import Product, side_by_side
from tests.bench.texts import make_texts

COLD_CHARACTERS = 280
"""About a hundred tokens."""
ANSWER_TOKENS = 2
MOST_S = 70.0
TARGET_MS = 3.0


def _first_token(conditions: Conditions) -> Mapping[str, Found]:
    most_pairs = conditions.rounds(40, 10)
    with side_by_side(conditions.model) as (product, raw):
        sides = (product, raw[product.threads])
        for side in sides:
            side.ask_together(STORIES[:1], ANSWER_TOKENS)
        warm = _pairs(sides, [STORIES[0]] * most_pairs, conditions)
        cold = _pairs(sides, make_texts(most_pairs, characters=COLD_CHARACTERS, seed=2), conditions)
    return {"first_token.added_warm_ms": _found(warm), "first_token.added_cold_ms": _found(cold)}


def _pairs(
    sides: tuple[Product, RawEngine], prompts: Sequence[str], conditions: Conditions
) -> list[tuple[Generation, Generation]]:
    """Product and engine alone, in turn, on the same prompts; who is first alternates."""
    pairs = []
    for number in conditions.paced(len(prompts), at_most_s=MOST_S):
        first, second = sides if number % 2 else sides[::-1]
        taken = {side: side.ask_together([prompts[number]], ANSWER_TOKENS).generations[0] for side in (first, second)}
        pairs.append((taken[sides[0]], taken[sides[1]]))
    return pairs


def _found(pairs: Sequence[tuple[Generation, Generation]]) -> Found:
    added_ms = sorted((ours.first_s - theirs.first_s) * 1000 for ours, theirs in pairs)
    ours_ms = median(ours.first_s for ours, _ in pairs) * 1000
    theirs_ms = median(theirs.first_s for _, theirs in pairs) * 1000
    computed = median(ours.prompt_tokens - ours.cached_tokens for ours, _ in pairs)
    note = (
        f"median of the differences of {len(pairs)} pairs in turn, one stream, {computed:.0f} tokens of the prompt not"
        f" cached; medians {ours_ms:.2f} ms and {theirs_ms:.2f} ms (reference: in process); differences"
        f" {added_ms[len(added_ms) // 4]:.2f} to {added_ms[len(added_ms) * 3 // 4]:.2f} ms between the quartiles"
    )
    return Found(value=median(added_ms), reference=theirs_ms, note=note)


FIRST_TOKEN = Bench(
    name="first_token",
    aims=tuple(Aim(name=f"first_token.added_{prompt}_ms", unit="ms", target=TARGET_MS) for prompt in ("warm", "cold")),
    run=_first_token,
)
