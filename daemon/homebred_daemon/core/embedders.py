"""Which specialist turns texts into vectors. No route is decided: whatever it is, it is on this device."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from homebred_protocol.documents.registry import GENERALIST, Registry

EMBEDDINGS: Final = "embeddings"


def embedder(registry: Registry, workflow: str | None, served: Collection[str]) -> str | None:
    """The smallest served specialist that makes embeddings for the workflow, its own before a generalist's; None: none.

    Fitness plays no part: a golden set measures answers.
    """
    fit = [
        (workflow not in specialist.workflows, specialist.size_rank, specialist.id)
        for specialist in registry.specialists
        if EMBEDDINGS in specialist.capabilities
        and specialist.available
        and specialist.id in served
        and not {workflow, GENERALIST}.isdisjoint(specialist.workflows)
    ]
    return min(fit)[-1] if fit else None
