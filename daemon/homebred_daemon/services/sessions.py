"""What belongs together: a key of pseudonyms, the classes met and the steps taken so far, by a caller's session.

Kept in memory while the session is used, and nowhere else. A task that names no session stands alone. A session that
was forgotten has other tokens from then on, and carries no class: a caller that labels every task loses nothing.
"""

from __future__ import annotations

import secrets
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from homebred_daemon.core.pseudonyms import KEY_BYTES
from homebred_daemon.errors import NotFoundError
from homebred_daemon.ports.clock import Clock

T = TypeVar("T")

MAX_SESSIONS = 1024
"""Of all callers; whoever has most of them loses the one used longest ago, and nobody else does."""
IDLE_S = 3600.0
"""A session is forgotten so long after its last task."""
MAX_ANSWERS = 16
"""Of a session, that its caller may still reject."""
MAX_TIMED = 32
"""Specialists of a session of which is known how long they took."""


def random_key() -> bytes:
    """Of the system's own randomness."""
    return secrets.token_bytes(KEY_BYTES)


@dataclass(slots=True)
class Steps:
    """What the steps of a tool loop have taken so far, and who answered the last of them."""

    calls: int = 0
    """Of engines."""
    took_s: OrderedDict[str, float] = field(default_factory=OrderedDict)
    """By specialist: how long its last call was."""
    _answered_by: OrderedDict[str, str] = field(default_factory=OrderedDict)

    def called(self, specialist_id: str, took_s: float) -> None:
        """An engine was asked."""
        self.calls += 1
        _keep(self.took_s, specialist_id, took_s, most=MAX_TIMED)

    def passed_by(self, specialist_id: str) -> None:
        """It was thought too slow to be asked: next time by half, so that one slow call does not bar it for good."""
        if specialist_id in self.took_s:
            self.took_s[specialist_id] /= 2

    def answered(self, route_id: str, specialist_id: str) -> None:
        """A caller has an answer."""
        _keep(self._answered_by, route_id, specialist_id, most=MAX_ANSWERS)

    def answered_by(self, route_id: str) -> str:
        """Who gave an answer. Raises NotFoundError where the session had none on that route, or many since."""
        if route_id not in self._answered_by:
            raise NotFoundError(
                f"no answer on the route {route_id} can be rejected in this session",
                hint=f"name the route_id of one of the last {MAX_ANSWERS} answers of the same session_id, as the user "
                "who got it; or leave `rejects` out",
            )
        return self._answered_by[route_id]


def _keep(table: OrderedDict[str, T], key: str, value: T, *, most: int) -> None:
    """Puts it last, and drops the first of more than `most`."""
    table[key] = value
    table.move_to_end(key)
    if len(table) > most:
        table.popitem(last=False)


@dataclass(slots=True)
class _Session:
    key: bytes
    used_at_s: float
    classes: frozenset[str] = frozenset()
    steps: Steps = field(default_factory=Steps)


class Sessions:
    """The sessions of this process. One event loop."""

    def __init__(self, clock: Clock, new_key: Callable[[], bytes] = random_key) -> None:
        self._clock = clock
        self._new_key = new_key
        self._sessions: OrderedDict[tuple[tuple[str, ...], str], _Session] = OrderedDict()

    def key(self, caller: tuple[str, ...], session_id: str) -> bytes:
        """The key of a caller's session; without a session, a new one. Callers do not share what they name alike."""
        return self._used(caller, session_id).key if session_id else self._new_key()

    def classes(self, caller: tuple[str, ...], session_id: str) -> frozenset[str]:
        """All classes that tasks of the session had so far."""
        return self._used(caller, session_id).classes if session_id else frozenset()

    def met(self, caller: tuple[str, ...], session_id: str, classes: frozenset[str]) -> None:
        """A task of the session has these classes: all that follow have them too."""
        if session_id:
            self._used(caller, session_id).classes |= classes

    def steps(self, caller: tuple[str, ...], session_id: str) -> Steps:
        """The steps of a caller's session; without a session, those of one task alone."""
        return self._used(caller, session_id).steps if session_id else Steps()

    def _used(self, caller: tuple[str, ...], session_id: str) -> _Session:
        now_s, name = self._clock.monotonic_s(), (caller, session_id)
        self._forget_before(now_s - IDLE_S)
        session = self._sessions.pop(name, None) or _Session(self._new_key(), now_s)
        session.used_at_s = now_s
        self._sessions[name] = session
        if len(self._sessions) > MAX_SESSIONS:
            self._make_room()
        return session

    def _make_room(self) -> None:
        """Forgets one. What another caller's sessions have met stays known, however many one caller names."""
        ((most, _),) = Counter(caller for caller, _ in self._sessions).most_common(1)
        del self._sessions[next(name for name in self._sessions if name[0] == most)]

    def _forget_before(self, used_at_s: float) -> None:
        while self._sessions and next(iter(self._sessions.values())).used_at_s < used_at_s:
            self._sessions.popitem(last=False)
