"""The ledger's feed in SQLite, read beside its one writer: a connection of its own that only reads, a page at a time.

It holds no transaction between pages: a long one would keep the write-ahead log from being folded in. What of a row may
be told is the core's to say.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from homebred_daemon.adapters.store.database import BUSY_TIMEOUT_S, LEDGER
from homebred_daemon.adapters.store.rows import parsed
from homebred_daemon.adapters.store.statements import Statements
from homebred_daemon.core.decision import Fallback, Reason, Runtime
from homebred_daemon.core.feed import Extent, Writer, place_at, read_place, resumed
from homebred_daemon.core.link import Link
from homebred_daemon.core.telemetry import Ended, Route, Said
from homebred_daemon.errors import StateError
from homebred_daemon.ports.feed import FeedPage


class SqliteFeed:
    """Fulfils `ports.feed.Feed` on a ledger file that is there."""

    def __init__(self, path: Path) -> None:
        """Raises StateError."""
        self._path = path
        with self._errors():
            self._connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=rw",
                uri=True,
                timeout=BUSY_TIMEOUT_S,
                isolation_level=None,
                check_same_thread=False,
            )
            self._connection.execute("PRAGMA query_only = ON")
        self._connection.row_factory = sqlite3.Row
        self._sql = Statements(self._connection, LEDGER)

    def close(self) -> None:
        """Closes it."""
        self._connection.close()

    def end(self) -> str:
        """The cursor behind all that there is now."""
        with self._one_state():
            extent = self._extent()
        return place_at(extent.last, extent).text

    def read(self, cursor: str, *, limit: int) -> FeedPage:
        """What lies behind a cursor, `limit` entries at most."""
        with self._one_state():
            extent = self._extent()
            place = resumed(read_place(cursor), extent)
            rows = self._sql.rows("feed_after", position=place.position, limit=limit)
        is_last = len(rows) < limit
        reached = max(extent.last, place.position) if is_last else rows[-1]["position"]
        routes = [route for route in map(_route, rows) if route is not None]
        return FeedPage(
            routes=routes,
            cursor=(place_at(reached, extent) if reached > place.position else place).text,
            lost=reached - place.position - len(routes),
            is_last=is_last,
        )

    def registry(self, digest: str) -> bytes | None:
        """As the port says."""
        with self._errors():
            rows = self._sql.rows("document", digest=digest, kind="registry")
        return bytes(rows[0]["body"]) if rows else None

    def _extent(self) -> Extent:
        found = self._sql.one("feed_extent")
        writers = [Writer(id=row["id"], after=row["after_position"]) for row in self._sql.rows("writers")]
        return Extent(writers=writers, first=found["first"], last=found["last"])

    @contextmanager
    def _one_state(self) -> Iterator[None]:
        """Everything within sees the ledger as it is at one moment."""
        with self._errors():
            self._connection.execute("BEGIN")
            try:
                yield
            finally:
                self._connection.execute("ROLLBACK")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, ValueError) as error:
            raise StateError(
                f"the ledger {self._path} cannot be followed for the fleet: {error}",
                hint="run `homebred replay` to see whether it is sound; telemetry goes on once it can be read",
            ) from error


def _route(row: sqlite3.Row) -> Route | None:
    """What a row tells; None: it is not as this program writes it."""
    try:
        inputs = parsed(row["inputs"])
        return Route(
            route_id=row["route_id"],
            supersedes=row["supersedes"],
            runtime=Runtime(row["selected_runtime"]),
            stack=row["selected_model_or_stack"],
            local_reason=row["local_reason"],
            redaction_required=bool(row["redaction_required"]),
            evidence_required=bool(row["evidence_required"]),
            fallback=Fallback(row["fallback_target"]),
            created_at_utc=datetime.fromisoformat(row["route_created_at_utc"]),
            reason=Reason(row["reason_code"]),
            classes=tuple(parsed(row["classes"])),
            policy_digest=row["policy_digest"],
            workflow=inputs["task"]["workflow"],
            link=Link(inputs["link"]),
            ended=_ended(row),
            said=_said(row) if row["kind"] == "feedback" else None,
            registry_digest=inputs["registry_digest"],
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _ended(row: sqlite3.Row) -> Ended | None:
    if row["status"] is None:
        return None
    return Ended(
        at_utc=datetime.fromisoformat(row["ended_at_utc"]),
        status=row["status"],
        answered_by=row["answered_by"],
        findings=tuple(parsed(row["findings"])),
        prompt_tokens=row["prompt_tokens"],
        completion_tokens=row["completion_tokens"],
        first_token_ms=row["first_token_ms"],
        total_ms=row["total_ms"],
        confidence=row["confidence"],
        error_code=row["error_code"],
    )


def _said(row: sqlite3.Row) -> Said:
    return Said(
        at_utc=datetime.fromisoformat(row["said_at_utc"]),
        verdict=row["verdict"],
        has_correction=bool(row["has_correction"]),
    )
