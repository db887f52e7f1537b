from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.checkpoints import FACTS

from homebred_engines.trtllm_cache import MOST_OF_FREE, cache_room

MODEL = replace(FACTS, file_bytes=2_000_000_000, kv_bytes_per_token=1000)


def test_the_cache_holds_every_slot_in_whole_blocks_and_no_more() -> None:
    room = cache_room(MODEL, context_tokens=2000, slots=4, budget_bytes=4_000_000_000, free_bytes=10_000_000_000)
    assert (room.tokens, room.most_bytes) == (4 * 2016, 4 * 2016 * 1000)


def test_the_fraction_is_what_the_budget_leaves_beside_the_weights() -> None:
    room = cache_room(MODEL, context_tokens=2048, slots=1, budget_bytes=4_000_000_000, free_bytes=10_000_000_000)
    assert room.fraction_of_free == pytest.approx(0.25)


@pytest.mark.parametrize("free_bytes", [4_000_000_000, 2_000_000_000])
def test_all_that_is_free_is_never_taken(free_bytes: int) -> None:
    room = cache_room(MODEL, context_tokens=2048, slots=1, budget_bytes=4_000_000_000, free_bytes=free_bytes)
    assert room.fraction_of_free == MOST_OF_FREE < 0.9
