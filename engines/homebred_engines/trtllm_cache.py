"""How much device memory TensorRT-LLM's cache may take. Pure; it asks no device.

Left alone, the library takes nine tenths of all memory that is free: of a machine that others use too, or of one whose
processor and GPU share their memory, that is everything.
"""

from __future__ import annotations

from dataclasses import dataclass

from homebred_engines.model_room import SizedModel

BLOCK_TOKENS = 32
"""The library hands its cache out in blocks of that many."""
MOST_OF_FREE = 0.85
"""Of the memory beside the weights; working buffers need the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheRoom:
    """Three bounds; the smallest of them holds."""

    tokens: int
    """Of all slots, in whole blocks."""
    most_bytes: int
    """What those take."""
    fraction_of_free: float
    """Of the device memory that is free once the weights are loaded."""


def cache_room(model: SizedModel, *, context_tokens: int, slots: int, budget_bytes: int, free_bytes: int) -> CacheRoom:
    """Room for every slot's context and no more, inside the budget for weights and caches together."""
    tokens = slots * -(-context_tokens // BLOCK_TOKENS) * BLOCK_TOKENS
    beside_weights = (budget_bytes - model.file_bytes) / max(1, free_bytes - model.file_bytes)
    return CacheRoom(
        tokens=tokens,
        most_bytes=tokens * model.kv_bytes_per_token,
        fraction_of_free=min(MOST_OF_FREE, beside_weights),
    )
