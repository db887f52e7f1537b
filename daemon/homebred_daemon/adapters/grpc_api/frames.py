"""Follows the frames of one direction of an HTTP/2 connection as its bytes are relayed (RFC 9113, section 4.1).

It can put a frame of its own between two others, however the bytes are cut. It changes nothing else, does no I/O, and
looks only into the payloads that it is told to read: a message or a header field it never sees.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

CLIENT_PREFACE_BYTES: Final = 24
"""What a client sends before its first frame (section 3.4)."""
DATA, HEADERS, RST_STREAM, SETTINGS, WINDOW_UPDATE, CONTINUATION = 0x0, 0x1, 0x3, 0x4, 0x8, 0x9
END_STREAM, ACK, END_HEADERS = 0x1, 0x1, 0x4
MAX_READ_BYTES: Final = 16_384
"""Of a payload that is read: the longest that every endpoint takes (section 4.2); of a longer one nothing is read."""

_HEADER_BYTES: Final = 9
_NOTHING: Final = b""

Heard = Callable[[int, int, int, int, bytes], None]
"""Kind, flags, stream, length of the payload, and the payload itself where it is read."""


class Frames:
    """One direction of a connection."""

    def __init__(self, heard: Heard, *, read_kinds: Collection[int] = (), preface_bytes: int = 0) -> None:
        self._heard = heard
        self._read_kinds = frozenset(read_kinds)
        self._left = preface_bytes
        """Bytes until the present frame ends."""
        self._header = _NOTHING
        """The beginning of a frame's header, where the bytes were cut within it."""
        self._reading: tuple[int, int, int, int] | None = None
        self._payload = _NOTHING
        self._inside_block = False
        """Whether more of a header block must follow at once (section 4.3)."""
        self._insertion = _NOTHING

    def insert(self, frame: bytes) -> bytes:
        """What to send now; where another frame is half sent, this one follows it in what `relayed` returns."""
        if self._between_frames():
            return frame
        self._insertion += frame
        return _NOTHING

    def relayed(self, data: bytes) -> bytes:
        """Takes in what came, and returns what to send on: the same, with an insertion at its first chance."""
        at, size, insert_at = 0, len(data), -1
        while at < size:
            at = self._through(data, at) if self._left else self._into(data, at)
            if self._insertion and insert_at < 0 and self._between_frames():
                insert_at = at
        if insert_at < 0:
            return data
        insertion, self._insertion = self._insertion, _NOTHING
        return data[:insert_at] + insertion + data[insert_at:]

    def _between_frames(self) -> bool:
        return not (self._left or self._header or self._inside_block)

    def _into(self, data: bytes, at: int) -> int:
        """Reads a frame's header; where the bytes after it begin."""
        end = at + _HEADER_BYTES - len(self._header)
        header = self._header + data[at:end] if self._header else data[at:end]
        if len(header) < _HEADER_BYTES:
            self._header = header
            return len(data)
        self._header = _NOTHING
        length = header[0] << 16 | header[1] << 8 | header[2]
        kind, flags, stream = header[3], header[4], int.from_bytes(header[5:], "big") & 0x7FFF_FFFF
        if kind in (HEADERS, CONTINUATION):
            self._inside_block = not flags & END_HEADERS
        self._left = length
        if kind in self._read_kinds and 0 < length <= MAX_READ_BYTES:
            self._reading = (kind, flags, stream, length)
        else:
            self._heard(kind, flags, stream, length, _NOTHING)
        return end

    def _through(self, data: bytes, at: int) -> int:
        """Goes through a frame's payload; where the bytes after it begin."""
        end = min(at + self._left, len(data))
        self._left -= end - at
        if self._reading is not None:
            self._payload += data[at:end]
            if not self._left:
                (kind, flags, stream, length), payload = self._reading, self._payload
                self._reading, self._payload = None, _NOTHING
                self._heard(kind, flags, stream, length, payload)
        return end
