"""Named entities, found by a statistical model in a child process of its own: for the cloud lane alone (tier 3).

Neither spaCy nor numpy is loaded here. A child that dies, hangs or answers nonsense is killed, and whoever asked gets
a `DetectionError`: a text that was not searched must not leave the house. After a rest the next text starts another.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import json
import math
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from types import TracebackType
from typing import Self

from homebred_daemon.adapters.detectors.name_lists import name_lists
from homebred_daemon.adapters.detectors.ner_child import FRAME_BYTES, MAX_BYTES, MODEL
from homebred_daemon.core.sensitivity import Span
from homebred_daemon.errors import DetectionError

TYPES = {
    "PERSON": "PERSON",
    "ORG": "ORGANIZATION",
    "GPE": "LOCATION",
    "LOC": "LOCATION",
    "FAC": "LOCATION",
    "NORP": "GROUP",  # religions and parties: what somebody believes is nobody's business
    "PRODUCT": "PRODUCT",  # a customer's code names
}
_TIER = 3
_COMMAND = (sys.executable, "-I", "-m", "homebred_daemon.adapters.detectors.ner_child")
_PIECE = 20_000  # characters that are asked for at once: the model's memory grows with them
_INHERITED = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH")
_HINT = "the cloud lane stays closed for this text; look at the memory, or run `homebred doctor`"


def is_installed() -> bool:
    """Whether the extra `ner` is there; nothing of it is loaded."""
    return all(importlib.util.find_spec(name) is not None for name in ("spacy", MODEL))


class NerDetector:
    """`Detector` that asks the child; calls wait for each other, so keep them off the event loop."""

    entity_types = frozenset(TYPES.values())

    def __init__(
        self,
        *,
        command: Sequence[str] = _COMMAND,
        start_deadline_s: float = 30.0,
        deadline_s: float = 10.0,
        rest_s: float = 5.0,
        failed: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Starts nothing yet.

        Args:
            command: speaks the protocol of `ner_child` on its standard input.
            start_deadline_s: for the first piece of text, which waits for the model.
            deadline_s: for each piece after it.
            rest_s: after a failure, until the next child is started; a text that comes earlier is not searched.
            failed: hears of each failure by the name of its error; from the thread that asked.
        """
        self._command = tuple(command)
        self._start_deadline_s = start_deadline_s
        self._deadline_s = deadline_s
        self._rest_s = rest_s
        self._failed = failed
        self._rests_until_s = -math.inf
        self._turn = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._peer: socket.socket | None = None

    @cached_property
    def digest(self) -> str:
        """`sha256:…` over the versions of the model and its library."""
        versions = " ".join(f"{name} {_version(name)}" for name in ("spacy", MODEL))
        return f"sha256:{hashlib.sha256(versions.encode()).hexdigest()}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def detect(self, text: str) -> tuple[Span, ...]:
        """Every entity found, by position.

        Raises:
            DetectionError: the child could not be started, died, took too long, answered nonsense, or did so just now.
        """
        with self._turn:
            if time.monotonic() < self._rests_until_s:
                raise DetectionError("the recognizer of names failed just now, and rests", hint=_HINT)
            return tuple(span for start, piece in _pieces(text) for span in self._asked(piece, start))

    def close(self) -> None:
        """Ends the child; harmless when there is none. The next text starts another."""
        with self._turn:
            self._end()

    def _asked(self, piece: str, offset: int) -> list[Span]:
        try:
            answer = self._answer(piece)
            return [
                Span(offset + start, offset + end, TYPES[label], _TIER)
                for start, end, label in json.loads(answer)
                if 0 <= start < end <= len(piece) and label in TYPES and not _is_label(piece[start:end])
            ]
        except (OSError, ValueError, TypeError) as error:  # each of them: no answer that could be trusted
            self._end()
            self._rests_until_s = time.monotonic() + self._rest_s
            self._failed(type(error).__name__)
            why = "took too long" if isinstance(error, TimeoutError) else "failed"
            raise DetectionError(f"the recognizer of names {why} ({type(error).__name__})", hint=_HINT) from None

    def _answer(self, piece: str) -> bytes:
        is_new = self._child is None
        peer = self._started()
        ends_s = time.monotonic() + (self._start_deadline_s if is_new else self._deadline_s)
        written = piece.encode(errors="replace")  # half a surrogate pair becomes one question mark
        peer.settimeout(max(0.001, ends_s - time.monotonic()))
        peer.sendall(len(written).to_bytes(FRAME_BYTES, "big") + written)
        length = int.from_bytes(_received(peer, FRAME_BYTES, ends_s), "big")
        if length > MAX_BYTES:
            raise ValueError("the answer is too long")
        return _received(peer, length, ends_s)

    def _started(self) -> socket.socket:
        if self._peer is not None:
            return self._peer
        ours, theirs = socket.socketpair()
        environment = {name: value for name, value in os.environ.items() if name in _INHERITED}
        with theirs:
            try:
                # Its own session: a Ctrl-C in a terminal is for whoever started this process. It has no say elsewhere.
                self._child = subprocess.Popen(  # noqa: S603 - our own module, by our own interpreter
                    self._command,
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env=environment | {"OMP_NUM_THREADS": "1"},
                    start_new_session=True,
                )
            except OSError:
                ours.close()
                raise
        self._peer = ours
        return ours

    def _end(self) -> None:
        if self._peer is not None:
            self._peer.close()
        if self._child is not None:
            self._child.kill()
            self._child.wait()
        self._peer = self._child = None


def _received(peer: socket.socket, length: int, ends_s: float) -> bytes:
    """Exactly so many bytes, before the deadline, however they trickle."""
    received = bytearray()
    while len(received) < length:
        left_s = ends_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        peer.settimeout(left_s)
        chunk = peer.recv(length - len(received))
        if not chunk:
            raise ConnectionError("it ended")
        received += chunk
    return bytes(received)


def _is_label(found: str) -> bool:
    """Codes and acronyms that the model takes for a name, with at most common words beside them: `Order 12345`."""
    lists = name_lists()
    words = found.lower().split()
    labels = [word for word in words if any(map(str.isdigit, word)) or word in lists.acronyms]
    return bool(labels) and all(word in labels or word in lists.words for word in words)


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """(Offset, piece), cut at a space where there is one; nothing of a text without a letter."""
    start = 0
    while start < len(text):
        end = min(len(text), start + _PIECE)
        if end < len(text):
            end = max(text.rfind(" ", start + 1, end), text.rfind("\n", start + 1, end)) + 1 or end
        if any(map(str.isalpha, text[start:end])):
            yield start, text[start:end]
        start = end


def _version(package: str) -> str:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(package)
    return "absent"
