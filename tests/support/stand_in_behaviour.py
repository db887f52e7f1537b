"""How the stand-in of TensorRT-LLM behaves beyond its signatures, which are generated from the recorded facts.

It is no TensorRT-LLM, and nothing that passes on it was tested on TensorRT-LLM. It answers with the last user message,
word by word; with a schema, with the smallest instance of it. Copied into the generated package as `_behaviour`;
whatever it does is said in the research notes or the rendered source of 1.2.1, timing aside.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import queue
import re
import time
from collections.abc import Mapping
from typing import Any

UNSTATED = type("Unstated", (), {"__repr__": lambda self: "a default that no source states"})()
TOKEN = re.compile(r"<\|\w+\|>\n?|\s*(?:(?!<\|)\S)+\s*|\s+")
PREFILL_S_PER_TOKEN = 0.001
DECODE_S = 0.003
START_S = float(os.environ.get("STAND_IN_START_S", "0"))


def do(self: Any, method: str, arguments: Mapping[str, Any]) -> Any:
    """What a generated method does."""
    behaviour = getattr(self, f"do_{method}", None)
    if behaviour is None:
        raise NotImplementedError(f"the stand-in does nothing at {type(self).__name__}.{method}")
    return behaviour(**arguments)


class TransformersTokenizer:
    """A vocabulary that grows with every word it meets."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.words: list[str] = []

    def do_apply_chat_template(self, conversation: list[dict[str, str]], **options: object) -> str:
        assert options == {"tokenize": False, "add_generation_prompt": True}, options
        turns = [f"<|{each['role']}|>\n{each['content']}<|end|>\n" for each in conversation]
        return "".join([*turns, "<|assistant|>\n"])

    def do_encode(self, text: str, **options: object) -> list[int]:
        assert options == {"add_special_tokens": False}, options
        return [self.number_of(word) for word in TOKEN.findall(text)]

    def do_decode(self, token_ids: list[int]) -> str:
        return "".join(self.words[number] for number in token_ids)

    def number_of(self, word: str) -> int:
        if word not in self.numbers:
            self.numbers[word] = len(self.words)
            self.words.append(word)
        return self.numbers[word]


class LLM:
    """The engine: each request runs by itself, as if there were room for all."""

    def do___init__(self, model: str, **arguments: Any) -> None:
        from tensorrt_llm import _generated  # noqa: PLC0415  # it imports this module

        own: set[str] = self.own_arguments  # type: ignore[attr-defined]  # generated
        further = {name: arguments[name] for name in arguments.keys() - own}
        self.settings = _generated.TorchLlmArgs(**further)
        assert isinstance(further.get("kv_cache_config"), _generated.KvCacheConfig)
        if not os.path.isdir(model):  # noqa: PTH112  # a string, as the package takes it
            raise ValueError(f"{model} is no checkpoint folder")
        time.sleep(START_S)
        self.generated = _generated
        self.vocabulary = _generated.TransformersTokenizer()
        self.statistics: queue.Queue[dict[str, int]] = queue.Queue()
        self.seen_prompts: list[list[int]] = []
        self.used_sampling: list[object] = []
        self.adapters: dict[int, str] = {}
        self.running: set[Any] = set()
        self.is_shut_down = False
        self.numbers = itertools.count(1)

    def read_tokenizer(self) -> Any:
        return self.vocabulary

    def do_generate_async(
        self, *, inputs: list[int], sampling_params: Any, lora_request: Any, streaming: bool, **others: object
    ) -> Any:
        if self.is_shut_down:
            raise RuntimeError("LLM is shutting down")
        assert streaming, "only streams are stood in for"
        assert not any(others.values()), others
        if any(sampling_params is used for used in self.used_sampling):
            raise ValueError("SamplingParams was used before: the library changes it")
        self.used_sampling.append(sampling_params)
        if lora_request is not None and not isinstance(lora_request, self.generated.LoRARequest):
            raise TypeError(f"lora_request is {lora_request!r}")
        if sampling_params.guided_decoding is not None and not isinstance(self.settings.guided_decoding_backend, str):
            raise ValueError("guided_decoding is given, and guided_decoding_backend is not set")
        if lora_request is not None:
            self.require_room(lora_request)
        return self.generated.RequestOutput(self, inputs, sampling_params, lora_request)

    def require_room(self, request: Any) -> None:
        """An adapter is known by its number, and needs the room that was asked for when the model was loaded."""
        room = self.settings.lora_config
        if room is None:
            raise ValueError("lora_request is given, and lora_config is not set")
        known = self.adapters.setdefault(request.lora_int_id, request.lora_path)
        assert known == request.lora_path, f"the number {request.lora_int_id} is that of {known}"
        with open(os.path.join(request.lora_path, "adapter_config.json"), encoding="utf-8") as file:  # noqa: PTH118, PTH123
            rank = json.load(file)["r"]
        if rank > room.max_lora_rank:
            raise ValueError(f"an adapter of rank {rank}, and max_lora_rank is {room.max_lora_rank}")
        if not room.lora_target_modules:
            raise ValueError("lora_target_modules is empty")

    def do_get_stats(self, timeout: float) -> list[dict[str, int]]:
        found: list[dict[str, int]] = []
        if self.settings.enable_iter_perf_stats is not True:
            return found
        try:
            found.append(self.statistics.get(timeout=timeout))
            while True:
                found.append(self.statistics.get_nowait())
        except queue.Empty:
            return found

    def do_shutdown(self) -> None:
        self.is_shut_down = True
        for output in list(self.running):
            output.do_abort()

    def cached_of(self, prompt: list[int]) -> int:
        """Tokens of the longest beginning that some prompt before had too; never all of it."""
        shared = [
            sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(prompt, seen, strict=False)))
            for seen in self.seen_prompts
        ]
        return min(max(shared, default=0), len(prompt) - 1)


