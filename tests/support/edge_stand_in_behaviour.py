"""How the stand-in of TensorRT Edge-LLM behaves beyond its signatures, which are generated from the recorded facts.

It is no TensorRT Edge-LLM, and nothing that passes on it was tested on TensorRT Edge-LLM. It answers with the last user
message, word by word; with a schema, with the smallest instance of it; with an adapter, with the adapter's word first.
Copied into the generated package as `_behaviour`; whatever it does is said in the package's documentation or source of
0.11.0, timing aside.
"""

from __future__ import annotations

import collections
import ctypes
import json
import math
import os
import random
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

UNSTATED = type("Unstated", (), {"__repr__": lambda self: "a default that no source states"})()
TOKEN = re.compile(r"<\|\w+\|>\n?|\s*(?:(?!<\|)\S)+\s*|\s+")
PREFILL_S_PER_TOKEN = 0.001
DECODE_S = 0.003
START_S = float(os.environ.get("STAND_IN_START_S", "0"))
LOG = os.environ.get("STAND_IN_LOG", "")
"""A file that gets a line for each batch; empty: none."""
DEFAULT_SEED = 42
MOST_LOGPROBS = 50
END = "<|end|>"


class Native:
    """A compiled class: what it holds lies in `values`, by the names that are recorded."""

    __slots__ = ("state", "values")
    SETTABLE: Mapping[str, str] = {}
    state: dict[str, Any]
    values: dict[str, Any]

    def __new__(cls, *_: object, **__: object) -> Any:
        return cls.made()

    @classmethod
    def made(cls, name: str = "") -> Any:
        """One, without its constructor."""
        made = object.__new__(cls)
        made.values, made.state = {name: zero(kind) for name, kind in cls.SETTABLE.items()}, {}
        if name:
            made.values |= {"name": name}
        getattr(made, "begin", lambda: None)()
        return made

    def read(self, name: str) -> Any:
        return self.values[name]

    def assign(self, name: str, value: Any) -> None:
        if not is_of(value, self.SETTABLE[name]):
            raise TypeError(f"{name}: incompatible function arguments; {self.SETTABLE[name]} is taken, not {value!r}")
        self.values[name] = value


def call(self: Any, method: str, overloads: Sequence[Callable[..., Any]], given: Any, named: Any) -> Any:
    """What a generated method does, with whichever overload takes the arguments."""
    for overload in overloads:
        try:
            arguments = overload(*given, **named)
        except TypeError:
            continue
        if method == "__init__" and not hasattr(self, "do___init__"):
            for name, value in arguments.items():
                self.assign(name, value)
            return None
        behaviour = getattr(self, f"do_{method}", None)
        if behaviour is None:
            raise NotImplementedError(f"the stand-in does nothing at {type(self).__name__}.{method}")
        return behaviour(**arguments)
    kinds = ", ".join(f"{name}={type(value).__name__}" for name, value in named.items())
    raise TypeError(f"{method}(): incompatible function arguments. Invoked with: {given}; kwargs: {kinds}")


def zero(kind: str) -> Any:
    """What an attribute of a type holds at first."""
    if "None" in kind:
        return None
    plain = {"bool": False, "int": 0, "float": 0.0, "str": ""}
    return plain[kind] if kind in plain else {} if kind.startswith("dict") else []


def is_of(value: Any, kind: str) -> bool:
    """Whether pybind11 takes a value for a type, as far as it matters here."""
    if kind.endswith(" | None"):
        return value is None or is_of(value, kind[: -len(" | None")])
    if kind.startswith("list["):
        return isinstance(value, (list, tuple)) and all(is_of(each, kind[5:-1]) for each in value)
    if kind.startswith("dict["):
        return isinstance(value, dict)
    if kind == "int":
        return isinstance(value, int) and value >= 0
    if kind == "float":
        return isinstance(value, (int, float))
    return type(value).__name__ == kind


class LLMGenerationRequest(Native):
    """Its own defaults, where they are no zeros."""

    __slots__ = ()

    def begin(self) -> None:
        self.values |= {"apply_chat_template": True, "add_generation_prompt": True, "skip_special_tokens": True}


