"""What each engine can do, as the engines themselves say: printed as a table (`pytest -s`)."""

from __future__ import annotations

import pytest
from tests.conformance.engine_bench import Candidate, StartBench

from homebred_engines.api import Capability, EngineStats

pytestmark = pytest.mark.asyncio(loop_scope="module")

SAID: dict[str, EngineStats] = {}
CLAIMS = {
    "echo": set(Capability) - {Capability.PREFIX_CACHE},
    "llamacpp": set(Capability),
    "openai_server": set(Capability) - {Capability.TOOLS, Capability.EMBEDDINGS, Capability.ADAPTERS},  # of this one
    "edgellm": set(Capability) - {Capability.EMBEDDINGS, Capability.PREFIX_CACHE},
    "trtllm": set(Capability) - {Capability.EMBEDDINGS},
}


@pytest.fixture(scope="module", autouse=True)
def table() -> object:
    """Printed once every engine has spoken."""
    yield
    columns = [capability.value for capability in Capability]
    print("\n| engine | version | " + " | ".join(columns) + " |")  # noqa: T201  # the table is the point
    print("|---" * (len(columns) + 2) + "|")  # noqa: T201
    for name, stats in sorted(SAID.items()):
        marks = ["yes" if capability in stats.capabilities else "UNIMPLEMENTED" for capability in Capability]
        print(f"| {name} | {stats.engine_version} | " + " | ".join(marks) + " |")  # noqa: T201


async def test_an_engine_says_what_it_can_do(candidate: Candidate, start_bench: StartBench) -> None:
    # With a model an engine says what it can do with that one; a server's is the only one there is.
    bench = await start_bench(candidate, loaded=candidate.engine == "openai_server")
    stats = (await bench.worker.describe()).engine
    SAID[candidate.name] = stats
    assert set(stats.capabilities) == CLAIMS[candidate.engine]
