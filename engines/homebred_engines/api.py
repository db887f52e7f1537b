"""What an engine is: the `Engine` protocol and its values. Standard library only.

It says nothing of processes, sockets or queues: the worker (`service.py`) owns those, and never runs more generations
at once than the engine has slots. To add an engine: a module with a class that fulfils `Engine`, a line in
`registry.py`, a line in the conformance suite. The errors (`errors.py`) can be had from here as well.
"""

from __future__ import annotations

import enum
import json
import math
import re
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from homebred_engines.errors import (
    AdapterNotLoadedError,
    AdapterRefusedError,
    ContextExceededError,
    EngineError,
    EngineFailedError,
    InvalidRequestError,
    ModelConflictError,
    ModelNotLoadedError,
    ModelRefusedError,
    QueueFullError,
    UnsupportedOptionError,
)

ROLES = ("system", "user", "assistant", "tool")
TOOL_CHOICES = ("auto", "none", "required")
MAX_STOP_STRINGS = 16
MAX_TOOLS = 128
_TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Capability(str, enum.Enum):
    """What an engine can do; an option whose capability is absent is refused."""

    JSON_SCHEMA = "json_schema"
    LOGPROBS = "logprobs"
    PREFIX_CACHE = "prefix_cache"
    SEED = "seed"
    STOP = "stop"
    TOOLS = "tools"
    EMBEDDINGS = "embeddings"
    ADAPTERS = "adapters"


