"""A small server that speaks OpenAI's chat completions, as well or as poorly as a test says.

It has no model: it says "hello" again and again, makes the smallest instance of a schema where it heeds one, and calls
the first tool that must be called. What it does not heed it ignores without a word, as many a server does.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from homebred_engines.json_instance import smallest_instance

EVERYTHING = frozenset({"json_schema", "logprobs", "max_tokens", "prefix_cache", "seed", "stop", "tools", "usage"})
_WORDS = 12


@dataclass(slots=True, kw_only=True)
class ScriptedServer:
    """What it heeds, what goes wrong, and what it was asked."""

    heeds: frozenset[str] = EVERYTHING
    models: tuple[str, ...] = ("scripted",)
    obeys_words: bool = False
    """Whether it answers with a JSON object where its prompt asks for one, at the second time of asking."""
    fault: str = ""
    """`status N`, `breaks off`, `no json`, `no http` or `hangs`; of completions alone."""
    asked: list[dict[str, Any]] = field(default_factory=list)
    """Bodies of completions."""
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once a caller left an answer that had not ended."""
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @asynccontextmanager
    async def on_socket(self, path: str) -> AsyncIterator[str]:
        """Listens on a Unix socket; its address."""
        async with await asyncio.start_unix_server(self._serve, path):
            yield f"unix:{path}"

    @asynccontextmanager
    async def on_port(self) -> AsyncIterator[str]:
        """Listens on a free port of this device; its address."""
        async with await asyncio.start_server(self._serve, "127.0.0.1", 0) as server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
        body = await reader.readexactly(int(fields.get("Content-Length", 0)))
        try:
            if " /v1/models " in head:
                _respond(writer, 200, json.dumps({"data": [{"id": name} for name in self.models]}).encode())
            else:
                await self._complete(json.loads(body), reader, writer)
            await writer.drain()
        except ConnectionError:
            self.hung_up.set()
        finally:
            writer.close()

    async def _complete(
        self, asked: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.asked.append(asked)
        match self.fault.split():
            case ["status", status]:
                error = {"error": {"message": "it is so", "type": "scripted"}}
                return _respond(writer, int(status), json.dumps(error).encode())
            case ["no", "http"]:
                return writer.write(b"220 mail.example ESMTP\r\n\r\n")
            case ["no", "json"]:
                return _respond(writer, 200, b"data: hello\n\n")
            case ["hangs"]:
                await reader.read()
                return self.hung_up.set()
        events = [*self._events(asked)]
        if self.fault == "breaks off":
            events = events[:2]
        data = [b"data: " + json.dumps(event).encode() + b"\n\n" for event in events]
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in [*data, b"data: [DONE]\n\n"] if not self.fault else data:
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            await writer.drain()
        if not self.fault:
            writer.write(b"0\r\n\r\n")
        return None

    def _events(self, asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield {"choices": [{"index": 0, "delta": {"role": "assistant", "content": None}, "finish_reason": None}]}
        called = self._called(asked)
        words = [] if called else self._words(asked)
        limit = asked.get("max_tokens", len(words)) if "max_tokens" in self.heeds else len(words)
        for word in words[:limit]:
            choice: dict[str, Any] = {"index": 0, "delta": {"content": word}, "finish_reason": None}
            if asked.get("logprobs") and "logprobs" in self.heeds:
                choice["logprobs"] = {"content": [{"token": word, "logprob": -0.5}]}
            yield {"choices": [choice]}
        if called:
            yield from _call_events(called)
        reason = "tool_calls" if called else "length" if limit < len(words) else "stop"
        yield {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}
        if "usage" in self.heeds:
            cached = {"cached_tokens": 3 if "prefix_cache" in self.heeds else 0}
            taken = min(limit, len(words))
            usage = {"prompt_tokens": 5, "completion_tokens": taken, "prompt_tokens_details": cached}
            yield {"choices": [], "usage": usage}

    def _words(self, asked: dict[str, Any]) -> list[str]:
        if "response_format" in asked and "json_schema" in self.heeds:
            return json.dumps(smallest_instance(asked["response_format"]["json_schema"]["schema"])).split(" ")
        told = json.dumps(asked["messages"])
        if self.obeys_words and "JSON Schema" in told:
            return ["{}"] if "That does not fit" in told else ["Sure!"]
        number = "" if "seed" in self.heeds and "seed" in asked else str(next(self._numbers))
        text = f"hello{number} " * _WORDS
        for stop in asked.get("stop", ()) if "stop" in self.heeds else ():
            text = text.partition(stop)[0]
        return [f"{word} " for word in text.split()]

    def _called(self, asked: dict[str, Any]) -> dict[str, Any] | None:
        choice = asked.get("tool_choice")
        if "tools" not in self.heeds or choice in (None, "auto", "none"):
            return None
        functions = [tool["function"] for tool in asked["tools"]]
        named = choice["function"]["name"] if isinstance(choice, dict) else functions[0]["name"]
        by_name: dict[str, dict[str, Any]] = {function["name"]: function for function in functions}
        return by_name[named]


def _call_events(function: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A call in pieces, as servers send it."""
    arguments = json.dumps(smallest_instance(function["parameters"]))
    middle = len(arguments) // 2
    pieces = [
        {"index": 0, "id": "call_x", "type": "function", "function": {"name": function["name"], "arguments": ""}},
        {"index": 0, "function": {"arguments": arguments[:middle]}},
        {"index": 0, "function": {"arguments": arguments[middle:]}},
    ]
    for piece in pieces:
        yield {"choices": [{"index": 0, "delta": {"tool_calls": [piece]}, "finish_reason": None}]}


def _respond(writer: asyncio.StreamWriter, status: int, body: bytes) -> None:
    writer.write(f"HTTP/1.1 {status} So\r\nContent-Length: {len(body)}\r\nRetry-After: 7\r\n\r\n".encode() + body)
