"""The review queue at work under a recorder: filed, claimed, answered, declined, expired, erased.

Every acknowledged transition is there after any fault, none happens twice, and what was shredded stays shredded.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

from tests.support.review_items import HOUR_S, TERMS, after_s, review_item

from homebred_daemon.adapters.sealing import OWN_KEY, device_key
from homebred_daemon.adapters.store.review import SqliteReviewStore
from homebred_daemon.core.review import Act, State, claimed, passed, resolved
from homebred_daemon.errors import ConflictError
from homebred_daemon.ports.review import Bounds, Sealed

QUEUE = "review.sqlite"
ROOM = Bounds(max_open=20, max_bytes=1_000_000)
FILED = ("r1", "r2", "r3", "r4", "r5")
LATECOMER = "r6"
"""Filed after the log was emptied once: its content is in the log when its time comes."""
LEASE_S, LATER_S, MUCH_LATER_S = 600.0, 11 * HOUR_S, 40 * HOUR_S
_ENDS = {Act.ANSWER: State.ANSWERED, Act.DECLINE: State.DECLINED}


def sealed(route_id: str) -> Sealed:
    """Content that can be told apart on a disk, over several pages."""
    return Sealed(data_key=f"<key of {route_id}>".encode() * 4, content=f"<content of {route_id}>".encode() * 500)


def act(root: Path, tell: Callable[[str], None]) -> None:
    """Files five, answers one, declines one, lets a third's lease lapse; then all comes to its end."""
    device_key(None, root, {})
    tell("key")
    with closing(SqliteReviewStore(root / QUEUE)) as store:
        for number, route_id in enumerate(FILED):
            store.file(review_item(route_id, filed_s=number), sealed(route_id), ROOM)
            tell(f"filed {route_id}")
        for route_id in FILED[:3]:
            _claim(store, route_id)
            tell(f"claimed {route_id}")
        for route_id, ending in (("r1", Act.ANSWER), ("r2", Act.DECLINE)):
            _resolve(store, route_id, ending)
            tell(f"{_ENDS[ending]} {route_id}")
        for at_s in (LEASE_S + 60, LATER_S, MUCH_LATER_S):
            _settle(store, at_s)
            tell(f"settled {at_s:.0f}")
            if at_s < LATER_S:
                store.file(review_item(LATECOMER, filed_s=at_s), sealed(LATECOMER), ROOM)
                tell(f"filed {LATECOMER}")


def _settle(store: SqliteReviewStore, at_s: float) -> None:
    now = after_s(at_s)
    store.settle(now, partial(passed, keep_s=TERMS.retention_s, now=now), max_ended=10, limit=100)


def _claim(store: SqliteReviewStore, route_id: str) -> None:
    rule = partial(claimed, by="uid:9", claim_id=f"c-{route_id}", lease_s=LEASE_S, now=after_s(10))
    store.change(route_id, rule)


def _resolve(store: SqliteReviewStore, route_id: str, ending: Act, mark: str = "m") -> None:
    keep_s = TERMS.retention_s
    rule = partial(resolved, act=ending, claim_id=f"c-{route_id}", mark=mark, keep_s=keep_s, now=after_s(20))
    store.change(route_id, rule, resolution=b"<resolution>")


def check(root: Path, told: tuple[str, ...]) -> None:
    """Opens the queue and holds it against what was acknowledged."""
    if "key" in told:
        assert (root / OWN_KEY).exists(), "the key was made, and content may be sealed under it"
    device_key(None, root, {})
    done = set(told)
    _check_shredded(root, done)
    with closing(SqliteReviewStore(root / QUEUE)) as store:
        _settle(store, 0.0)  # as the daemon does before all else
        states = {route_id: _state(store, route_id) for route_id in (*FILED, LATECOMER)}
        acknowledged = {route_id for route_id in states if f"filed {route_id}" in done}
        _assert_gone(root, {route_id for route_id in acknowledged if states[route_id] in {"", "expired"}})
        for route_id in FILED:
            _check_item(store, route_id, states[route_id], done)
        filed = [route_id for route_id in FILED if states[route_id] != ""]
        settled = [step for step in done if step.startswith("settled")]
        assert settled or filed == list(FILED[: len(filed)]), f"a hole in what was filed: {states}"
        counts = store.counts()
        held = [state for state in states.values() if state]
        assert counts.waiting + counts.claimed == sum(state in {"waiting", "claimed"} for state in held)
        _check_resolved_once(store, states)
        store.file(review_item("after", filed_s=1), sealed("after"), ROOM)
        assert store.item("after") is not None
    _check_shredded(root, done)


def _state(store: SqliteReviewStore, route_id: str) -> str:
    item = store.item(route_id)
    if item is None:
        return ""
    if item.is_open:
        kept = store.sealed(route_id)
        assert kept is not None, f"{route_id} is open, and its content is gone"
        assert (kept.data_key, kept.content) == (sealed(route_id).data_key, sealed(route_id).content)
    return item.state.value


def _check_item(store: SqliteReviewStore, route_id: str, state: str, done: set[str]) -> None:
    is_settled = any(step.startswith("settled") for step in done)
    if f"filed {route_id}" in done and not is_settled:
        assert state, f"{route_id} was filed and is gone"
    if f"settled {LATER_S:.0f}" in done and route_id in FILED[2:]:
        assert state in {"", "expired"}, f"{route_id} was shredded and is {state}"
    for ending in _ENDS.values():
        if f"{ending} {route_id}" in done and not is_settled:
            assert state == ending, f"{route_id} was {ending} and is {state}"
            kept = store.sealed(route_id)
            assert kept is not None
            assert kept.resolution == b"<resolution>"
    if f"claimed {route_id}" in done and not is_settled:
        assert state in {"claimed", "answered", "declined", "waiting"}, f"{route_id} was claimed and is {state}"


def _check_resolved_once(store: SqliteReviewStore, states: dict[str, str]) -> None:
    for route_id, ending in (("r1", Act.ANSWER), ("r2", Act.DECLINE)):
        if states[route_id] == _ENDS[ending]:
            _resolve(store, route_id, ending)  # the same again is taken as it was
            try:
                _resolve(store, route_id, ending, mark="another")
            except ConflictError:
                continue
            raise AssertionError(f"{route_id} was resolved twice")


def _check_shredded(root: Path, done: set[str]) -> None:
    """What the store said is gone from every file is in none, whatever the power took."""
    expired = (*FILED[2:], LATECOMER) if f"settled {LATER_S:.0f}" in done else ()
    erased = (*FILED, LATECOMER) if f"settled {MUCH_LATER_S:.0f}" in done else ()
    _assert_gone(root, {*expired, *erased})


def _assert_gone(root: Path, route_ids: set[str]) -> None:
    bodies = b"".join(path.read_bytes() for path in root.iterdir() if path.is_file())
    for route_id in route_ids:
        assert f"<key of {route_id}>".encode() not in bodies, f"the key of {route_id} is on the disk again"
