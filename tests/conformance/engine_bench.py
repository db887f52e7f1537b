"""Engines under test: each in a real worker process, with the texts that make it do what a test needs."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from tests.support.checkpoints import write_checkpoint, write_damaged_checkpoints
from tests.support.edgellm_bundles import write_adapters, write_bundle, write_damaged_bundles
from tests.support.openai_servers import xllamacpp_server
from tests.support.peft_folders import random_factors, write_peft_folder
from tests.support.stand_in_package import (
    tensorrt_edgellm_facts,
    tensorrt_llm_facts,
    write_interpreter,
    write_stand_in,
)
from tests.support.tiny_gguf import write_tiny_adapter, write_tiny_gguf

from homebred_daemon.adapters.engine_process import EngineProcess
from homebred_engines.api import Adapter, Delta, Event, Finished, GenerateOptions, LoadOptions, Message, WorkerStats

_ROOT = Path(__file__).resolve().parents[2]
SMOLLM2_GGUF = Path(
    os.environ.get("HOMEBRED_SMOLLM2_GGUF", _ROOT / ".cache" / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf")
)
TRTLLM_PYTHON = Path(os.environ.get("HOMEBRED_TRTLLM_PYTHON", sys.executable))
"""An interpreter that may have TensorRT-LLM."""
TRTLLM_MODEL = Path(os.environ.get("HOMEBRED_TRTLLM_MODEL", "no-checkpoint"))
"""A small checkpoint for it."""
EDGELLM_PYTHON = Path(os.environ.get("HOMEBRED_EDGELLM_PYTHON", sys.executable))
"""An interpreter that may have TensorRT Edge-LLM."""
EDGELLM_MODEL = Path(os.environ.get("HOMEBRED_EDGELLM_MODEL", "no-engine"))
"""An engine folder for it, built for this GPU, two rows or more and 2048 tokens or more."""
_PATIENCE_S = 20.0


def _write_damaged_files(whole: Path, half: Path, garbage: Path) -> None:
    half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    garbage.write_bytes(b"no model at all")


def _own_interpreter(folder: Path) -> Path:
    del folder
    return Path(sys.executable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An engine under test, with texts that make it do what a test needs."""

    name: str
    """Engine and model."""
    engine: str
    """Name in the registry."""
    model: Callable[[Path, int], AbstractContextManager[Path]]
    """The model's file, made in a folder for a context of so many tokens, and there while it is used."""
    context_tokens: int
    """Context of one slot."""
    endless: str
    """A prompt whose answer takes seconds."""
    slow_prefill: str
    """A prompt whose first token takes long."""
    batch_tokens: int = 0
    """Of a prompt, read in one step that `progress` counts at once; 0: it does not count them so."""
    reads_in_turns: bool = True
    """Whether a long prompt lets a short request pass."""
    write_adapters: Callable[[Path], tuple[Adapter, ...]] | None = None
    """Writes two adapters of visible effect for its model, and one for another base; None: it serves none."""
    make_interpreter: Callable[[Path], Path] = _own_interpreter
    """Makes the interpreter that runs it in a folder, or names it."""
    write_damaged: Callable[[Path, Path, Path], None] = _write_damaged_files
    """From a whole model, makes half of one and garbage of the same kind."""


@contextmanager
def _echo_model(folder: Path, context_tokens: int) -> Iterator[Path]:
    path = folder / "model.json"
    path.write_text(json.dumps({"format": "homebred-echo"}), encoding="utf-8")
    yield path


def _echo_adapters(folder: Path) -> tuple[Adapter, ...]:
    adapters = []
    for name, base in (("aye", ""), ("nay", ""), ("foreign", "sha256:another")):
        path = folder / f"{name}.json"
        document = {"format": "homebred-echo-adapter", "says": name, "base_digest": base}
        path.write_text(json.dumps(document), encoding="utf-8")
        adapters.append(adapter_at(path))
    return tuple(adapters)


def adapter_at(path: Path) -> Adapter:
    """By the file's own digest."""
    return Adapter(digest="sha256:" + hashlib.sha256(path.read_bytes()).hexdigest(), path=str(path))


@contextmanager
def _tiny_model(folder: Path, context_tokens: int) -> Iterator[Path]:
    yield write_tiny_gguf(folder / "tiny.gguf")


def _tiny_adapters(folder: Path) -> tuple[Adapter, ...]:
    own = (adapter_at(write_tiny_adapter(folder / f"{seed}.gguf", seed=seed)) for seed in (1, 2))
    return (*own, adapter_at(write_tiny_adapter(folder / "foreign.gguf", architecture="qwen2")))


def _peft_adapters(folder: Path) -> tuple[Adapter, ...]:
    own = [write_peft_folder(folder / name, random_factors(seed)) for seed, name in enumerate(("aye", "nay"))]
    foreign = write_peft_folder(folder / "foreign", {(7, "q_proj"): random_factors()[0, "q_proj"]})
    return tuple(Adapter(digest=f"sha256:{path.name}", path=str(path)) for path in (*own, foreign))


@contextmanager
def _tiny_server(folder: Path, context_tokens: int) -> Iterator[Path]:
    model = write_tiny_gguf(folder / "tiny.gguf")
    with xllamacpp_server(folder, model, context_tokens=context_tokens) as path:
        yield path


