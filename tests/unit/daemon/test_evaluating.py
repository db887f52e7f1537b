from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from homebred_daemon.core.shelf import StoredSpecialist
from homebred_daemon.errors import EngineUnavailableError, RequestError, StateError
from homebred_daemon.ports.engines import EngineWorker
from homebred_daemon.services.evaluating import CONTEXT_EXCEEDED, Bench, Evaluation, RowResult, evaluate, measure
from homebred_engines import api
from homebred_protocol.documents.golden import GoldenRow, GoldenSet
from homebred_protocol.documents.specialist import Example, Prompt, ServedWorkflow, SpecialistManifest

MANIFEST = SpecialistManifest(
    digest="sha256:m",
    id="a",
    title="A",
    engine="echo",
    workflows={"w": ServedWorkflow(), "j": ServedWorkflow(scorer="json_fields")},
    prompt=Prompt(template="<{input}>", examples=(Example(input="x", output="y"),), max_tokens=7),
)


class VirtualClock:
    """Time that passes only when told to."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0

    def now(self) -> datetime:
        return datetime(2026, 11, 23, tzinfo=UTC)

    def monotonic_s(self) -> float:
        return self.elapsed_s


class ScriptedEngine:
    """Answers the text of the last user turn through a function, each answer taking a second of virtual time."""

    def __init__(self, clock: VirtualClock, answer: Callable[[str], str | Exception] = lambda text: text) -> None:
        self._clock = clock
        self._answer = answer
        self.asked: list[tuple[tuple[api.Message, ...], api.GenerateOptions]] = []
        self.running = self.most_running = self.closed = 0
        self.hangs = False
        self.has_guidance = True
        self.reason = api.FinishReason.STOP

    async def generate(
        self,
        messages: Sequence[api.Message],
        options: api.GenerateOptions,
        *,
        request_id: str = "",
        fairness_key: str = "",
    ) -> AsyncGenerator[api.Event, None]:
        self.asked.append((tuple(messages), options))
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await asyncio.sleep(0)
            if options.json_schema and not self.has_guidance:
                raise api.UnsupportedOptionError("scripted has no json_schema.", option="json_schema")
            answer = self._answer(messages[-1].content.strip("<>"))
            if isinstance(answer, Exception):
                raise answer
            if self.hangs:
                await asyncio.Event().wait()
            self._clock.elapsed_s += 1
            words = answer.split(" ")
            for position, word in enumerate(words):
                yield api.Delta(text=word if position == 0 else " " + word, tokens=1)
            usage = api.Usage(completion_tokens=len(words), completion_s=0.1 * (len(words) - 1))
            yield api.Finished(reason=self.reason, usage=usage)
        finally:
            self.running -= 1
            self.closed += 1


def golden(*pairs: tuple[str, object]) -> GoldenSet:
    rows = [GoldenRow(line=line, input=text, expected=expected) for line, (text, expected) in enumerate(pairs, start=1)]
    return GoldenSet(digest="sha256:g", rows=tuple(rows))


async def run(engine: ScriptedEngine, clock: VirtualClock, rows: GoldenSet, workflow: str = "w") -> Evaluation:
    return await evaluate(MANIFEST, workflow, rows, engine, clock=clock)


async def test_fitness_is_the_mean_score_of_all_rows_in_their_order() -> None:
    clock = VirtualClock()
    rows = golden(("a", "a"), ("b", "B"), ("c", "c"), ("d", "d"))
    evaluation = await run(ScriptedEngine(clock), clock, rows)
    assert (evaluation.fitness, evaluation.samples) == (0.75, 4)
    assert [(result.row.line, result.score, result.answer) for result in evaluation.rows] == [
        (1, 1.0, "a"),
        (2, 0.0, "b"),
        (3, 1.0, "c"),
        (4, 1.0, "d"),
    ]
    assert (evaluation.workflow, evaluation.golden_digest) == ("w", "sha256:g")


async def test_rows_are_scored_by_the_workflows_own_scorer() -> None:
    clock = VirtualClock()
    evaluation = await run(ScriptedEngine(clock), clock, golden(('{"a": 1}', {"a": 1, "b": 2})), workflow="j")
    assert evaluation.fitness == 0.5


async def test_rows_are_asked_with_the_manifests_prompt_and_options() -> None:
    clock = VirtualClock()
    engine = ScriptedEngine(clock)
    await run(engine, clock, golden(("hello", "hello")))
    ((messages, options),) = engine.asked
    assert [message.content for message in messages] == ["<x>", "y", "<hello>"]
    assert (options.max_tokens, options.temperature) == (7, 0.0)


async def test_no_more_rows_than_asked_for_run_at_once_and_all_are_heard_of() -> None:
    clock = VirtualClock()
    engine = ScriptedEngine(clock)
    heard: list[RowResult] = []
    rows = golden(*((str(number), str(number)) for number in range(10)))
    evaluation = await evaluate(MANIFEST, "w", rows, engine, clock=clock, on_row=heard.append, concurrency=4)
    assert engine.most_running == 4
    assert sorted(result.row.line for result in heard) == list(range(1, 11))
    assert [result.row.line for result in evaluation.rows] == list(range(1, 11))


async def test_speed_is_that_of_one_stream_after_its_first_token() -> None:
    clock = VirtualClock()
    evaluation = await run(ScriptedEngine(clock), clock, golden(("a b c", "a b c"), ("a", "a"), ("a b", "a b")))
    assert evaluation.tokens_per_s == pytest.approx(10.0)


async def test_one_token_answers_tell_nothing_about_speed() -> None:
    clock = VirtualClock()
    assert (await run(ScriptedEngine(clock), clock, golden(("a", "a")))).tokens_per_s is None


async def test_the_95th_percentile_of_seconds_comes_from_the_clock() -> None:
    clock = VirtualClock()
    evaluation = await evaluate(
        MANIFEST, "w", golden(("a", "a"), ("b", "b")), ScriptedEngine(clock), clock=clock, concurrency=1
    )
    assert evaluation.p95_s == 1.0


async def test_a_row_too_long_for_the_context_scores_nothing_and_the_others_go_on() -> None:
    clock = VirtualClock()
    too_long = api.ContextExceededError("It has 9 tokens.", prompt_tokens=9, context_tokens=8)
    engine = ScriptedEngine(clock, lambda text: too_long if text == "b" else text)
    evaluation = await run(engine, clock, golden(("a", "a"), ("b", "b")))
    assert evaluation.fitness == 0.5
    assert [result.ending for result in evaluation.rows] == ["stop", CONTEXT_EXCEEDED]


async def test_an_engine_that_fails_ends_the_evaluation_with_its_own_error() -> None:
    clock = VirtualClock()
    failure = api.EngineFailedError("It broke.", exit_code=-11)
    engine = ScriptedEngine(clock, lambda text: failure if text == "3" else text)
    with pytest.raises(api.EngineFailedError) as caught:
        await run(engine, clock, golden(*((str(number), "") for number in range(50))))
    assert caught.value is failure
    assert engine.running == 0
    assert len(engine.asked) < 50


async def test_a_hanging_engine_is_not_waited_for_for_ever() -> None:
    clock = VirtualClock()
    engine = ScriptedEngine(clock)
    engine.hangs = True
    with pytest.raises(api.EngineFailedError, match="Line 1 of the golden set took more than"):
        await evaluate(MANIFEST, "w", golden(("a", "a")), engine, clock=clock, row_deadline_s=0)
    assert engine.running == 0


async def test_an_answer_cut_off_by_an_unload_is_no_measurement() -> None:
    clock = VirtualClock()
    engine = ScriptedEngine(clock)
    engine.reason = api.FinishReason.CANCELLED
    with pytest.raises(api.EngineFailedError, match="was cut off"):
        await run(engine, clock, golden(("a", "a")))


async def test_a_truncated_answer_is_scored_as_it_stands() -> None:
    clock = VirtualClock()
    engine = ScriptedEngine(clock)
    engine.reason = api.FinishReason.LENGTH
    (result,) = (await run(engine, clock, golden(("a", "a")))).rows
    assert (result.score, result.ending) == (1.0, "length")


STORED = StoredSpecialist(
    manifest=replace(MANIFEST, max_context=1024),
    base_digest="sha256:b",
    base_bytes=9,
    base_path="/models/b",
    base_is_intact=True,
)


class ScriptedWorker(ScriptedEngine):
    """The engine inside a worker that notes how it was used."""

    pid = 1
    is_alive = True

    def __init__(self, clock: VirtualClock, answer: Callable[[str], str | Exception] = lambda text: text) -> None:
        super().__init__(clock, answer)
        self.loaded: list[api.LoadOptions] = []
        self.load_fault: api.EngineError | None = None
        self.loads_for_ever = False
        self.stops = 0

    async def load(self, options: api.LoadOptions) -> api.WorkerStats:
        self.loaded.append(options)
        if self.load_fault is not None:
            raise self.load_fault
        if self.loads_for_ever:
            await asyncio.Event().wait()
        return await self.describe()

    async def embed(self, texts: Sequence[str], *, fairness_key: str = "") -> api.Embedded:
        raise AssertionError("an evaluation embeds nothing")

    async def set_adapters(self, adapters: Sequence[api.Adapter]) -> api.WorkerStats:
        raise AssertionError("an evaluation loads its adapter with the model")

    async def describe(self) -> api.WorkerStats:
        return api.WorkerStats(engine=api.EngineStats(engine="scripted", engine_version="7", capabilities=()))

    async def ended(self) -> api.EngineFailedError:
        await asyncio.Event().wait()
        raise AssertionError("it never ends of itself")

    async def stop(self) -> None:
        self.stops += 1


class OneWorkerLauncher:
    """Hands out the worker it was given."""

    def __init__(self, worker: ScriptedWorker) -> None:
        self._worker = worker
        self.started: list[str] = []

    async def start(self, engine: str, *, gives_way: bool = False) -> EngineWorker:
        assert not gives_way, "it is measured at full speed"
        self.started.append(engine)
        return self._worker


@pytest.fixture
def worker() -> ScriptedWorker:
    return ScriptedWorker(VirtualClock())


@pytest.fixture
def bench(worker: ScriptedWorker) -> Bench:
    return Bench(launcher=OneWorkerLauncher(worker), clock=VirtualClock(), context_tokens=2048, threads=3)


async def test_a_measurement_loads_the_base_once_for_all_workflows_and_ends_its_worker(
    worker: ScriptedWorker, bench: Bench
) -> None:
    golden_sets = {"w": golden(("a", "a"), ("b", "c")), "j": golden(('{"a": 1}', {"a": 1}))}
    measured = await measure(STORED, golden_sets, bench)
    (loaded,) = worker.loaded
    assert (loaded.model_path, loaded.model_digest) == ("/models/b", "sha256:b")
    assert (loaded.context_tokens, loaded.slots, loaded.threads) == (1024, 1, 3)
    assert {name: pair[0].fitness for name, pair in measured.items()} == {"w": 0.5, "j": 1.0}
    assert worker.stops == 1


async def test_a_measurement_is_bound_to_what_it_was_made_with(bench: Bench) -> None:
    measured = await measure(STORED, {"w": golden(("a", "a"))}, bench)
    evaluation, measurement = measured["w"]
    assert measurement.holds_for(STORED.manifest, "sha256:b")
    assert (measurement.golden_digest, measurement.engine, measurement.engine_version) == ("sha256:g", "scripted", "7")
    assert (measurement.fitness, measurement.samples, measurement.p95_s) == (1.0, 1, evaluation.p95_s)
    assert measurement.measured_at_utc == bench.clock.now()


async def test_a_specialist_with_an_adapter_is_measured_with_it(worker: ScriptedWorker, bench: Bench) -> None:
    stored = replace(STORED, adapter_digest="sha256:a", adapter_path="/models/a")
    _, measurement = (await measure(stored, {"w": golden(("a", "a"))}, bench))["w"]
    assert worker.loaded[0].adapters == (api.Adapter(digest="sha256:a", path="/models/a"),)
    assert [options.adapter for _, options in worker.asked] == ["sha256:a"]
    assert measurement.holds_for(stored.manifest, "sha256:b", "sha256:a")
    assert not measurement.holds_for(stored.manifest, "sha256:b")


async def test_a_manifest_without_a_context_is_measured_in_the_sites(worker: ScriptedWorker, bench: Bench) -> None:
    await measure(replace(STORED, manifest=MANIFEST), {"w": golden(("a", "a"))}, bench)
    assert worker.loaded[0].context_tokens == 2048


async def test_a_specialist_without_its_base_is_not_measured(worker: ScriptedWorker, bench: Bench) -> None:
    for broken in (replace(STORED, base_is_intact=False), replace(STORED, adapter_is_intact=False)):
        with pytest.raises(StateError, match="missing or damaged"):
            await measure(broken, {"w": golden(("a", "a"))}, bench)
    assert worker.stops == 0


@pytest.mark.parametrize(
    ("fault", "meaning"),
    [
        (api.ModelRefusedError("Too large.", hint="Take a smaller one."), RequestError),
        (api.AdapterRefusedError("Made for another.", hint="Take a smaller one."), RequestError),
        (api.EngineFailedError("It broke.", hint="Take a smaller one."), EngineUnavailableError),
    ],
)
async def test_a_base_that_cannot_be_loaded_is_told_with_what_to_do(
    worker: ScriptedWorker, bench: Bench, fault: api.EngineError, meaning: type[RequestError]
) -> None:
    worker.load_fault = fault
    with pytest.raises(meaning) as caught:
        await measure(STORED, {"w": golden(("a", "a"))}, bench)
    assert fault.why in caught.value.message
    assert caught.value.hint == "Take a smaller one."
    assert worker.stops == 1


async def test_a_load_that_never_ends_is_given_up(worker: ScriptedWorker, bench: Bench) -> None:
    worker.loads_for_ever = True
    with pytest.raises(EngineUnavailableError, match="not loaded within"):
        await measure(STORED, {"w": golden(("a", "a"))}, replace(bench, load_timeout_s=0))
    assert worker.stops == 1


async def test_an_option_that_the_engine_cannot_honour_refuses_the_evaluation(bench: Bench) -> None:
    refusing = ScriptedWorker(VirtualClock(), lambda _: api.UnsupportedOptionError("scripted has no json_schema."))
    with pytest.raises(RequestError, match="no json_schema"):
        await measure(STORED, {"w": golden(("a", "a"))}, replace(bench, launcher=OneWorkerLauncher(refusing)))
    assert refusing.stops == 1


async def test_what_the_engine_cannot_be_guided_by_is_told_in_words(worker: ScriptedWorker, bench: Bench) -> None:
    worker.has_guidance = False
    manifest = replace(MANIFEST, prompt=replace(MANIFEST.prompt, response_schema='{"type": "object"}'))
    measured = await measure(replace(STORED, manifest=manifest), {"w": golden(("{}", "{}"))}, bench)
    assert measured["w"][0].fitness == 1
    assert [bool(options.json_schema) for _, options in worker.asked] == [True, False]
    assert '{"type": "object"}' in worker.asked[1][0][0].content
