"""The data of server-sent events out of bytes, however these were split.

WHATWG HTML, 9.2.6 "Interpreting an event stream". Fields other than `data` are passed over: every provider repeats in
the data what `event` says, and nobody here resumes a stream by `id`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from homebred_daemon.ports.cloud import BrokenAnswerError

MAX_EVENT_BYTES = 1_048_576
"""Longest event, and so the longest line: what is held back at most."""
_LINE_END = re.compile(rb"\r\n|\n|\r(?!\Z)")  # a last CR may be half of a CRLF
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class EventParser:
    """One stream: `feed` what arrives. An event that no empty line ends is never given out."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._searched = 0
        """So much of it has no end of a line."""
        self._is_first_line = True
        self._data: list[str] = []
        self._data_bytes = 0

    def feed(self, chunk: bytes) -> Iterator[str]:
        """The events that are complete now. Raises BrokenAnswerError where one is too long or not UTF-8."""
        for line in self._lines(chunk):
            if line:
                self._field(line)
            elif self._data:
                yield "\n".join(self._data)
                self._data, self._data_bytes = [], 0
        self._require_room(len(self._held))

    def _lines(self, chunk: bytes) -> list[bytes]:
        self._held += chunk
        ends = [end.span() for end in _LINE_END.finditer(self._held, self._searched)]
        starts = [0, *(after for _, after in ends)]
        lines = [bytes(self._held[start:end]) for start, (end, _) in zip(starts, ends, strict=False)]
        del self._held[: starts[-1]]
        self._searched = max(len(self._held) - 1, 0)
        if lines and self._is_first_line:
            self._is_first_line = False
            lines[0] = lines[0].removeprefix(_BYTE_ORDER_MARK)
        return lines

    def _field(self, line: bytes) -> None:
        self._require_room(len(line))
        name, _, value = line.partition(b":")
        if name != b"data":
            return
        try:
            self._data.append(value.removeprefix(b" ").decode())
        except UnicodeDecodeError:
            raise BrokenAnswerError("a line of the answer is not UTF-8") from None
        self._data_bytes += len(line)

    def _require_room(self, more: int) -> None:
        if self._data_bytes + more > MAX_EVENT_BYTES:
            raise BrokenAnswerError(f"an event of the answer is longer than {MAX_EVENT_BYTES} bytes")
