"""One model of one server that speaks OpenAI's chat completions: what it is, and generations over it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any

from homebred_engines import api
from homebred_engines.local_http import Connections, Response
from homebred_engines.openai_chat import CompletionReading, EventLines, parsed, request_body, typed_error
from homebred_engines.openai_server_file import ServerFile

_OK = 200
_MAX_NAME_CHARACTERS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A server's model that answers."""

    connections: Connections
    model: str
    server: str
    """What the server calls itself."""
    context_tokens: int
    """Of one generation; 0: the server does not say."""

    async def completion(
        self, messages: Sequence[api.Message], options: api.GenerateOptions, reading: CompletionReading
    ) -> AsyncGenerator[api.Delta, None]:
        """Deltas as they come; `reading` knows the rest. Closing the stream closes the connection.

        Raises EngineError.
        """
        body, lines = request_body(self.model, messages, options), EventLines()
        async with self.connections.ask("/v1/chat/completions", body) as response:
            if response.status != _OK:
                raise await _refusal(response)
            async for piece in response.pieces():
                for document in lines.feed(piece):
                    delta = _fed(reading, document)
                    if delta is not None:
                        yield delta
                if lines.is_done:
                    return


async def found(file: ServerFile, connections: Connections) -> Endpoint:
    """The model that the file names, as the server lists it. Raises ModelRefusedError, EngineFailedError."""
    async with connections.ask("/v1/models") as response:
        if response.status != _OK:
            raise api.EngineFailedError((await _refusal(response)).why)
        document = parsed(await response.body())
    entries = [entry for entry in document.get("data") or () if isinstance(entry, dict)]
    listed = {entry["id"]: entry for entry in entries if isinstance(entry.get("id"), str)}
    model = file.model or (next(iter(listed)) if len(listed) == 1 else "")
    if model not in listed:
        names = ", ".join(sorted(listed)) or "none"
        raise api.ModelRefusedError(
            f"The server at {file.address.written()} has no model {file.model!r}; it has {names}.",
            hint='Write one of them as "model" into the model\'s file.',
        )
    server = response.fields.get("server", "") or "unknown"
    return Endpoint(
        connections=connections,
        model=model,
        server="".join(filter(str.isprintable, server))[:_MAX_NAME_CHARACTERS],
        context_tokens=_context_tokens(listed[model]),
    )


def _fed(reading: CompletionReading, document: dict[str, Any]) -> api.Delta | None:
    try:
        return reading.feed(document)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise api.EngineFailedError("The server's events are not those of chat completions.") from None


async def _refusal(response: Response) -> api.EngineError:
    body = await response.body()
    try:
        document = parsed(body)
    except api.EngineFailedError:  # such as a page of a proxy
        document = {"message": f"status {response.status}"}
    return typed_error(response.status, document, retry_after=response.fields.get("retry-after", ""))


def _context_tokens(entry: dict[str, Any]) -> int:
    """As llama.cpp's and vLLM's servers tell it."""
    meta = entry.get("meta")
    told = entry.get("max_model_len") or (meta.get("n_ctx") if isinstance(meta, dict) else None)
    return told if isinstance(told, int) else 0
