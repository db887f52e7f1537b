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
TARGET_MS = 3.0


def _first_token(conditions: Conditions) -> Mapping[str, Found]:
    warm_pairs, cold_pairs = conditions.rounds(40, 10), conditions.rounds(30, 4)
    with side_by_side(conditions.model) as (product, raw):
        engine = raw[product.threads]
        warm = _pairs(product, engine, [STORIES[0]] * (warm_pairs + 2))[2:]
        cold = _pairs(product, engine, make_texts(cold_pairs, characters=COLD_CHARACTERS, seed=2))
    return {"first_token.added_warm_ms": _found(warm), "first_token.added_cold_ms": _found(cold)}


def _pairs(product: Product, engine: RawEngine, prompts: Sequence[str]) -> list[tuple[Generation, Generation]]:
    """Product and engine alone, in turn, on the same prompts; who is first alternates."""
    pairs = []
    for position, prompt in enumerate(prompts):
        sides = (product, engine) if position % 2 else (engine, product)
        taken = {side: side.ask_together([prompt], ANSWER_TOKENS).generations[0] for side in sides}
        pairs.append((taken[product], taken[engine]))
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
