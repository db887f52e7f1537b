"""xllamacpp's server with its side door shut, its prompts read in turns and its guided decoding proven.

The library always opens an HTTP port without authentication. Here it gets a Unix socket in a private folder and a
random key, and the socket's name is removed as soon as the server stands: only this process reaches it, in process.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import xllamacpp

from homebred_engines.api import (
    AdapterNotLoadedError,
    ContextExceededError,
    Embedded,
    EngineError,
    EngineFailedError,
    InvalidRequestError,
    UnsupportedOptionError,
)
from homebred_engines.hardening import give_back_memory
from homebred_engines.llamacpp_grammar import UNGUIDED, Grammar
from homebred_engines.llamacpp_plan import ServerOptions
from homebred_engines.prefill_turns import PrefillTurns, Turn

# Small batches: a prompt is read in steps, between which others get their tokens and a cancellation is heard.
_BATCH_TOKENS = 64
# llama.cpp gives back a prompt that has left its slot by its tokens alone, whichever adapter read it. So there is no
# such cache beside adapters; a slot's own is emptied by llama.cpp when the adapter changes.
_PROMPT_CACHE_MIB = 128
_ERRORS_ONLY = 1
_FALLBACK_TEMPLATE = "chatml"
_PROGRESS = b'"prompt_progress"'
_MAX_PROVEN_GRAMMARS = 256
_TOO_LONG = re.compile(r"\((\d+) tokens\)")


class LlamaServer:
    """One model in memory with its adapters. Its methods block: call them in threads."""

    def __init__(self, options: ServerOptions) -> None:
        self._adapters = tuple(adapter.digest for adapter in options.adapters)
        """Their place is their number."""
        self._server: xllamacpp.Server | None = _start(options)
        self._context_tokens = options.context_tokens
        self._proven_grammars: set[str] = set()
        self._turns = PrefillTurns()

    def stream(
        self,
        body: dict[str, object],
        grammar: Grammar | None,
        hear: Callable[[bytes], None],
        is_cancelled: Callable[[], bool],
        adapter: str = "",
    ) -> None:
        """Runs one chat completion, guided by the grammar; `hear` gets its chunks, in this thread.

        Raises InvalidRequestError, UnsupportedOptionError, AdapterNotLoadedError, EngineFailedError.
        """
        try:
            body = {**body, "lora": self._chosen(adapter)}
            if grammar is not None:
                self._refuse_unguided(grammar, is_cancelled)
                body = {**body, "grammar": grammar.lark}
            turn, encoded = Turn(), json.dumps(body).encode()
            while not is_cancelled() and self._was_interrupted(turn, encoded, hear, is_cancelled):
                pass
        except ValueError as error:  # such as a sequence of roles that the model's chat template does not take
            raise InvalidRequestError(f"llama.cpp says: {error}.") from None
        except RuntimeError as error:
            raise EngineFailedError(f"llama.cpp says: {error}.") from None

    def _chosen(self, adapter: str) -> list[dict[str, int]]:
        """All of them but one are silenced. llama.cpp takes an unknown number without a word."""
        if adapter and adapter not in self._adapters:
            raise AdapterNotLoadedError(f"{adapter} was asked for.")
        return [{"id": number, "scale": int(each == adapter)} for number, each in enumerate(self._adapters)]

    def embed(self, texts: tuple[str, ...]) -> Embedded:
        """Raises ContextExceededError, EngineFailedError."""
        answer = json.loads(self._running().handle_embeddings(json.dumps({"input": list(texts)}).encode()))
        if "error" in answer:
            raise _embedding_error(answer["error"], self._context_tokens)
        vectors = tuple(tuple(entry["embedding"]) for entry in sorted(answer["data"], key=lambda entry: entry["index"]))
        return Embedded(vectors=vectors, prompt_tokens=answer["usage"]["prompt_tokens"])

    def wake(self) -> None:
        """Lets requests that wait for their turn look whether they are cancelled."""
        self._turns.wake()

    def close(self) -> None:
        """Frees the model."""
        self._server = None
        give_back_memory()

    def _was_interrupted(
        self, turn: Turn, body: bytes, hear: Callable[[bytes], None], is_cancelled: Callable[[], bool]
    ) -> bool:
        """Runs the request to its end, or for one turn at reading its prompt: then True."""
        reads_prompt, interrupted, is_new = True, False, True

        def on_chunk(chunk: bytes) -> bool:
            nonlocal reads_prompt, interrupted, is_new
            if reads_prompt and _PROGRESS in chunk:
                if is_new:
                    turn.begin(json.loads(chunk)["prompt_progress"]["cache"])
                    is_new = False
                interrupted = turn.has_had_its_share() and self._turns.others_wait()
            elif reads_prompt:
                reads_prompt = False
                self._turns.leave(turn)
            hear(chunk)
            return interrupted or is_cancelled()

        self._turns.enter(turn, is_cancelled)
        try:
            if not is_cancelled():
                self._running().handle_chat_completions(body, on_chunk)
        finally:
            self._turns.leave(turn)
        return interrupted

    def _running(self) -> xllamacpp.Server:
        if self._server is None:
            raise RuntimeError("the model was freed")
        return self._server

    def _refuse_unguided(self, grammar: Grammar, is_cancelled: Callable[[], bool]) -> None:
        """Raises UnsupportedOptionError for a grammar that llama.cpp cannot compile.

        It only logs that and goes on without any grammar. So it is asked, once for each grammar, for one token with a
        character preferred above all that no grammar lets begin: it comes exactly when nothing guides.
        """
        if grammar.lark in self._proven_grammars:
            return
        if not self._guides(grammar.lark, is_cancelled):
            raise UnsupportedOptionError(
                f"llama.cpp cannot be guided by the schema in {grammar.option}.",
                option=grammar.option,
                hint="Use plain keywords: type, properties, required, enum, const, items, bounds. The worker's last"
                " lines name the one it stumbled over.",
            )
        if len(self._proven_grammars) >= _MAX_PROVEN_GRAMMARS:
            self._proven_grammars.clear()
        self._proven_grammars.add(grammar.lark)

    def _guides(self, grammar: str, is_cancelled: Callable[[], bool]) -> bool:
        probe = {
            "prompt": UNGUIDED,
            "grammar": grammar,
            "max_tokens": 1,
            "temperature": 0,
            "logit_bias": [[UNGUIDED, 100.0]],
            "stream": True,
        }
        chunks: list[bytes] = []

        def hear(chunk: bytes) -> bool:
            chunks.append(chunk)
            return False

        turn = Turn()
        self._turns.enter(turn, is_cancelled)
        try:
            self._running().handle_completions(json.dumps(probe).encode(), hear)
        finally:
            self._turns.leave(turn)
        documents = [json.loads(chunk) for chunk in chunks]
        texts = [choice["text"] for document in documents for choice in document.get("choices", ())]
        return not any("error" in document for document in documents) and UNGUIDED not in "".join(texts)


def _await_its_loop(server: xllamacpp.Server, *, embeddings: bool) -> None:
    """Asks for one token.

    The library's server stands before its thread takes requests. One that is freed in between tells the thread to end
    before it has begun, and waits for ever that it does.
    """
    if embeddings:
        server.handle_embeddings(json.dumps({"input": ["."]}).encode())
    else:
        server.handle_completions(json.dumps({"prompt": ".", "max_tokens": 1}).encode(), lambda _: False)


def _embedding_error(error: dict[str, object], context_tokens: int) -> EngineError:
    message = str(error.get("message"))
    too_long = _TOO_LONG.search(message)
    if too_long is None:
        return EngineFailedError(f"llama.cpp says: {message}.")
    return ContextExceededError(
        f"A text has {too_long[1]} tokens, the slot {context_tokens}.",
        prompt_tokens=int(too_long[1]),
        context_tokens=context_tokens,
    )


def _start(options: ServerOptions) -> xllamacpp.Server:
    """Blocks while the model loads. Raises EngineFailedError."""
    parameters = xllamacpp.CommonParams()
    parameters.model.path = options.model_path
    parameters.n_ctx = options.context_tokens * options.slots
    parameters.n_parallel = options.slots
    parameters.n_batch = parameters.n_ubatch = options.context_tokens if options.embeddings else _BATCH_TOKENS
    parameters.embedding = options.embeddings  # all of a text is read in one batch, so that it can be pooled
    if options.embeddings:
        parameters.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = options.threads
    parameters.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(adapter.path, 0.0) for adapter in options.adapters]
    parameters.cache_ram_mib = 0 if options.adapters else _PROMPT_CACHE_MIB
    parameters.verbosity = _ERRORS_ONLY
    parameters.api_keys = [secrets.token_urlsafe(32)]
    parameters.endpoint_slots = parameters.endpoint_props = parameters.ui = False
    if not options.has_chat_template:
        sys.stderr.write(f"The model brings no chat template: using {_FALLBACK_TEMPLATE}.\n")
        parameters.chat_template = _FALLBACK_TEMPLATE
    try:
        folder = tempfile.mkdtemp(prefix="x")  # mode 0700; a short name, as a socket's path is bounded
    except OSError as error:
        raise EngineFailedError(
            f"A folder for llama.cpp's socket cannot be made: {error.strerror}.",
            hint="Free space in the runtime folder.",
        ) from None
    try:
        parameters.hostnames = [str(Path(folder) / "s.sock")]  # the ending makes it a Unix socket
        server = xllamacpp.Server(parameters)
        _await_its_loop(server, embeddings=options.embeddings)
    except RuntimeError as error:
        raise EngineFailedError(
            f"llama.cpp could not load the model: {error}",
            hint="The worker's last lines say why; an unknown architecture needs a newer llama.cpp.",
        ) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return server