class RequestOutput:
    """One generation; its iterator yields this one object at every step."""

    def __init__(self, llm: Any, prompt: list[int], sampling: Any, lora: Any) -> None:
        self.llm, self.asked, self.sampling, self.lora = llm, prompt, sampling, lora
        self.cached = llm.cached_of(prompt)
        self.words, self.reason = self.answer()
        self.completion = llm.generated.CompletionOutput(index=0)
        self.steps: asyncio.Queue[tuple[str, str | None]] = asyncio.Queue()
        self.is_aborted = self.has_ended = False
        llm.running.add(self)
        self.working = asyncio.get_running_loop().create_task(self.work())

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> Any:
        if self.has_ended:
            raise StopAsyncIteration
        word, reason = await self.steps.get()
        self.completion.advance(word, self.llm.vocabulary.number_of(word) if word else None, self.sampling)
        if reason is not None:
            self.completion.finish_reason, self.has_ended = reason, True
        return self

    def do_abort(self) -> None:
        self.is_aborted = True

    def read_outputs(self) -> list[Any]:
        return [self.completion]

    def read_cached_tokens(self) -> int:
        return int(self.cached)

    def read_finished(self) -> bool:
        return self.has_ended

    async def work(self) -> None:
        """Reads the prompt in steps of `max_num_tokens`, then brings a word a step."""
        at_once = self.llm.settings.max_num_tokens
        for begin in range(self.cached, len(self.asked), at_once):
            await self.pass_step(min(at_once, len(self.asked) - begin) * PREFILL_S_PER_TOKEN)
        if not self.is_aborted:
            self.llm.seen_prompts.append(self.asked)
        for word in self.words:
            await self.pass_step(DECODE_S)
            if self.is_aborted:
                break
            self.steps.put_nowait((word, None))
        self.llm.running.discard(self)
        self.steps.put_nowait(("", "cancelled" if self.is_aborted else self.reason))

    async def pass_step(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self.is_aborted and time.monotonic() < until:  # noqa: ASYNC110 - it takes as long as it takes
            await asyncio.sleep(min(0.01, seconds))
        self.llm.statistics.put({"iter": next(self.llm.numbers)})

    def answer(self) -> tuple[list[str], str]:
        text = self.llm.vocabulary.do_decode(self.asked).rpartition("<|user|>\n")[2].partition("<|end|>")[0]
        if self.sampling.guided_decoding is not None:
            from tensorrt_llm import _guidance  # noqa: PLC0415  # it lies beside this module

            guided = self.sampling.guided_decoding
            text = _guidance.guided_text(text, json_schema=guided.json, structural_tag=guided.structural_tag)
        elif self.lora is not None:  # in the voice of the adapter: its folder's name
            text = f"{os.path.basename(self.lora.lora_path)} {text}"  # noqa: PTH119
        ends = [text.find(stop) for stop in self.sampling.stop or () if stop in text]
        words = TOKEN.findall(text[: min(ends)] if ends else text)
        limit = min(self.sampling.max_tokens, self.llm.settings.max_seq_len - len(self.asked))
        return (words[:limit], "length") if len(words) > limit else (words, "stop")


class CompletionOutput:
    """What has been generated, and what the last step added to it."""

    __slots__ = ("last_logprobs", "last_text", "last_tokens")

    def advance(self, word: str, number: int | None, sampling: Any) -> None:
        from tensorrt_llm import _generated  # noqa: PLC0415

        this: Any = self
        this.last_text, this.last_tokens, this.last_logprobs = len(this.text), len(this.token_ids), len(this.logprobs)
        this.text += word
        if number is not None:
            this.token_ids.append(number)
            if sampling.logprobs is not None:
                this.logprobs.append({number: _generated.Logprob(logprob=-0.5, rank=1)})

    def read_length(self) -> int:
        return len(self.token_ids)  # type: ignore[attr-defined]  # a generated field

    def read_text_diff(self) -> str:
        return str(self.text[self.last_text :])  # type: ignore[attr-defined]

    def read_token_ids_diff(self) -> list[int]:
        return list(self.token_ids[self.last_tokens :])  # type: ignore[attr-defined]

    def read_logprobs_diff(self) -> list[Any]:
        return list(self.logprobs[self.last_logprobs :])  # type: ignore[attr-defined]


class LoRARequest:
    """An adapter's request."""

    __slots__ = ()

    def __post_init__(self) -> None:
        path, source = self.lora_path, self.lora_ckpt_source  # type: ignore[attr-defined]
        if path is not None and not os.path.exists(path):  # noqa: PTH110  # as the package does
            raise ValueError(f"lora_path ({path}) does not exist.")
        if source not in ("hf", "nemo"):
            raise ValueError(f"lora_ckpt_source must be 'hf' or 'nemo', got '{source}'")


class GuidedDecodingParams:
    """What guides a generation."""

    __slots__ = ()

    def __post_init__(self) -> None:
        this: Any = self
        given = [this.json, this.regex, this.grammar, this.json_object or None, this.structural_tag]
        if sum(each is not None for each in given) > 1:
            raise ValueError("only one way of guidance can be given")
