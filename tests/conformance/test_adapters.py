"""What every engine that serves adapters must do, and that the others refuse them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from tests.conformance.engine_bench import Bench, Candidate, StartBench

from homebred_engines.api import (
    Adapter,
    AdapterNotLoadedError,
    AdapterRefusedError,
    Capability,
    FinishReason,
    GenerateOptions,
    ModelNotLoadedError,
    UnsupportedOptionError,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXT = "one two three four five six"


def asking(adapter: Adapter | None = None, *, max_tokens: int = 12) -> GenerateOptions:
    return GenerateOptions(temperature=0, max_tokens=max_tokens, adapter=adapter.digest if adapter else "")


@pytest_asyncio.fixture(loop_scope="module")
async def adapters(candidate: Candidate, tmp_path: Path) -> tuple[Adapter, ...]:
    """Two that fit, one for another base."""
    if candidate.write_adapters is None:
        pytest.skip(f"{candidate.name} serves no adapters, and refuses them: see the table")
    return await asyncio.to_thread(candidate.write_adapters, tmp_path)


Fresh = Callable[..., Awaitable[Bench]]


@pytest_asyncio.fixture(loop_scope="module")
async def fresh(candidate: Candidate, start_bench: StartBench) -> Fresh:
    """Starts a worker with these adapters beside its model."""

    async def start(*adapters: Adapter, slots: int = 2) -> Bench:
        bench = await start_bench(candidate, loaded=False, slots=slots)
        bench.load_options = bench.with_adapters(adapters)
        await bench.worker.load(bench.load_options)
        return bench

    return start


async def test_each_generation_has_the_adapter_that_it_asks_for(adapters: tuple[Adapter, ...], fresh: Fresh) -> None:
    first, second, _ = adapters
    bench = await fresh(first, second)
    assert (await bench.worker.describe()).engine.adapters == tuple(sorted((first.digest, second.digest)))
    alone = [(await bench.ask(TEXT, asking(each))).text for each in (None, first, second)]
    assert len(set(alone)) == 3
    order = [None, first, second, first, None, second, second, None]
    beside = await asyncio.gather(*(bench.ask(TEXT, asking(each)) for each in order))
    wanted = dict(zip((None, first, second), alone, strict=True))
    assert [answer.text for answer in beside] == [wanted[each] for each in order]


async def test_what_one_adapter_has_read_is_never_taken_for_anothers(
    adapters: tuple[Adapter, ...], fresh: Fresh
) -> None:
    first, second, _ = adapters
    other = "a conversation about something else altogether, of which nothing can be kept"
    bench = await fresh(first, second, slots=1)
    await bench.ask(TEXT, asking(first))
    await bench.ask(other, asking(second))
    later = await bench.ask(TEXT, asking(second))
    assert later.text == (await (await fresh(first, second, slots=1)).ask(TEXT, asking(second))).text


async def test_adapters_come_and_go_while_the_model_stays(adapters: tuple[Adapter, ...], fresh: Fresh) -> None:
    first, second, _ = adapters
    bench = await fresh()
    base = (await bench.ask(TEXT, asking())).text
    with pytest.raises(AdapterNotLoadedError):
        await bench.ask(TEXT, asking(first))
    progress: list[float] = []
    stats = await bench.worker.set_adapters([first], progress.append)
    assert stats.engine.adapters == (first.digest,)
    assert progress == sorted(progress)
    changed = (await bench.ask(TEXT, asking(first))).text
    await bench.worker.set_adapters([second])
    with pytest.raises(AdapterNotLoadedError):
        await bench.ask(TEXT, asking(first))
    assert (await bench.ask(TEXT, asking(second))).text not in (base, changed)
    assert (await bench.worker.set_adapters([])).engine.adapters == ()
    assert (await bench.ask(TEXT, asking())).text == base


async def test_a_running_stream_ends_with_what_it_began_with(
    candidate: Candidate, adapters: tuple[Adapter, ...], fresh: Fresh
) -> None:
    first, second, _ = adapters
    bench = await fresh(first)
    options = asking(first, max_tokens=30)
    whole = (await bench.ask(candidate.endless, options)).text
    stream = bench.stream(candidate.endless, options)
    begun = [await anext(stream)]
    await bench.worker.set_adapters([second])
    other = await bench.ask(TEXT, asking(second))
    rest = [event async for event in stream]
    assert other.finished.reason in (FinishReason.STOP, FinishReason.LENGTH)
    assert "".join(getattr(event, "text", "") for event in (*begun, *rest)) == whole


async def test_an_adapter_for_another_base_is_refused_and_the_others_stay(
    adapters: tuple[Adapter, ...], fresh: Fresh
) -> None:
    first, _, foreign = adapters
    bench = await fresh(first)
    before = await bench.ask(TEXT, asking(first))
    with pytest.raises(AdapterRefusedError) as refused:
        await bench.worker.set_adapters([first, foreign])
    assert refused.value.adapter == foreign.digest
    assert refused.value.hint
    assert (await bench.worker.describe()).engine.adapters == (first.digest,)
    assert (await bench.ask(TEXT, asking(first))).text == before.text
    with pytest.raises(AdapterRefusedError):
        await fresh(foreign)


async def test_an_adapter_whose_path_is_missing_is_named(
    adapters: tuple[Adapter, ...], fresh: Fresh, tmp_path: Path
) -> None:
    del adapters
    bench = await fresh()
    missing = Adapter(digest="sha256:missing", path=str(tmp_path / "missing"))
    with pytest.raises(AdapterRefusedError, match="missing"):
        await bench.worker.set_adapters([missing])


async def test_adapters_need_a_model(
    candidate: Candidate, adapters: tuple[Adapter, ...], start_bench: StartBench
) -> None:
    bench = await start_bench(candidate, loaded=False)
    with pytest.raises(ModelNotLoadedError):
        await bench.worker.set_adapters(adapters[:1])


async def test_an_engine_without_adapters_refuses_them(bench: Bench) -> None:
    if Capability.ADAPTERS in (await bench.worker.describe()).engine.capabilities:
        pytest.skip(f"{bench.candidate.name} serves adapters")
    adapter = Adapter(digest="sha256:a", path="nowhere")
    with pytest.raises(UnsupportedOptionError):
        await bench.ask(TEXT, asking(adapter))
    with pytest.raises(UnsupportedOptionError):
        await bench.worker.set_adapters([adapter])


async def test_exchanging_adapters_costs_no_memory_in_the_long_run(adapters: tuple[Adapter, ...], fresh: Fresh) -> None:
    bench, resident = await fresh(), []
    for number in range(10):
        chosen = adapters[number % 2]
        await bench.worker.set_adapters([chosen])
        await bench.ask(TEXT, asking(chosen))
        resident.append((await bench.worker.describe()).resident_bytes)
    assert max(resident[5:]) <= max(resident[1:5]) * 1.05