class FinishReason(str, enum.Enum):
    """Why a generation ended."""

    STOP = "stop"  # end of sequence or a stop string
    LENGTH = "length"  # max_tokens or the context's end
    TOOL_CALLS = "tool_calls"  # it asks for tools
    CANCELLED = "cancelled"  # the model was unloaded under it


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """Something that the asker's program can do. Construction raises InvalidRequestError for what is none."""

    name: str
    """1 to 64 of A-Z a-z 0-9 _ -."""
    description: str = ""
    """For the model."""
    parameters: str = ""
    """JSON Schema of an object, as JSON text; empty: there are none."""

    def __post_init__(self) -> None:
        usable = _TOOL_NAME.fullmatch(self.name) is not None and self.name not in TOOL_CHOICES
        rule = "write 1 to 64 of A-Z a-z 0-9 _ -, and no word of tool_choice"
        _require(usable, f"A tool is called {self.name!r}; {rule}.")
        if self.parameters:
            _json_object(self.parameters, f"parameters of the tool {self.name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """What a model asks the asker's program to do."""

    id: str
    """Names it to the message with its result; unique in a conversation."""
    name: str
    """Of the tool."""
    arguments: str
    """A JSON object, as JSON text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of the prompt."""

    role: str
    """One of ROLES."""
    content: str
    """Plain text; the engine applies the model's chat template."""
    tool_calls: tuple[ToolCall, ...] = ()
    """Of the assistant."""
    tool_call_id: str = ""
    """Of a tool's message: the call that it is the result of."""

    def __post_init__(self) -> None:
        _require(self.role in ROLES, f"A message has the role {self.role!r}; known are {', '.join(ROLES)}.")
        _require(not self.tool_calls or self.role == "assistant", f"A message of {self.role} has tool calls.")
        has_id = bool(self.tool_call_id)
        _require(has_id == (self.role == "tool"), "A tool's message, and no other, has a tool_call_id.")
        for call in self.tool_calls:
            _json_object(call.arguments, f"arguments of the call of {call.name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateOptions:
    """How one generation is to run. Construction raises InvalidRequestError for values outside their range."""

    max_tokens: int = 0
    """Tokens to generate at most; 0: as many as the context holds."""
    temperature: float | None = None
    """0: greedy; None: the engine's default."""
    top_p: float | None = None
    """Nucleus, in (0, 1]; None: the engine's default."""
    top_k: int | None = None
    """Candidates kept; 0: all; None: the engine's default."""
    seed: int | None = None
    """Same seed and same prompt, alone on the engine: same text. 32 bits."""
    stop: tuple[str, ...] = ()
    """Ends the generation; never part of the output."""
    json_schema: str = ""
    """JSON Schema as JSON text; empty: free text."""
    logprobs: bool = False
    """Whether deltas carry the log-probability of each token."""
    tools: tuple[Tool, ...] = ()
    """What may be asked for; no two of one name."""
    tool_choice: str = "auto"
    """One of TOOL_CHOICES, or the name of the one tool that must be asked for."""
    adapter: str = ""
    """Digest of the adapter that answers, of those that are served; empty: the base model alone."""

    def __post_init__(self) -> None:
        _require(self.max_tokens >= 0, f"max_tokens is {self.max_tokens}; it must not be negative.")
        if self.temperature is not None:
            usable = math.isfinite(self.temperature) and self.temperature >= 0
            _require(usable, f"temperature is {self.temperature}; it must be 0 or more.")
        if self.top_p is not None:
            _require(0 < self.top_p <= 1, f"top_p is {self.top_p}; it must be above 0 and at most 1.")
        if self.seed is not None:
            _require(0 <= self.seed < 1 << 32, f"seed is {self.seed}; it must fit 32 bits.")
        _require(len(self.stop) <= MAX_STOP_STRINGS, f"{len(self.stop)} stop strings; at most {MAX_STOP_STRINGS}.")
        _require(all(self.stop), "A stop string is empty.")
        if self.json_schema:
            self.parsed_schema()
        self._require_usable_tools()

    def parsed_schema(self) -> dict[str, object]:
        """The schema as an object."""
        return _json_object(self.json_schema, "json_schema")

    def needed_capabilities(self) -> dict[Capability, str]:
        """The capabilities that honouring these options takes, with the option's name."""
        used = {
            Capability.JSON_SCHEMA: ("json_schema", bool(self.json_schema)),
            Capability.LOGPROBS: ("logprobs", self.logprobs),
            Capability.SEED: ("seed", self.seed is not None),
            Capability.STOP: ("stop", bool(self.stop)),
            Capability.TOOLS: ("tools", bool(self.tools)),
            Capability.ADAPTERS: ("adapter", bool(self.adapter)),
        }
        return {capability: name for capability, (name, is_set) in used.items() if is_set}

    def _require_usable_tools(self) -> None:
        names = {tool.name for tool in self.tools}
        _require(len(self.tools) <= MAX_TOOLS, f"{len(self.tools)} tools; at most {MAX_TOOLS}.")
        _require(len(names) == len(self.tools), "Two tools have the same name.")
        known = (*TOOL_CHOICES[:2], *(TOOL_CHOICES[2:] if names else ()), *sorted(names))
        _require(self.tool_choice in known, f"tool_choice is {self.tool_choice!r}; write one of: {', '.join(known)}.")


def _json_object(text: str, what: str) -> dict[str, object]:
    try:
        read = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unambiguous)
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError(f"{what} is not JSON: {error}.") from None
    _require(isinstance(read, dict), f"{what} is not a JSON object.")
    return dict(read)


def _unambiguous(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """A name that stands twice is read one way here and another way there."""
    read = dict(pairs)
    if len(read) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return read


def _refuse_constant(word: str) -> object:
    raise ValueError(f"{word} is no number of JSON")


def _require(condition: bool, why: str) -> None:  # noqa: FBT001 - a check reads best as `_require(x >= 0, …)`
    if not condition:
        raise InvalidRequestError(why)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """A LoRA adapter on disk."""

    digest: str
    """`sha256:…` as the model store holds it; its identity."""
    path: str
    """In the form that the engine takes: llamacpp a GGUF file, trtllm a PEFT folder, echo a JSON file."""

    def __post_init__(self) -> None:
        _require(bool(self.digest and self.path), "An adapter has no digest or no path.")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """Which model to load, and with what room. Zeros take the engine's defaults."""

    model_path: str
    """The model's file; echo takes an empty one."""
    model_digest: str
    """`sha256:…` as the model store holds it; the model's identity for a second load."""
    context_tokens: int = 0
    """Context of one slot."""
    slots: int = 0
    """Generations that run side by side."""
    threads: int = 0
    """Compute threads; by default cores - 1, at least 1."""
    memory_budget_bytes: int = 0
    """What weights and caches may take together; 0: what the machine has available."""
    embeddings: bool = False
    """To make embeddings, and nothing else."""
    adapters: tuple[Adapter, ...] = ()
    """Served from the start; no two of one digest."""

    def __post_init__(self) -> None:
        _require(bool(self.model_digest), "model_digest is empty; it is the model's identity.")
        require_distinct(self.adapters)

    def needed_capabilities(self) -> dict[Capability, str]:
        """The capabilities that loading like this takes, with the option's name."""
        used = {
            Capability.EMBEDDINGS: ("embeddings", self.embeddings),
            Capability.ADAPTERS: ("adapters", bool(self.adapters)),
        }
        return {capability: name for capability, (name, is_set) in used.items() if is_set}


def require_distinct(adapters: Sequence[Adapter]) -> None:
    """Raises InvalidRequestError where two are one."""
    _require(len({each.digest for each in adapters}) == len(adapters), "An adapter is named twice.")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLogprob:
    """A generated token and how likely it was."""

    token: str
    """The token's text; may be a part of a character."""
    logprob: float
    """Natural logarithm, at most 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """The text since the last delta: never cumulative."""

    text: str
    """May be empty while a character is incomplete."""
    tokens: int
    """Tokens that this text stands for."""
    logprobs: tuple[TokenLogprob, ...] = ()
    """Where asked for: one a token, in order; a token that is not text of its own (a part of a character) has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a generation took."""

    prompt_tokens: int = 0
    """Length of the prompt after the chat template."""
    cached_tokens: int = 0
    """Of the prompt, answered by the prefix cache."""
    completion_tokens: int = 0
    """Tokens generated, the end of sequence among them where the engine counts it."""
    prompt_s: float = 0.0
    """Seconds from start to the first token."""
    completion_s: float = 0.0
    """Seconds from the first token to the end."""
    queued_s: float = 0.0
    """Seconds spent waiting for a slot; the worker fills it in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The last event of a generation."""

    reason: FinishReason
    """Why it ended."""
    usage: Usage
    """What it took."""
    tool_calls: tuple[ToolCall, ...] = ()
    """With FinishReason.TOOL_CALLS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """Texts as vectors."""

    vectors: tuple[tuple[float, ...], ...]
    """One a text, in order, each of length 1."""
    prompt_tokens: int
    """Of all texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStats:
    """What an engine is and what it has loaded."""

    engine: str
    """Its name in the registry."""
    engine_version: str
    """Version of the library that computes."""
    capabilities: tuple[Capability, ...]
    """What it can honour; with a model, what it can honour with that one."""
    model_digest: str = ""
    """Of the loaded model; empty: none."""
    slots: int = 0
    """Generations that run side by side; 0 until loaded."""
    context_tokens: int = 0
    """Context of one slot; 0 until loaded."""
    threads: int = 0
    """Compute threads; 0 until loaded."""
    adapters: tuple[str, ...] = ()
    """Digests of those that a generation may ask for, sorted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStats:
    """An engine inside its worker process."""

    engine: EngineStats
    """What the engine says of itself."""
    running: int = 0
    """Generations in a slot."""
    queued: int = 0
    """Generations waiting for one."""
    queue_limit: int = 0
    """How many may wait."""
    resident_bytes: int = 0
    """Memory of the process that is in RAM, shared pages included."""
    generated_tokens: int = 0
    """Since the process started."""
    progress: int = 0
    """The engine's `progress`: while it stands still and `computing` is not 0, the engine may be stuck."""
    computing: int = 0
    """Of the running generations, those that wait for the engine rather than for their reader."""


Event = Delta | Finished


class Engine(Protocol):
    """One base model at a time with its adapters, and generations over it. Called from one event loop only."""

    def load(self, options: LoadOptions) -> AsyncGenerator[float, None]:
        """Loads while iterated, yielding progress in [0, 1].

        Raises ModelRefusedError, AdapterRefusedError or EngineFailedError.

        Called only while nothing is loaded. Closing the stream half-way leaves nothing loaded.
        """
        ...

    def generate(self, messages: Sequence[Message], options: GenerateOptions) -> AsyncGenerator[Event, None]:
        """Yields deltas, then exactly one Finished. Closing the stream cancels and returns once the slot is free.

        Raises before the first delta for what cannot be honoured, EngineFailedError at any point.
        """
        ...

    def set_adapters(self, adapters: Sequence[Adapter]) -> AsyncGenerator[float, None]:
        """Has exactly these served, while iterated, yielding progress in [0, 1]; asked only where the stats say so.

        Generations in flight end with what they began with; `stats` names the new ones once they can be asked for.
        After an error the old ones are served; closed half-way, it may go on.

        Raises AdapterRefusedError, ModelRefusedError where memory does not hold them, EngineFailedError.
        """
        ...

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """One vector a text, of a model that was loaded for embeddings; asked only where the stats say so.

        Raises ContextExceededError, EngineFailedError.
        """
        ...

    async def unload(self) -> None:
        """Ends the generations in flight with FinishReason.CANCELLED, then frees the model.

        From its first moment `stats` names no model. It never waits for a reader of a stream.
        """
        ...

    def stats(self) -> EngineStats:
        """Answers at any time, without waiting."""
        ...

    def progress(self) -> int:
        """A count that moves with every batch of a prompt read and every token made, of any generation.

        Answers at any time, without waiting: a count that stands still is how a stuck engine is found out.
        """
        ...


class WithoutEmbeddings:
    """Of an engine that makes none: its capabilities say so."""

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """Nobody asks it."""
        raise UnsupportedOptionError(f"It makes no embeddings, of {len(texts)} texts or any other.")


class WithoutAdapters:
    """Of an engine that serves none: its capabilities say so."""

    def set_adapters(self, adapters: Sequence[Adapter]) -> AsyncGenerator[float, None]:
        """Nobody asks it."""
        raise UnsupportedOptionError(f"It serves no adapters: not these {len(adapters)} or any other.")