class StreamChannel(Native):
    """What the runtime pushes and one reader takes; made by `create` alone."""

    __slots__ = ()

    def begin(self) -> None:
        self.state = {"chunks": collections.deque(), "news": threading.Condition(), "cancelled": False, "reason": None}

    def push(self, word: str, number: int | None, *, prompt: int, reason: str = "", logprobs: Any = ()) -> None:
        from tensorrt_edgellm import _generated  # noqa: PLC0415  # it imports this module

        chunk = _generated.StreamChunk.made()
        chunk.values = {
            "text": word,
            "token_ids": [] if number is None else [number],
            "prompt_token_count": prompt,
            "finished": bool(reason),
            "reason": getattr(_generated.FinishReason, reason or "NOT_FINISHED"),
            "logprobs": list(logprobs),
        }
        with self.state["news"]:
            self.state["chunks"].append(chunk)
            self.state["reason"] = reason or None
            self.state["news"].notify_all()

    def do_try_pop(self) -> Any:
        with self.state["news"]:
            return self.state["chunks"].popleft() if self.state["chunks"] else None

    def do_wait_pop(self, timeout_ms: int) -> Any:
        with self.state["news"]:
            self.state["news"].wait_for(
                lambda: self.state["chunks"] or self.state["reason"] or self.state["cancelled"], timeout_ms / 1000
            )
        return self.do_try_pop()

    def do_is_finished(self) -> bool:
        return self.state["reason"] is not None

    def do_is_cancelled(self) -> bool:
        return bool(self.state["cancelled"])

    def do_cancel(self) -> None:
        with self.state["news"]:
            self.state["cancelled"] = True
            self.state["news"].notify_all()


class LLMRuntime(Native):
    """One batch at a time: the whole of its prompts, then a word of each row at every step."""

    __slots__ = ()

    def do___init__(self, engine_dir: str, lora_weights_map: Mapping[str, str], **others: object) -> None:
        assert others.pop("context_cache_config") is UNSTATED
        assert not any(others.values()), others
        folder = Path(engine_dir)
        built = json.loads((folder / "config.json").read_text())["builder_config"]
        if (folder / "llm.engine").read_bytes() != b"a serialised engine":
            raise RuntimeError("the engine cannot be deserialised")
        self.state = {"built": built, "numbers": {}, "running": threading.Lock()}
        self.state["adapters"] = {name: adapter_word(path) for name, path in lora_weights_map.items()}
        ctypes.PyDLL(None).usleep(int(START_S * 1e6))  # as the real one does, without letting other threads run

    def do_capture_decoding_cuda_graph(self) -> bool:
        return True

    def do_count_prompt_tokens(self, request: Any) -> list[int]:
        return [len(TOKEN.findall(prompt_of(each, request))) for each in request.requests]

    def do_handle_request(self, request: Any) -> Any:
        from tensorrt_edgellm import _generated  # noqa: PLC0415

        if not self.state["running"].acquire(blocking=False):
            raise RuntimeError("a batch is running, and a second one came in another thread")
        if LOG:
            with Path(LOG).open("a") as file:
                file.write(f"{len(request.requests)} {request.lora_weights_name}\n")
        try:
            self.answer([Answering(self, request, index) for index in range(len(request.requests))], request)
        finally:
            self.state["running"].release()
        return _generated.LLMGenerationResponse()

    def answer(self, rows: list[Answering], request: Any) -> None:
        built = self.state["built"]
        if not 0 < len(rows) <= built["max_batch_size"] or len(request.stream_channels) != len(rows):
            raise RuntimeError(f"{len(rows)} rows with {len(request.stream_channels)} channels")
        if max(len(row.prompt) for row in rows) > built["max_input_len"]:
            raise RuntimeError("a prompt is longer than max_input_len")
        longest = max(len(row.prompt) for row in rows)
        limit = min(request.max_generate_length, built["max_kv_cache_capacity"] - longest)
        time.sleep(sum(len(row.prompt) for row in rows) * PREFILL_S_PER_TOKEN)
        while rows:
            time.sleep(DECODE_S)
            rows = [row for row in rows if row.step(limit)]

    def number_of(self, word: str) -> int:
        return int(self.state["numbers"].setdefault(word, len(self.state["numbers"])))


