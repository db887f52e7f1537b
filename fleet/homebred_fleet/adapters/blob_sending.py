"""Sends files to a controller by their digests, piece by piece, and goes on where an earlier try ended.

A link that breaks is tried again for a while; whoever gives up and comes back later sends what is still missing. What
the controller refuses is told as it said it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from homebred_fleet.adapters.plain_files import opened
from homebred_fleet.errors import ConflictError, ControllerUnreachableError, FleetError, RequestError

PIECE_BYTES: Final = 4 * 1024 * 1024
TRIES: Final = 6
"""In a row without a byte more on the other side."""
BEING_READ: Final = "being_read"
READ_WITHIN_S: Final = 3600.0
"""The controller reads a file to its end before it keeps it."""


class Asks(Protocol):
    """What of an admin's client is needed (`admin_client.AdminClient`)."""

    def get(self, *path: str) -> dict[str, Any]:
        """What there is at a path."""
        ...

    def send(self, method: str, *path: str, within_s: float) -> dict[str, Any]:
        """Has something done."""
        ...

    def upload(self, *path: str, body: bytes, offset: int, length: int) -> dict[str, Any]:
        """Sends bytes as they are."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What became of a file."""

    length: int
    bytes_sent: int
    """Less than its length where an earlier try had sent some."""


class BlobSending:
    """Sends below one path of the API."""

    def __init__(
        self,
        client: Asks,
        *path: str,
        pause: Callable[[float], None] = time.sleep,
        piece_bytes: int = PIECE_BYTES,
        mends: bool = False,
    ) -> None:
        """`pause` waits so many seconds between tries; `mends`: what is there already is read, and sent if damaged."""
        self._mends = mends
        self._client = client
        self._path = path
        self._pause = pause
        self._piece_bytes = piece_bytes

    def send(self, digest: str, length: int, source: Path | bytes, told: Callable[[int], None]) -> Sent:
        """Sends what the controller lacks of a file, or of some bytes, and has it kept.

        Args:
            digest: of all of it.
            length: of all of it, bytes.
            source: the file or the bytes.
            told: hears of every byte once it is there.

        Raises:
            FleetError: the controller refuses it, or does not answer.
            RequestError: the file cannot be read, or is shorter than it was.
        """
        failures, sent, highest, is_checked = 0, 0, 0, False
        while True:
            try:
                state = self._client.get(*self._path, digest)
                if self._mends and state["is_whole"] and not sent and not is_checked:
                    state = self._client.send("POST", *self._path, digest, "check", within_s=READ_WITHIN_S)
                    is_checked = True
                came = min(int(state["came"]), length)
                if came > highest:
                    told(came - highest)
                    failures, highest = 0, came
                if state["is_whole"]:
                    return Sent(length=length, bytes_sent=sent)
                sent += self._advance(digest, length, source, came)
            except (ControllerUnreachableError, ConflictError) as error:
                failures += error.code != BEING_READ
                if failures >= TRIES:
                    raise _given_up(error, digest) from error
                self._pause(2.0 ** max(0, failures - 1))

    def _advance(self, digest: str, length: int, source: Path | bytes, came: int) -> int:
        """Sends the next piece, or has what is all there kept; how many bytes were sent."""
        piece = _piece(source, came, min(self._piece_bytes, length - came))
        if piece or not length:
            answer = self._client.upload(*self._path, digest, body=piece, offset=came, length=length)
            if int(answer["came"]) <= came < length:
                raise ControllerUnreachableError("the controller keeps nothing of what it is sent")
        if came + len(piece) == length:
            self._client.send("POST", *self._path, digest, "whole", within_s=READ_WITHIN_S)
        return len(piece)


def _given_up(error: FleetError, digest: str) -> FleetError:
    """The same error; what came stays there for a week."""
    hint = f"{error.hint}; what came of {digest[:19]}… is kept: the same command goes on from there"
    return type(error)(error.message, hint=hint, code=error.code)


def _piece(source: Path | bytes, offset: int, length: int) -> bytes:
    if isinstance(source, bytes):
        return source[offset : offset + length]
    try:
        with opened(source) as plain:
            plain.seek(offset)
            piece = bytearray()
            while len(piece) < length and (more := plain.read(length - len(piece))):
                piece += more
    except OSError as error:
        raise RequestError(f"{source} cannot be read: {error.strerror}", hint="correct the path") from error
    if len(piece) < length:
        raise RequestError(f"{source} is shorter than it was", hint="wait until nothing writes to it, then try again")
    return bytes(piece)
