"""Keys of pseudonyms: one for each session of a caller's, kept in memory while the session is used, and nowhere else.

A task that names no session has a key of its own. Without its key a token leads back to nothing, so a session that was
forgotten just has other tokens from then on.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from homebred_daemon.core.pseudonyms import KEY_BYTES
from homebred_daemon.ports.clock import Clock

MAX_SESSIONS = 1024
"""The one that was used longest ago gives way."""
IDLE_S = 3600.0
"""A session is forgotten so long after its last task."""


def random_key() -> bytes:
    """Of the system's own randomness."""
    return secrets.token_bytes(KEY_BYTES)


@dataclass(slots=True)
class _Session:
    key: bytes
    used_at_s: float


class SessionKeys:
    """The sessions of this process. One event loop."""

    def __init__(self, clock: Clock, new_key: Callable[[], bytes] = random_key) -> None:
        self._clock = clock
        self._new_key = new_key
        self._sessions: OrderedDict[tuple[tuple[str, ...], str], _Session] = OrderedDict()

    def key(self, caller: tuple[str, ...], session_id: str) -> bytes:
        """The key of a caller's session; without a session, a new one. Callers do not share what they name alike."""
        if not session_id:
            return self._new_key()
        now_s, name = self._clock.monotonic_s(), (caller, session_id)
        self._forget_before(now_s - IDLE_S)
        session = self._sessions.pop(name, None) or _Session(self._new_key(), now_s)
        session.used_at_s = now_s
        self._sessions[name] = session
        if len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)
        return session.key

    def _forget_before(self, used_at_s: float) -> None:
        while self._sessions and next(iter(self._sessions.values())).used_at_s < used_at_s:
            self._sessions.popitem(last=False)