class Answering:
    """One row of a batch."""

    def __init__(self, runtime: LLMRuntime, request: Any, index: int) -> None:
        self.runtime, self.request, self.row = runtime, request, request.requests[index]
        self.channel = request.stream_channels[index]
        self.prompt = TOKEN.findall(prompt_of(self.row, request))
        self.sent = 0
        if request.lora_weights_name and request.lora_weights_name not in runtime.state["adapters"]:
            raise RuntimeError(f"LoRA weights {request.lora_weights_name} were not loaded")
        self.failure = ""
        self.words, self.stopped = self.answer()

    @property
    def is_greedy(self) -> bool:
        asked = self.request
        if asked.temperature < 1e-3 or (asked.temperature == 1 and asked.top_k <= 1 and asked.top_p >= 1):
            return True
        if asked.top_k == 0 and asked.top_p >= 1:
            raise RuntimeError("Either topK or topP must be set")
        return False

    def answer(self) -> tuple[list[str], bool]:
        """Its words, and whether a stop string ends them."""
        text = self.row.messages[-1].contents[0].content
        guided = self.row.guided_decoding
        words = TOKEN.findall(text)
        if guided is not None:
            words = TOKEN.findall(self.guided(text, guided))
        elif self.request.lora_weights_name:
            words = [self.runtime.state["adapters"][self.request.lora_weights_name] + " ", *words]
        if not self.is_greedy and guided is None:
            random.Random(DEFAULT_SEED if self.row.sampling_seed is None else self.row.sampling_seed).shuffle(words)
        text = "".join(words)
        ends = [text.find(stop) for stop in self.row.stop_strings if stop in text]
        return (TOKEN.findall(text[: min(ends)]), True) if ends else (words, False)

    def guided(self, text: str, guided: Any) -> str:
        """A guide that cannot be compiled fails its own row alone, and says why in the log."""
        from tensorrt_edgellm import _guidance  # noqa: PLC0415

        kinds = {"JSON_SCHEMA": "json_schema", "STRUCTURAL_TAG": "structural_tag"}
        guides = {name: guided.guide if kind == guided.type.name else None for kind, name in kinds.items()}
        try:
            return str(_guidance.guided_text(text, **guides))
        except ValueError as error:
            self.failure = str(error)
            return ""

    def step(self, limit: int) -> bool:
        """One token more, or the end; False: it has ended."""
        if self.failure:
            return self.push("", None, "ERROR")
        if self.channel.state["cancelled"]:
            return self.push("", None, "CANCELLED")
        if self.sent == len(self.words):
            if self.stopped:
                return self.push("", None, "STOP_WORDS")
            return self.push("", self.runtime.number_of(END), "END_ID")
        word = self.words[self.sent]
        self.sent += 1
        return self.push(word, self.runtime.number_of(word), "LENGTH" if self.sent == limit else "")

    def push(self, word: str, number: int | None, reason: str) -> bool:
        logprobs = [self.likely(word or END, number)] if self.request.num_logprobs and number is not None else []
        self.channel.push(word, number, prompt=len(self.prompt), reason=reason, logprobs=logprobs)
        return not reason

    def likely(self, word: str, number: int) -> list[Any]:
        """The most likely tokens; with chance, the chosen one is the second of them."""
        from tensorrt_edgellm import _generated  # noqa: PLC0415

        names = [(number, word)] if self.is_greedy else [(-1, "other"), (number, word)]
        entries = []
        for rank, (each, text) in enumerate(names[: min(self.request.num_logprobs, MOST_LOGPROBS)]):
            entry = _generated.LogprobEntry.made()
            entry.values = {"token_id": each, "piece": text.encode(), "logprob": math.log(0.5) - rank}
            entries.append(entry)
        return entries


def prompt_of(row: Any, request: Any) -> str:
    assert request.apply_chat_template, "raw prompts are not stood in for"
    assert all(content.type == "text" for message in row.messages for content in message.contents)
    turns = [f"<|{each.role}|>\n{''.join(part.content for part in each.contents)}{END}\n" for each in row.messages]
    return "".join([*turns, "<|assistant|>\n"])


def adapter_word(path: str) -> str:
    """What an adapter has the model say: a word in its file's metadata."""
    if not Path(path).exists():
        raise RuntimeError(f"Failed to open LoRA weights {path}")
    content = Path(path).read_bytes()
    head = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    word = str(head["__metadata__"]["says"])
    if not word:
        raise RuntimeError(f"Failed to read LoRA weights {path}")
    return word
