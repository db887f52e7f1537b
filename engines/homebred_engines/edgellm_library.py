"""TensorRT Edge-LLM's Python runtime (0.11), and nothing else of it: the only module that imports it.

Every name and keyword used here stands in `facts/tensorrt_edgellm-0.11.0.json`. It is the runtime that takes a batch at
a time (`LLMRuntime`), since the one that lets requests join refuses those with an adapter. Errors come out as
`edgellm_errors.py` reads them. NEVER yet run on a GPU.
"""

from __future__ import annotations

import importlib
import secrets
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from homebred_engines import api
from homebred_engines.edgellm_batches import Row, Shared
from homebred_engines.edgellm_errors import typed
from homebred_engines.xgrammar_guidance import Guidance

DISTRIBUTION = "tensorrt-edgellm"
MODULE = "tensorrt_edgellm"
MOST_LIKELY = 50
"""Tokens whose log-probability it tells at most; the one that was chosen is looked for among them."""
_RUNTIME = "tensorrt_edgellm.runtime"
_CUDA = "cuda.bindings.runtime"
_END = "END_ID"
_WAIT_MS = 100
_CANCELLED_POLL_S = 0.002


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimePlan:
    """What a runtime is made of."""

    engine_folder: str
    """A checked one."""
    adapters: Mapping[str, str]
    """Paths of processed adapters by digest; fixed as long as the runtime lives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """What came of a row at once."""

    text: str
    tokens: int
    """How many it stands for, the end among them."""
    reason: str
    """How the row ended, in the package's word; empty: it goes on."""
    logprobs: tuple[api.TokenLogprob, ...]
    """Where asked for: one a token, but of the end."""


def gpu_architecture() -> str:
    """That of the device in use: `sm_87`. Asks CUDA through the bindings that the package brings."""
    with _as_our_errors("asking which GPU this is"):
        cuda = importlib.import_module(_CUDA)
        device = _answer(cuda.cudaGetDevice())
        kinds = cuda.cudaDeviceAttr
        names = (kinds.cudaDevAttrComputeCapabilityMajor, kinds.cudaDevAttrComputeCapabilityMinor)
        major, minor = (_answer(cuda.cudaDeviceGetAttribute(name, device)) for name in names)
        return f"sm_{major}{minor}"


class NativeRow:
    """A request in the package's own form, and the channel on which its answer comes."""

    def __init__(self, request: Any, channel: Any, *, wants_logprobs: bool) -> None:
        self.request = request
        self.channel = channel
        self._wants_logprobs = wants_logprobs

    def chunks(self, batch_over: threading.Event) -> Iterator[Chunk]:
        """Blocks for what comes on the channel, until it is finished or the batch is over."""
        with _as_our_errors("listening to a generation"):
            while True:
                chunk = self.channel.wait_pop(timeout_ms=_WAIT_MS)
                if chunk is None:
                    if self.channel.is_finished() or batch_over.is_set():
                        chunk = self.channel.try_pop()  # it may have come between the two looks
                        if chunk is None:
                            return
                    elif self.channel.is_cancelled():
                        time.sleep(_CANCELLED_POLL_S)  # on a cancelled channel, waiting is over at once
                if chunk is not None:
                    yield self._read(chunk)
                    if chunk.finished:
                        return

    def cancel(self) -> None:
        """Asks for an end at the next token; from any thread."""
        with _as_our_errors("cancelling"):
            self.channel.cancel()

    def _read(self, chunk: Any) -> Chunk:
        tokens = list(chunk.token_ids)
        reason = str(chunk.reason.name) if chunk.finished else ""
        spelled = tokens[:-1] if reason == _END else tokens  # the end has no text
        logprobs = _logprobs(spelled, chunk.logprobs) if self._wants_logprobs else ()
        return Chunk(text=chunk.text, tokens=len(tokens), reason=reason, logprobs=logprobs)


