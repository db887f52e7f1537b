"""What a wire format is, and one answer read in it: bytes in, events out.

To add a provider: a module with a class that fulfils `WireFormat`, a line in `registry.py`, its name in settings.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from homebred_daemon.adapters.cloud.server_sent_events import EventParser
from homebred_daemon.ports.cloud import (
    BrokenAnswerError,
    CloudError,
    CloudFinish,
    CloudFinished,
    CloudRequest,
    CloudText,
    CloudUnreachableError,
    CloudUsage,
    CutOffError,
    ProviderFailedError,
    RateLimitedError,
    RequestRefusedError,
)
from homebred_engines import api

Json = Mapping[str, Any]
_MACHINE_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_TOO_MANY_REQUESTS = 429
_CLIENT_ERROR, _SERVER_ERROR = 400, 500
MAX_TOOL_CALLS = 128
MAX_TOOL_NAME = 128


class AnswerReader(ABC):
    """Reads the events of one answer."""

    end_mark: ClassVar[str] = ""
    """Data after the last event; empty: an answer is over as soon as it is finished."""

    def __init__(self) -> None:
        self.finished: CloudFinished | None = None
        """Set by a reader once the provider has said that the answer is whole."""
        self.calls = ToolCalls()

    @abstractmethod
    def read(self, event: Json) -> str:
        """The text that an event adds; most add none. Raises ProviderFailedError.

        What is not there or of another type may raise as Python does.
        """


class ToolCalls:
    """The tool calls of one answer, which arrive in pieces."""

    def __init__(self) -> None:
        self._calls: dict[int, list[str]] = {}

    def begin(self, index: int, name: str) -> None:
        """A call of that name; said again, it begins no other."""
        if index >= MAX_TOOL_CALLS or len(name) > MAX_TOOL_NAME:
            raise BrokenAnswerError("it asks for more tools than anybody has")
        self._calls.setdefault(index, [name])

    def add(self, index: int, piece: str) -> None:
        """More of a call's arguments. Raises LookupError where it never began."""
        self._calls[index].append(piece)

    def whole(self) -> tuple[api.ToolCall, ...]:
        """All of them, in their order, with the ids that they have here."""
        return tuple(
            api.ToolCall(id=f"call_{number}", name=name, arguments="".join(pieces) or "{}")
            for number, (_, (name, *pieces)) in enumerate(sorted(self._calls.items()))
        )


class WireFormat(ABC):
    """How one provider's API is spoken to."""

    path: ClassVar[str]
    """Below the endpoint's base URL, which ends in the version of the API."""
    reader: ClassVar[type[AnswerReader]]

    @abstractmethod
    def headers(self, key: str) -> dict[str, str]:
        """What a request says beside its body."""

    @abstractmethod
    def body(self, request: CloudRequest, model: str) -> dict[str, object]:
        """A request's body, which asks for a stream."""


class StreamedAnswer:
    """One answer: `feed` what arrives until it `is_over` or nothing more comes, then `finish`."""

    def __init__(self, reader: AnswerReader) -> None:
        self._parser = EventParser()
        self._reader = reader
        self.has_streamed = False
        self.is_over = False

    def feed(self, chunk: bytes) -> Iterator[CloudText]:
        """The texts that are complete now. Raises CloudError."""
        for data in self._parser.feed(chunk):
            if self.is_over:
                return
            text = self._text(data)
            if text:
                self.has_streamed = True
                yield CloudText(text)

    def finish(self) -> CloudFinished:
        """The end. Raises CloudUnreachableError where the answer is not whole."""
        if self._reader.finished is None:
            raise CloudUnreachableError
        return replace(self._reader.finished, tool_calls=self._reader.calls.whole())

    def failure(self, error: CloudError) -> CloudError:
        """What an error means for this answer: to be lost after the first text is to be cut off."""
        failure = CutOffError() if self.has_streamed and isinstance(error, CloudUnreachableError) else error
        failure.has_streamed = self.has_streamed
        return failure

    def _text(self, data: str) -> str:
        end_mark = self._reader.end_mark
        if end_mark and data == end_mark:
            self.is_over = True
            return ""
        try:
            text = self._reader.read(json.loads(data))
            text.encode()  # half of a surrogate pair is no text: nobody could send it on
        except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
            raise BrokenAnswerError from None  # the cause would quote the answer
        self.is_over = not end_mark and self._reader.finished is not None
        return text


def error_of_status(status: int, body: bytes, retry_after_s: float | None = None) -> CloudError:
    """What an answer means whose status is 400 or more; of its body only the provider's machine code is kept."""
    code = _error_code(body)
    said = f"it answered {status}" + (f" ({code})" if code else "")
    if status == _TOO_MANY_REQUESTS:
        return RateLimitedError(said, retry_after_s=retry_after_s)
    return ProviderFailedError(said) if status >= _SERVER_ERROR else RequestRefusedError(said)


def failure_in_stream(error: object) -> CloudError:
    """What an error means that arrives in the middle of an answer."""
    code = _machine_code(error)
    return ProviderFailedError(f"it broke the answer off ({code})" if code else "it broke the answer off")


def text(value: object) -> str:
    """A field that must be text. Raises TypeError."""
    if not isinstance(value, str):
        raise TypeError
    return value


def finish_reason(words: Mapping[str, CloudFinish], word: object) -> CloudFinish:
    """A provider's word for the end."""
    return words.get(word, CloudFinish.OTHER) if isinstance(word, str) else CloudFinish.OTHER


def usage(counts: object, input_name: str, output_name: str) -> CloudUsage:
    """The provider's count of tokens, where it gives one."""
    given = counts if isinstance(counts, dict) else {}
    return CloudUsage(input_tokens=_count(given.get(input_name)), output_tokens=_count(given.get(output_name)))


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _error_code(body: bytes) -> str:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    return _machine_code(document.get("error")) if isinstance(document, dict) else ""


def _machine_code(error: object) -> str:
    """The first of an error's machine codes; a sentence is none."""
    given = error if isinstance(error, dict) else {}
    for value in (given.get("code"), given.get("type")):
        if isinstance(value, str) and _MACHINE_CODE.fullmatch(value):
            return value
    return ""
