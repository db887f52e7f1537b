from __future__ import annotations

from typing import Any

import pytest

from homebred_daemon.core.embedders import embedder
from homebred_protocol.documents.registry import read_registry

SERVED = ("big", "small", "own", "talks")


def specialist(name: str, *workflows: str, **more: Any) -> dict[str, Any]:
    unmeasured = {"fitness": 0.0, "samples": 0}
    entry = {"id": name, "engine": "echo", "workflows": dict.fromkeys(workflows, unmeasured)}
    return entry | {"capabilities": ["embeddings"]} | more


BIG, SMALL = specialist("big", "*", size_rank=2), specialist("small", "*", size_rank=1)
OWN, TALKS = specialist("own", "menu.search", size_rank=3), specialist("talks", "*", capabilities=["tools"])


@pytest.mark.parametrize(
    ("specialists", "workflow", "chosen"),
    [
        ([BIG, SMALL], None, "small"),
        ([BIG, SMALL, OWN], "menu.search", "own"),
        ([BIG, SMALL, OWN], "other", "small"),
        ([OWN], None, None),
        ([TALKS], None, None),
        ([BIG | {"available": False}, SMALL | {"id": "away"}], None, None),
    ],
)
def test_the_smallest_that_is_made_for_it_before_a_generalist(
    specialists: list[dict[str, Any]], workflow: str | None, chosen: str | None
) -> None:
    assert embedder(read_registry({"specialists": specialists}, "sha256:r"), workflow, SERVED) == chosen
