"""TensorRT-LLM's LLM API (1.2, PyTorch backend), and nothing else of it: the only module that imports it.

It is imported when a model is loaded, since that alone takes tens of seconds. Every name and keyword used here stands
in `facts/tensorrt_llm-1.2.1.json`. Errors come out as `trtllm_errors.py` reads them. NEVER yet run on the real package.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from homebred_engines import api
from homebred_engines.trtllm_cache import CacheRoom
from homebred_engines.trtllm_errors import typed
from homebred_engines.xgrammar_guidance import Guidance

DISTRIBUTION = "tensorrt-llm"
MODULE = "tensorrt_llm"
GUIDED_DECODER = "xgrammar"
PREFILL_TOKENS = 1024
"""Of prompts read in one step, between which others get their tokens."""
_LORA_CONFIG_PLACES = ("tensorrt_llm.lora_manager", "tensorrt_llm._torch.peft.lora.config")  # 1.2 and 1.3


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterRoom:
    """What is set aside for adapters."""

    adapters: int
    """On the device at once."""
    max_rank: int
    """Of any of them."""
    modules: tuple[str, ...]
    """Layers that they may change, in TensorRT-LLM's names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """A LoRA adapter that a request runs with."""

    name: str
    """For people and logs."""
    number: int
    """Its identity while the model is loaded; from 1."""
    path: str
    """PEFT adapter folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmPlan:
    """How a model is to be loaded."""

    model_path: str
    """A checked checkpoint folder."""
    slots: int
    """Generations side by side."""
    context_tokens: int
    """Of one slot."""
    cache: CacheRoom
    """What the cache of all slots may take."""
    adapters: AdapterRoom | None = None
    """None: the model is served without any."""


def free_device_bytes() -> int:
    """Free memory of the device. Imports torch, which TensorRT-LLM brings."""
    with _as_our_errors("asking for free device memory"):
        free, _ = importlib.import_module("torch").cuda.mem_get_info()
        return int(free)


class LoadedLlm:
    """One model in memory. Its construction and `close` block for long: call them in a thread."""

    def __init__(self, plan: LlmPlan) -> None:
        with _as_our_errors("loading the model"):
            self._top = importlib.import_module("tensorrt_llm")
            self._api = importlib.import_module("tensorrt_llm.llmapi")
            self._llm = self._top.LLM(**self._arguments(plan))

    def prompt(self, messages: Sequence[api.Message]) -> list[int]:
        """The conversation's tokens under the model's chat template."""
        conversation = [{"role": message.role, "content": message.content} for message in messages]
        with _as_our_errors("applying the chat template"):
            tokenizer = self._llm.tokenizer
            text = tokenizer.apply_chat_template(conversation, tokenize=False, add_generation_prompt=True)
            return list(tokenizer.encode(text, add_special_tokens=False))

    def text_of(self, token: int) -> str:
        """One token's text."""
        with _as_our_errors("reading a token"):
            return str(self._llm.tokenizer.decode([token]))

    def ask(
        self,
        prompt: list[int],
        options: api.GenerateOptions,
        guidance: Guidance,
        *,
        max_tokens: int,
        adapter: Adapter | None = None,
    ) -> Any:
        """Starts a generation; returns TensorRT-LLM's RequestOutput, which yields itself at every step."""
        with _as_our_errors("starting a generation"):
            return self._llm.generate_async(
                prompt,
                sampling_params=self._sampling(options, guidance, max_tokens),
                lora_request=None if adapter is None else _lora_request(adapter),
                streaming=True,
            )

    def iterations(self, *, timeout_s: float) -> int:
        """Steps of the engine since the last call; waits for one at most that long."""
        with _as_our_errors("asking for its statistics"):
            return len(self._llm.get_stats(timeout=timeout_s))

    def close(self) -> None:
        """Frees the model."""
        with _as_our_errors("shutting down"):
            self._llm.shutdown()

    def _arguments(self, plan: LlmPlan) -> dict[str, Any]:
        cache = self._api.KvCacheConfig(
            max_tokens=plan.cache.tokens,
            max_gpu_total_bytes=plan.cache.most_bytes,
            free_gpu_memory_fraction=plan.cache.fraction_of_free,
            enable_block_reuse=True,
        )
        arguments: dict[str, Any] = {
            "model": plan.model_path,
            "max_batch_size": plan.slots,
            "max_seq_len": plan.context_tokens,
            "max_num_tokens": PREFILL_TOKENS,
            "enable_chunked_prefill": True,
            "kv_cache_config": cache,
            "guided_decoding_backend": GUIDED_DECODER,
            "enable_iter_perf_stats": True,
        }
        if plan.adapters is not None:
            arguments["lora_config"] = _lora_config_class()(
                lora_target_modules=list(plan.adapters.modules),
                max_lora_rank=plan.adapters.max_rank,
                max_loras=plan.adapters.adapters,
                max_cpu_loras=plan.adapters.adapters,
            )
        return arguments

    def _sampling(self, options: api.GenerateOptions, guidance: Guidance, max_tokens: int) -> Any:
        """A fresh one: the library changes it. Greedy is what it does where nothing asks for chance."""
        is_greedy = options.temperature == 0
        guided = None
        if guidance != Guidance():
            guided = self._api.GuidedDecodingParams(json=guidance.json_schema, structural_tag=guidance.structural_tag)
        return self._top.SamplingParams(
            max_tokens=max_tokens,
            temperature=None if is_greedy else options.temperature,
            top_p=None if is_greedy else options.top_p,
            top_k=None if is_greedy else options.top_k or None,
            seed=options.seed,
            stop=list(options.stop) or None,
            logprobs=1 if options.logprobs else None,
            guided_decoding=guided,
        )


def _lora_request(adapter: Adapter) -> Any:
    requests = importlib.import_module("tensorrt_llm.executor.request")
    return requests.LoRARequest(lora_name=adapter.name, lora_int_id=adapter.number, lora_path=adapter.path)


def _lora_config_class() -> Any:
    for place in _LORA_CONFIG_PLACES:
        try:
            found = getattr(importlib.import_module(place), "LoraConfig", None)
        except ModuleNotFoundError:
            continue
        if found is not None:
            return found
    raise ImportError(f"LoraConfig is in none of {', '.join(_LORA_CONFIG_PLACES)}")


@contextmanager
def _as_our_errors(doing: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise typed(error, doing=doing) from error