class LoadedRuntime:
    """One runtime in memory. Made and run in one thread, in which both block; it ends with its process."""

    def __init__(self, plan: RuntimePlan) -> None:
        with _as_our_errors("loading the engine"):
            self._package = importlib.import_module(_RUNTIME)
            self._runtime: Any = self._package.LLMRuntime(
                engine_dir=plan.engine_folder, lora_weights_map=dict(plan.adapters)
            )
            if not self._runtime.capture_decoding_cuda_graph():
                sys.stderr.write("TensorRT Edge-LLM captured no CUDA graph; it decodes without, and slower.\n")

    def row(self, messages: Sequence[api.Message], options: api.GenerateOptions, guidance: Guidance) -> NativeRow:
        """The request; without a seed of its own it gets one, since the package's is always the same."""
        with _as_our_errors("writing a request"):
            request = self._package.Request(messages=[self._message(each) for each in messages])
            request.stop_strings = list(options.stop)
            request.sampling_seed = secrets.randbits(32) if options.seed is None else options.seed
            if guidance != Guidance():
                request.guided_decoding = self._guided(guidance)
            channel = self._package.StreamChannel.create()
            return NativeRow(request, channel, wants_logprobs=options.logprobs)

    def prompt_tokens(self, row: NativeRow) -> int:
        """Of the conversation under the chat template. Blocks for a moment; beside a batch as well."""
        with _as_our_errors("counting a prompt's tokens"):
            request = self._package.LLMGenerationRequest()
            request.requests = [row.request]
            return int(self._runtime.count_prompt_tokens(request=request)[0])

    def run(self, batch: Sequence[tuple[Row, NativeRow]]) -> None:
        """Answers a batch on its channels, and returns when all of it has ended."""
        with _as_our_errors("generating"):
            request = self._package.LLMGenerationRequest()
            request.requests = [native.request for _, native in batch]
            request.stream_channels = [native.channel for _, native in batch]
            request.max_generate_length = max(row.most_tokens for row, _ in batch)
            self._share(request, batch[0][0].shared)
            self._runtime.handle_request(request=request)

    def _message(self, message: api.Message) -> Any:
        content = self._package.MessageContent(type="text", content=message.content)
        return self._package.Message(role=message.role, contents=[content])

    def _guided(self, guidance: Guidance) -> Any:
        kinds, tag = self._package.GuideType, guidance.structural_tag
        kind = kinds.JSON_SCHEMA if tag is None else kinds.STRUCTURAL_TAG
        return self._package.GuidedDecodingParams(type=kind, guide=tag or guidance.json_schema)

    @staticmethod
    def _share(request: Any, shared: Shared) -> None:
        request.temperature = shared.temperature
        request.top_p = shared.top_p
        request.top_k = shared.top_k
        request.num_logprobs = MOST_LIKELY if shared.logprobs else 0
        request.lora_weights_name = shared.adapter


def _logprobs(tokens: Sequence[int], steps: Sequence[Sequence[Any]]) -> tuple[api.TokenLogprob, ...]:
    """One a token; one that is not among the most likely is at most as likely as the last of them, and has no text."""
    found = []
    for token, entries in zip(tokens, steps, strict=False):
        chosen = next((entry for entry in entries if entry.token_id == token), None)
        if chosen is not None:
            text = chosen.piece.decode("utf-8", "replace")
            found.append(api.TokenLogprob(token=text, logprob=min(0.0, chosen.logprob)))
        elif entries:
            found.append(api.TokenLogprob(token="", logprob=min(0.0, entries[-1].logprob)))
    return tuple(found)


def _answer(result: tuple[Any, Any]) -> int:
    """What a call of CUDA's bindings returned, unless it failed."""
    status, value = result
    if int(status):
        raise RuntimeError(f"CUDA answers {status}")
    return int(value)


@contextmanager
def _as_our_errors(doing: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise typed(error, doing=doing) from error