ECHO = Candidate(
    name="echo",
    engine="echo",
    model=_echo_model,
    context_tokens=512,
    endless="[echo token_delay_s=0.05]\n" + "word " * 200,
    slow_prefill="[echo prefill_delay_s=10]\nword",
    write_adapters=_echo_adapters,
)
TINY = Candidate(
    name="llamacpp-tiny",
    engine="llamacpp",
    model=_tiny_model,
    context_tokens=8192,
    endless="go on",
    slow_prefill="word " * 1500,
    batch_tokens=64,
    write_adapters=_tiny_adapters,
)
SERVED_TINY = Candidate(
    name="openai_server-tiny",
    engine="openai_server",
    model=_tiny_server,
    context_tokens=8192,
    endless="go on",
    slow_prefill="word " * 1500,
)
SMOLLM2 = Candidate(
    name="llamacpp-smollm2",
    engine="llamacpp",
    model=lambda *_: nullcontext(SMOLLM2_GGUF),
    context_tokens=2048,
    endless="Write a very long story about a lighthouse keeper and a storm.",
    slow_prefill="word " * 1500,
    batch_tokens=64,
)


def _stand_in_interpreter(folder: Path) -> Path:
    return write_interpreter(folder, write_stand_in(folder / "stand-in", tensorrt_llm_facts()))


TRTLLM_STAND_IN = Candidate(
    name="trtllm-stand-in",
    engine="trtllm",
    model=lambda folder, _: nullcontext(write_checkpoint(folder / "checkpoint")),
    context_tokens=2048,
    endless="word " * 1000,
    slow_prefill="word " * 1500,
    write_adapters=_peft_adapters,
    make_interpreter=_stand_in_interpreter,
    write_damaged=write_damaged_checkpoints,
)
"""Not TensorRT-LLM: a package made of what is recorded of it."""
TRTLLM_REAL = Candidate(
    name="trtllm-real",
    engine="trtllm",
    model=lambda *_: nullcontext(TRTLLM_MODEL),
    context_tokens=2048,
    endless="Write a very long story about a lighthouse keeper and a storm.",
    slow_prefill="word " * 1500,
    make_interpreter=lambda _: TRTLLM_PYTHON,
    write_damaged=write_damaged_checkpoints,
)


def _edge_stand_in_interpreter(folder: Path) -> Path:
    return write_interpreter(folder, write_stand_in(folder / "stand-in", tensorrt_edgellm_facts()))


EDGELLM_STAND_IN = Candidate(
    name="edgellm-stand-in",
    engine="edgellm",
    model=lambda folder, tokens: nullcontext(write_bundle(folder / "engine", capacity=tokens)),
    context_tokens=2048,
    endless="word " * 1000,
    slow_prefill="word " * 500,  # all read in one step, which nothing can end
    reads_in_turns=False,
    write_adapters=write_adapters,
    make_interpreter=_edge_stand_in_interpreter,
    write_damaged=write_damaged_bundles,
)
"""Not TensorRT Edge-LLM: a package made of what is recorded of it."""
EDGELLM_REAL = Candidate(
    name="edgellm-real",
    engine="edgellm",
    model=lambda *_: nullcontext(EDGELLM_MODEL),
    context_tokens=2048,
    endless="Write a very long story about a lighthouse keeper and a storm.",
    slow_prefill="word " * 1500,
    reads_in_turns=False,
    make_interpreter=lambda _: EDGELLM_PYTHON,
    write_damaged=write_damaged_bundles,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole generation."""

    deltas: list[Delta]
    finished: Finished

    @property
    def text(self) -> str:
        return "".join(delta.text for delta in self.deltas)

    @classmethod
    def of(cls, events: Sequence[Event]) -> Answer:
        """Deltas, then exactly one Finished."""
        *deltas, finished = events
        assert all(isinstance(delta, Delta) for delta in deltas), "deltas come first"
        assert isinstance(finished, Finished), "exactly one Finished comes last"
        return cls(deltas=[delta for delta in deltas if isinstance(delta, Delta)], finished=finished)


@dataclass(slots=True, kw_only=True)
class Bench:
    """One worker with a candidate's engine."""

    candidate: Candidate
    worker: EngineProcess
    load_options: LoadOptions

    async def ask(self, text: str, options: GenerateOptions | None = None, *, fairness_key: str = "") -> Answer:
        return Answer.of([event async for event in self.stream(text, options, fairness_key=fairness_key)])

    def stream(
        self, text: str, options: GenerateOptions | None = None, *, fairness_key: str = ""
    ) -> AsyncGenerator[Event, None]:
        messages = [Message(role="user", content=text)]
        return self.worker.generate(messages, options or GenerateOptions(temperature=0), fairness_key=fairness_key)

    def with_adapters(self, adapters: Sequence[Adapter]) -> LoadOptions:
        return replace(self.load_options, adapters=tuple(adapters))

    async def until(self, condition: Callable[[WorkerStats], bool]) -> WorkerStats:
        async with asyncio.timeout(_PATIENCE_S):
            while not condition(stats := await self.worker.describe()):  # noqa: ASYNC110 - it happens in another process
                await asyncio.sleep(0.005)
        return stats


def load_options(candidate: Candidate, model: Path, *, slots: int) -> LoadOptions:
    """The candidate's model on one thread."""
    return LoadOptions(
        model_path=str(model),
        model_digest="sha256:" + hashlib.sha256(candidate.name.encode()).hexdigest(),
        context_tokens=candidate.context_tokens,
        slots=slots,
        threads=1,
    )


class StartBench(Protocol):
    """Starts a fresh worker, by default with the model loaded."""

    async def __call__(
        self, candidate: Candidate, *, loaded: bool = True, slots: int = 2, queue_limit: int = 8
    ) -> Bench: ...
