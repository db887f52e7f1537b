"""Follows the flow control of one HTTP/2 connection (RFC 9113, section 5.2): which answers a client leaves unread.

gRPC for Python cannot end a call whose write waits for the client to make room: neither its abort nor the end of its
handler does. RST_STREAM can. No I/O, no clock of its own; what is in the messages stays out of here.
"""

from __future__ import annotations

from typing import Final

from homebred_daemon.adapters.grpc_api import frames
from homebred_daemon.adapters.grpc_api.frames import Frames

CONNECTION: Final = 0
"""The stream id under which the window of the whole connection is kept."""
LEAST_ROOM_BYTES: Final = 1024
"""Whoever makes room for less has not begun to read again."""

_DEFAULT_WINDOW: Final = 65_535
_INITIAL_WINDOW_SIZE: Final = 0x4
_SETTING_BYTES: Final = 6
_CANCEL: Final = 0x8


class StreamWindows:
    """One connection: `from_client` and `from_server` take its bytes in and return what to send on."""

    def __init__(self) -> None:
        self.now_s = 0.0
        """Set before the bytes of that moment come."""
        self._initial = _DEFAULT_WINDOW
        self._credit: dict[int, int] = {CONNECTION: 0}
        """Room made beyond the initial window, less what was sent; for streams whose answer is under way."""
        self._shut_since_s: dict[int, float] = {}
        self._from_client = Frames(
            self._client_said,
            read_kinds=(frames.SETTINGS, frames.WINDOW_UPDATE),
            preface_bytes=frames.CLIENT_PREFACE_BYTES,
        )
        self._from_server = Frames(self._server_said)
        self.from_client = self._from_client.relayed
        self.from_server = self._from_server.relayed

    def shut_before(self, moment_s: float) -> list[int]:
        """The streams that had no room then and have got none since."""
        return [stream for stream, since_s in self._shut_since_s.items() if since_s <= moment_s]

    def reset(self, stream: int) -> tuple[bytes, bytes]:
        """Ends a stream on both sides: what to send at once to the client, and to the server."""
        self._forget(stream)
        frame = (4).to_bytes(3, "big") + bytes((frames.RST_STREAM, 0))
        frame += stream.to_bytes(4, "big") + _CANCEL.to_bytes(4, "big")
        return self._from_server.insert(frame), self._from_client.insert(frame)

    def _server_said(self, kind: int, flags: int, stream: int, length: int, _: bytes) -> None:
        if kind == frames.DATA:
            self._spend(CONNECTION, length, _DEFAULT_WINDOW)
            self._spend(stream, length, self._initial)
        if kind == frames.RST_STREAM or (kind in (frames.DATA, frames.HEADERS) and flags & frames.END_STREAM):
            self._forget(stream)

    def _client_said(self, kind: int, flags: int, stream: int, length: int, payload: bytes) -> None:
        del length
        if kind == frames.WINDOW_UPDATE and stream in self._credit:
            self._credit[stream] += int.from_bytes(payload, "big") & 0x7FFF_FFFF
            self._reopen(stream)
        elif kind == frames.SETTINGS and not flags & frames.ACK:
            for at in range(0, len(payload), _SETTING_BYTES):
                if int.from_bytes(payload[at : at + 2], "big") == _INITIAL_WINDOW_SIZE:
                    self._initial = int.from_bytes(payload[at + 2 : at + _SETTING_BYTES], "big")
            for shut in list(self._shut_since_s):
                self._reopen(shut)
        elif kind == frames.RST_STREAM:
            self._forget(stream)

    def _spend(self, stream: int, length: int, window: int) -> None:
        self._credit[stream] = credit = self._credit.get(stream, 0) - length
        if credit <= -window:
            self._shut_since_s.setdefault(stream, self.now_s)

    def _reopen(self, stream: int) -> None:
        window = _DEFAULT_WINDOW if stream == CONNECTION else self._initial
        if self._credit[stream] + window > LEAST_ROOM_BYTES:
            self._shut_since_s.pop(stream, None)

    def _forget(self, stream: int) -> None:
        if stream != CONNECTION:
            self._credit.pop(stream, None)
            self._shut_since_s.pop(stream, None)
