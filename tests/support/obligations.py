"""What callers heard of their tasks, held against what the device remembers of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.wire_client import DaemonClient

from homebred_daemon.adapters.store.ledger import SqliteLedger
from homebred_daemon.errors import HomebredError
from homebred_daemon.services.replaying import replay
from homebred_protocol.v1 import inference_pb2 as wire

STATUS_WORDS = {
    wire.OUTCOME_STATUS_ANSWER: "answer",
    wire.OUTCOME_STATUS_DEGRADED: "degraded",
    wire.OUTCOME_STATUS_REVIEW: "review",
    wire.OUTCOME_STATUS_ERROR: "error",
}


@dataclass(slots=True)
class Heard:
    """One task as its caller saw it."""

    routes: list[str] = field(default_factory=list)
    """Decisions, oldest first."""
    outcomes: list[str] = field(default_factory=list)
    deltas: int = 0
    error: str = ""
    """Code of the error that ended the call; empty: none."""
    hint: str = ""
    """What it says to do next."""

    @property
    def is_clear(self) -> bool:
        """Whether the caller knows what became of it: one outcome, or an error for people."""
        return len(self.outcomes) == 1 or (not self.outcomes and bool(self.error and self.hint))


def listen(client: DaemonClient, task: wire.Task, on_event: Callable[[str], object] = lambda _: None) -> Heard:
    """Sends a task and takes down what comes back; every error must be one for people."""
    heard = Heard()
    try:
        for event in client.generate(wire.GenerateRequest(task=task)):
            kind = event.WhichOneof("event") or ""
            match kind:
                case "decision":
                    heard.routes.append(event.decision.route_id)
                case "outcome":
                    heard.outcomes.append(STATUS_WORDS[event.outcome.status])
                case _:
                    heard.deltas += 1
            on_event(kind)
    except HomebredError as error:
        heard.error, heard.hint = error.code, error.hint
    return heard


def check_kept(ledger_path: Path, told: Iterable[Heard], *, may_be_unfinished: bool = False) -> int:
    """Whether the ledger has what callers heard, and is sound; how many decisions have no outcome.

    A start gives each decision the outcome that a fault took; until then it may lack one.

    Raises:
        AssertionError: something that a caller heard is gone, or became something else.
    """
    with closing(SqliteLedger(ledger_path, read_only=True)) as ledger:
        report = replay(ledger)
    assert report.is_sound, report
    assert not report.mismatches, report
    with closing(sqlite3.connect(f"file:{ledger_path}?mode=ro", uri=True)) as reader:
        decided = {route for (route,) in reader.execute("SELECT route_id FROM decisions")}
        outcomes = dict(reader.execute("SELECT route_id, status FROM outcomes"))
    queued = _queued(ledger_path.with_name("review.sqlite"))
    for heard in told:
        lost = [route for route in heard.routes if route not in decided]
        assert not lost, f"decisions that a caller saw are gone: {lost}"
        for status in heard.outcomes:
            if heard.routes:
                assert outcomes.get(heard.routes[-1]) == status, (
                    f"{heard}: the ledger says {outcomes.get(heard.routes[-1])}"
                )
        if heard.outcomes == ["review"]:
            assert heard.routes[-1] in queued, f"{heard}: nobody will ever see it"
    unfinished = decided - outcomes.keys()
    assert not unfinished or may_be_unfinished, f"nobody knows what became of {unfinished}"
    return len(unfinished)


def _queued(path: Path) -> set[str]:
    """Every task that went to a person and is not yet erased."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as reader:
        return {route for (route,) in reader.execute("SELECT route_id FROM items")}
