"""What every engine must do, asked of real worker processes through the daemon's own adapter."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable
from dataclasses import replace
from pathlib import Path

import jsonschema_rs
import pytest
import pytest_asyncio
from tests.conformance.engine_bench import Bench, Candidate, StartBench

from homebred_engines.api import (
    Capability,
    ContextExceededError,
    Delta,
    Finished,
    FinishReason,
    GenerateOptions,
    InvalidRequestError,
    Message,
    ModelConflictError,
    ModelNotLoadedError,
    ModelRefusedError,
    QueueFullError,
    UnsupportedOptionError,
)
from homebred_protocol.v1 import engine_pb2

pytestmark = pytest.mark.asyncio(loop_scope="module")

WORDS = "one two three four five six seven eight nine ten eleven twelve"
GREEDY = GenerateOptions(temperature=0, max_tokens=12)
SCHEMA = {
    "type": "object",
    "properties": {
        "kind": {"enum": ["visit", "call"]},
        "urgent": {"type": "boolean"},
        "rooms": {"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 1, "maxItems": 2},
    },
    "required": ["kind", "urgent", "rooms"],
    "additionalProperties": False,
}


async def test_describe_answers_before_and_after_a_load(candidate: Candidate, start_bench: StartBench) -> None:
    bench = await start_bench(candidate, loaded=False)
    before = await bench.worker.describe()
    assert (before.engine.engine, before.engine.model_digest, before.engine.slots) == (candidate.engine, "", 0)
    progress: list[float] = []
    after = await bench.worker.load(bench.load_options, progress.append)
    assert after.engine.model_digest == bench.load_options.model_digest
    assert (after.engine.slots, after.engine.context_tokens) == (2, candidate.context_tokens)
    assert after.queue_limit == 8
    assert after.resident_bytes > 0
    assert progress == sorted(progress)
    assert all(0 <= step <= 1 for step in progress)
    assert (await bench.worker.describe()).engine == after.engine


async def test_nothing_is_generated_without_a_model(candidate: Candidate, start_bench: StartBench) -> None:
    bench = await start_bench(candidate, loaded=False)
    with pytest.raises(ModelNotLoadedError):
        await bench.ask(WORDS)


async def test_an_answer_streams_in_deltas_and_ends_with_its_usage(bench: Bench) -> None:
    before = await bench.worker.describe()
    answer = await bench.ask(WORDS, GREEDY)
    assert answer.text
    assert len(answer.deltas) > 1
    usage = answer.finished.usage
    assert usage.prompt_tokens >= len(WORDS.split())
    assert 0 < usage.completion_tokens <= 12
    assert 0 < sum(delta.tokens for delta in answer.deltas) <= usage.completion_tokens
    assert min(usage.prompt_s, usage.completion_s, usage.queued_s) >= 0
    after = await bench.worker.describe()
    assert after.generated_tokens - before.generated_tokens == sum(delta.tokens for delta in answer.deltas)


async def test_max_tokens_ends_with_length(bench: Bench) -> None:
    answer = await bench.ask(WORDS, replace(GREEDY, max_tokens=3))
    assert answer.finished.reason is FinishReason.LENGTH
    assert answer.finished.usage.completion_tokens == 3


async def test_a_stop_string_ends_the_answer_and_is_not_in_it(bench: Bench) -> None:
    whole = (await bench.ask(WORDS, GREEDY)).text
    stop = whole[len(whole) // 2 :][:3]
    answer = await bench.ask(WORDS, replace(GREEDY, stop=(stop,)))
    assert answer.finished.reason is FinishReason.STOP
    assert stop not in answer.text
    assert whole.startswith(answer.text)


async def test_json_output_fits_its_schema_whenever_the_answer_stopped_by_itself(bench: Bench) -> None:
    options = GenerateOptions(temperature=0, max_tokens=120, json_schema=json.dumps(SCHEMA))
    answers = [await bench.ask(text, options) for text in (WORDS, '{"kind": "call", "urgent": true, "rooms": ["b"]}')]
    stopped = [answer for answer in answers if answer.finished.reason is FinishReason.STOP]
    assert stopped, "a schema without free strings ends by itself"
    for answer in stopped:
        jsonschema_rs.validate(SCHEMA, json.loads(answer.text))


async def test_logprobs_stand_beside_their_tokens(bench: Bench) -> None:
    answer = await bench.ask(WORDS, replace(GREEDY, logprobs=True))
    for delta in answer.deltas:
        assert 0 < len(delta.logprobs) <= delta.tokens
        assert all(each.logprob <= 0 and math.isfinite(each.logprob) for each in delta.logprobs)
    spelled = "".join(each.token for delta in answer.deltas for each in delta.logprobs)
    assert spelled.strip() == answer.text.strip()


async def test_no_logprobs_come_unasked(bench: Bench) -> None:
    assert not any(delta.logprobs for delta in (await bench.ask(WORDS, GREEDY)).deltas)


async def test_the_same_seed_gives_the_same_text(bench: Bench) -> None:
    options = GenerateOptions(temperature=1.0, seed=7, max_tokens=12)
    await bench.ask(WORDS, options)  # so that both runs below find the same prefix cache
    assert (await bench.ask(WORDS, options)).text == (await bench.ask(WORDS, options)).text


async def test_greedy_answers_repeat(bench: Bench) -> None:
    assert (await bench.ask(WORDS, GREEDY)).text == (await bench.ask(WORDS, GREEDY)).text


async def test_a_repeated_prompt_is_answered_from_the_prefix_cache(bench: Bench) -> None:
    if Capability.PREFIX_CACHE not in (await bench.worker.describe()).engine.capabilities:
        pytest.skip(f"{bench.candidate.name} does not claim a prefix cache")
    prompt = "A prompt of its own, said twice. " * 4
    first = (await bench.ask(prompt, GREEDY)).finished.usage
    second = (await bench.ask(prompt, GREEDY)).finished.usage
    assert second.prompt_tokens == first.prompt_tokens
    assert first.prompt_tokens // 2 < second.cached_tokens < second.prompt_tokens


async def test_a_cancelled_decode_frees_its_slot_and_leaves_its_neighbour_alone(bench: Bench) -> None:
    endless = bench.stream(bench.candidate.endless)
    neighbour = bench.stream(bench.candidate.endless, GenerateOptions(temperature=0, max_tokens=30))
    await anext(endless)
    await anext(neighbour)
    await endless.aclose()
    rest = [event async for event in neighbour]
    assert isinstance(rest[-1], Finished)
    assert rest[-1].usage.completion_tokens == 30
    await bench.until(lambda stats: stats.running == 0)
    assert (await bench.ask(WORDS, GREEDY)).text


async def test_a_short_request_does_not_wait_for_a_long_prompt_to_be_read(
    candidate: Candidate, start_bench: StartBench
) -> None:
    if candidate.engine == "openai_server":
        pytest.skip("whose prompt is read first is the server's own affair")
    if not candidate.reads_in_turns:
        pytest.skip(
            f"{candidate.name} reads a prompt in one step, and whoever comes meanwhile waits for the next batch"
        )
    bench = await start_bench(candidate)
    for turn in range(2):  # whichever slots the two get
        long = bench.stream(f"{candidate.slow_prefill} {turn}")
        async with asyncio.TaskGroup() as group:
            first_of_long = group.create_task(anext(long))
            await bench.until(lambda stats: stats.running == 1)
            assert (await bench.ask(f"{turn} one", replace(GREEDY, max_tokens=1))).text
            assert not first_of_long.done()
            first_of_long.cancel()
        await bench.until(lambda stats: stats.running == 0)


async def test_a_long_prompt_read_in_turns_counts_its_tokens_once(bench: Bench) -> None:
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(bench.ask(f"{n} " + "word " * 60, GREEDY)) for n in range(2)]
    for task in asked:
        usage = task.result().finished.usage
        assert usage.prompt_tokens >= 61
        assert usage.cached_tokens < 61


async def test_a_cancelled_prefill_frees_its_slot(bench: Bench) -> None:
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(anext(bench.stream(bench.candidate.slow_prefill)))
        await bench.until(lambda stats: stats.running == 1)
        waiting.cancel()
    await bench.until(lambda stats: stats.running == 0)
    assert (await bench.ask(WORDS, GREEDY)).text


async def test_a_request_cancelled_in_the_queue_leaves_it(candidate: Candidate, start_bench: StartBench) -> None:
    bench = await start_bench(candidate, slots=1)
    running = bench.stream(candidate.endless)
    await anext(running)
    async with asyncio.TaskGroup() as group:
        queued = group.create_task(anext(bench.stream(WORDS)))
        await bench.until(lambda stats: stats.queued == 1)
        queued.cancel()
    stats = await bench.until(lambda stats: stats.queued == 0)
    assert stats.running == 1
    assert isinstance(await anext(running), Delta)
    await running.aclose()


async def test_a_full_queue_refuses_and_says_when_to_come_back(candidate: Candidate, start_bench: StartBench) -> None:
    bench = await start_bench(candidate, slots=1, queue_limit=1)
    running = bench.stream(candidate.endless)
    await anext(running)
    async with asyncio.TaskGroup() as group:
        queued = group.create_task(bench.ask(WORDS, GREEDY))
        await bench.until(lambda stats: stats.queued == 1)
        with pytest.raises(QueueFullError) as refusal:
            await bench.ask(WORDS)
        assert refusal.value.retry_after_s > 0
        await running.aclose()
    assert queued.result().text


async def test_more_streams_than_slots_all_finish(bench: Bench) -> None:
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(bench.ask(WORDS, GREEDY, fairness_key=f"caller {n % 3}")) for n in range(7)]
    assert len({task.result().text for task in asked}) >= 1
    assert all(task.result().finished.usage.completion_tokens for task in asked)
    stats = await bench.worker.describe()
    assert (stats.running, stats.queued) == (0, 0)


async def test_a_prompt_beyond_the_context_is_refused(bench: Bench) -> None:
    with pytest.raises(ContextExceededError) as refusal:
        await bench.ask("word " * 9000)
    assert refusal.value.prompt_tokens >= refusal.value.context_tokens == bench.candidate.context_tokens


async def test_the_end_of_the_context_ends_an_answer_with_length(candidate: Candidate, start_bench: StartBench) -> None:
    bench = await start_bench(replace(candidate, context_tokens=256))
    answer = await bench.ask("a " * 150)
    assert answer.finished.reason is FinishReason.LENGTH
    usage = answer.finished.usage
    assert 255 <= usage.prompt_tokens + usage.completion_tokens <= 257


async def test_a_second_load_is_a_no_op_for_the_same_model_and_refused_for_another(bench: Bench) -> None:
    before = (await bench.worker.describe()).engine
    assert (await bench.worker.load(bench.load_options)).engine == before
    with pytest.raises(ModelConflictError):
        await bench.worker.load(replace(bench.load_options, model_digest="sha256:another"))
    assert (await bench.ask(WORDS, GREEDY)).text


async def test_unloading_ends_what_runs_and_what_waits_and_a_model_can_come_back(
    candidate: Candidate, start_bench: StartBench
) -> None:
    bench = await start_bench(candidate, slots=1)
    running = bench.stream(candidate.endless)
    await anext(running)
    async with asyncio.TaskGroup() as group:
        queued = group.create_task(_error_of(bench.ask(WORDS)))
        await bench.until(lambda stats: stats.queued == 1)
        await bench.worker.unload()
    assert isinstance(queued.result(), ModelNotLoadedError)
    rest = [event async for event in running]
    assert isinstance(rest[-1], Finished)
    assert rest[-1].reason is FinishReason.CANCELLED
    assert (await bench.worker.describe()).engine.model_digest == ""
    await bench.worker.unload()
    await bench.worker.load(replace(bench.load_options, model_digest="sha256:again"))
    assert (await bench.ask(WORDS, GREEDY)).text


async def test_a_damaged_model_file_is_refused_and_a_whole_one_loads_after(
    candidate: Candidate, start_bench: StartBench, tmp_path: Path
) -> None:
    bench = await start_bench(candidate, loaded=False)
    half, garbage = tmp_path / "half", tmp_path / "garbage"
    await asyncio.to_thread(candidate.write_damaged, Path(bench.load_options.model_path), half, garbage)
    for path in (half, garbage, tmp_path / "absent"):
        with pytest.raises(ModelRefusedError) as refusal:
            await bench.worker.load(replace(bench.load_options, model_path=str(path)))
        assert path.name in refusal.value.why
        assert refusal.value.hint
    await bench.worker.load(bench.load_options)
    assert (await bench.ask(WORDS, GREEDY)).text


async def test_an_option_that_the_worker_does_not_know_is_refused(bench: Bench) -> None:
    known = engine_pb2.EngineGenerateRequest(messages=[engine_pb2.EngineMessage(role="user", content=WORDS)])
    field_100 = b"\xa0\x06\x01"
    request = engine_pb2.EngineGenerateRequest.FromString(known.SerializeToString() + field_100)
    with pytest.raises(UnsupportedOptionError, match="100"):
        async for _ in bench.worker._events(request):
            pass


@pytest.mark.parametrize("schema", ['{"type": "no such type"}', '{"not": {"type": "null"}}', '{"enum": []}'])
async def test_a_schema_that_the_engine_cannot_follow_is_refused_not_ignored(bench: Bench, schema: str) -> None:
    refusal = await _error_of(bench.ask(WORDS, GenerateOptions(json_schema=schema, max_tokens=8)))
    assert isinstance(refusal, InvalidRequestError | UnsupportedOptionError)


async def test_a_conversation_of_several_roles_is_taken(bench: Bench) -> None:
    turns = [("system", "Be brief."), ("user", "one two"), ("assistant", "two one"), ("user", WORDS)]
    messages = [Message(role=role, content=content) for role, content in turns]
    events = [event async for event in bench.worker.generate(messages, GREEDY)]
    assert isinstance(events[-1], Finished)
    assert events[-1].usage.prompt_tokens > len(WORDS.split()) + 6


async def _error_of(asked: Awaitable[object]) -> Exception | None:
    try:
        await asked
    except Exception as error:  # noqa: BLE001 - whatever it is, the test looks at it
        return error
    return None


@pytest_asyncio.fixture(loop_scope="module")
async def embedding_bench(candidate: Candidate, start_bench: StartBench) -> Bench:
    """A fresh worker whose model is loaded for embeddings."""
    bench = await start_bench(candidate, loaded=False)
    if Capability.EMBEDDINGS not in (await bench.worker.describe()).engine.capabilities:
        with pytest.raises(UnsupportedOptionError, match="embeddings"):
            await bench.worker.load(replace(bench.load_options, embeddings=True))
        pytest.skip(f"{candidate.name} makes no embeddings, and says so")
    await bench.worker.load(replace(bench.load_options, embeddings=True))
    return bench


async def test_texts_become_vectors_of_length_one_that_tell_them_apart(embedding_bench: Bench) -> None:
    first, second = "the cat sat on the mat", "an order of three teas for room four"
    embedded = await embedding_bench.worker.embed([first, second, first])
    one, other, again = embedded.vectors
    assert all(math.isclose(math.hypot(*vector), 1, rel_tol=1e-3) for vector in embedded.vectors)
    likeness = [sum(map(math.prod, zip(one, vector, strict=True))) for vector in (again, other)]
    assert likeness[0] > 0.999 > likeness[1]
    assert embedded.prompt_tokens > 3


async def test_a_text_longer_than_a_slot_has_no_vector(embedding_bench: Bench) -> None:
    with pytest.raises(ContextExceededError):
        await embedding_bench.worker.embed(["word " * 4000])


async def test_a_model_that_was_loaded_for_embeddings_generates_nothing(embedding_bench: Bench) -> None:
    with pytest.raises(UnsupportedOptionError):
        await embedding_bench.ask(WORDS, GREEDY)


async def test_a_model_that_was_loaded_to_generate_embeds_nothing(bench: Bench) -> None:
    with pytest.raises(UnsupportedOptionError):
        await bench.worker.embed([WORDS])


async def test_unloading_gives_the_memory_back(candidate: Candidate, start_bench: StartBench) -> None:
    bench = await start_bench(candidate)
    without_model = []
    for _ in range(3):
        await bench.worker.load(bench.load_options)
        await bench.ask(WORDS, GREEDY)
        await bench.worker.unload()
        without_model.append((await bench.worker.describe()).resident_bytes)
    assert without_model[-1] <= without_model[0] * 1.05
