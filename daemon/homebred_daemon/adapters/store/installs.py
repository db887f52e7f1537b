"""Installs of releases in SQLite, with every step: what was kept outlives a power cut.

It decides nothing. What may follow on a state is `core.deployment`'s; what serves is said by the model store.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from homebred_daemon.adapters.store.database import SqlFolder, connect, transaction
from homebred_daemon.adapters.store.reading import opened_read_only
from homebred_daemon.core.builds import Built
from homebred_daemon.core.compatibility import Refusal
from homebred_daemon.core.deployment import Event, Install, State, Tally
from homebred_daemon.core.pairs import Pairs, pairs_record, read_pairs
from homebred_daemon.core.releases import Release, read_release, release_record
from homebred_daemon.errors import StateError, UnwritableError
from homebred_daemon.ports.installs import Counted, Declined, Step
from homebred_protocol.documents.fields import DocumentError

INSTALLS = SqlFolder("installs_sql")
MOST_OUTCOMES = 2000
"""Of what answers, before the older half of them fades."""
KEPT_INSTALLS = 64
"""Of one specialist; the newest."""
KEPT_REFUSALS = 256
"""Of what became no install; the newest, and what the fleet has not heard of before all else."""
APART_S = 86_400
"""Between two refusals of the same for the same reason."""
TOLD_AT_ONCE = 32


class SqliteInstallStore:
    """Fulfils `ports.installs.InstallStore`. Not safe for two threads at once: its owner serialises calls."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """`read_only` changes nothing, whoever else has it open; the file must be there."""
        self._path = path
        self._queries = INSTALLS.queries()
        self._connection = self._read_only() if read_only else connect(path, INSTALLS, synchronous="FULL")

    def close(self) -> None:
        """Folds the write-ahead log into the file and closes it."""
        self._connection.close()

    def begin(self, release: Release, *, now_s: int, ends: Install | None = None, reason: str = "") -> Install:
        """As the port says; the oldest of its specialist are forgotten beyond the bound."""
        with self._writing():
            if ends is not None:
                self._step(ends.moved(Event.NEWER, now_s=now_s, reason=reason), Event.NEWER, {})
            cursor = self._connection.execute(
                self._queries["begin"],
                {
                    "specialist": release.id,
                    "number": release.number,
                    "digest": release.digest,
                    "release": json.dumps(release_record(release), sort_keys=True),
                    "state": State.DOWNLOADING.value,
                    "now_s": now_s,
                },
            )
            install = Install(
                seq=int(cursor.lastrowid or 0),
                release=release,
                state=State.DOWNLOADING,
                begun_at_s=now_s,
                changed_at_s=now_s,
            )
            self._record(install, None, {})
            for query in ("forget_steps", "forget"):
                self._run(query, specialist=release.id, kept=KEPT_INSTALLS)
        return install

    def move(
        self,
        install: Install,
        event: Event,
        *,
        now_s: int,
        refusal: Refusal | None = None,
        facts: Mapping[str, int],
        built: Built | None = None,
    ) -> Install:
        """As the port says."""
        code, reason = ("", "") if refusal is None else (refusal.code, refusal.sentence)
        moved = install.moved(event, now_s=now_s, code=code, reason=reason)
        moved = moved if built is None else replace(moved, built=built)
        with self._writing():
            if event is Event.ACTIVATED:
                for row in self._rows("in_probation", specialist=install.release.id, seq=install.seq):
                    told = f"release {install.release.number} took its place"
                    self._step(_install(row).moved(Event.NEWER, now_s=now_s, reason=told), Event.NEWER, {})
            self._step(moved, event, facts)
        return moved

    def hold(self, install: Install, refusal: Refusal, *, attempts: int) -> Install:
        """As the port says."""
        held = replace(install, attempts=attempts, code=refusal.code, reason=refusal.sentence)
        if held != install:
            with self._writing():
                self._run("hold", seq=held.seq, attempts=attempts, code=held.code, reason=held.reason)
        return held

    def compare(self, install: Install, pairs: Pairs) -> Install:
        """As the port says."""
        with self._writing():
            self._run("compare", seq=install.seq, pairs=json.dumps(pairs_record(pairs), sort_keys=True))
        return replace(install, pairs=pairs)

    def refer(self, install: Install, version: str, reference: Tally) -> Install:
        """As the port says."""
        with self._writing():
            self._run("refer", seq=install.seq, version=version, good=reference.good, seen=reference.seen)
        return replace(install, reference=reference)

    def find(self, seq: int) -> Install | None:
        """As the port says."""
        rows = self._rows("find", seq=seq)
        return self._read(rows[0]) if rows else None

    def unfinished(self) -> Sequence[Install]:
        """As the port says."""
        return [self._read(row) for row in self._rows("unfinished")]

    def history(self, specialist_id: str = "") -> Sequence[Install]:
        """As the port says."""
        return [self._read(row) for row in self._rows("history", specialist=specialist_id)]

    def steps(self, install: Install) -> Sequence[Step]:
        """As the port says."""
        return [_read_step(row) for row in self._rows("steps", install=install.seq)]

    def untold(self) -> Sequence[tuple[Install, Step]]:
        """As the port says; so many as are told at once."""
        steps = [_read_step(row) for row in self._rows("untold", limit=TOLD_AT_ONCE)]
        return [(install, step) for step in steps if (install := self.find(step.install)) is not None]

    def told(self, step: Step) -> None:
        """As the port says."""
        with self._writing():
            self._run("told", seq=step.seq)

    def decline(self, about: str, code: str, digest: str, *, now_s: int) -> None:
        """As the port says; the oldest are forgotten beyond the bound, what was told first."""
        with self._writing():
            self._run("decline", about=about, code=code, digest=digest, now_s=now_s, apart_s=APART_S)
            self._run("forget_refusals", kept=KEPT_REFUSALS)

    def declined(self) -> Sequence[Declined]:
        """As the port says."""
        return [_declined(row) for row in self._rows("declined")]

    def untold_declined(self) -> Sequence[Declined]:
        """As the port says; so many as are told at once."""
        return [_declined(row) for row in self._rows("untold_declined", limit=TOLD_AT_ONCE)]

    def told_declined(self, declined: Declined) -> None:
        """As the port says."""
        with self._writing():
            self._run("told_declined", seq=declined.seq)

    def counted_through(self) -> str:
        """As the port says."""
        rows = self._rows("through")
        return str(rows[0]["through"]) if rows else ""

    def count(self, counted: Sequence[Counted], *, through: str) -> None:
        """As the port says."""
        with self._writing():
            if self.counted_through() == through:
                return
            for each in counted:
                values = {
                    "specialist": each.specialist,
                    "version": each.version,
                    "good": each.tally.good,
                    "seen": each.tally.seen,
                }
                self._run("count", **values, most=MOST_OUTCOMES)
                self._run("count_on_probation", **values)
                self._run("forget_tallies", specialist=each.specialist, kept=KEPT_INSTALLS)
            self._run("keep_through", through=through)

    def tally(self, specialist_id: str, version: str) -> Tally:
        """As the port says."""
        rows = self._rows("tally", specialist=specialist_id, version=version)
        return Tally(good=rows[0]["good"], seen=rows[0]["seen"]) if rows else Tally()

    def _read_only(self) -> sqlite3.Connection:
        try:
            connection = opened_read_only(self._path)
            (version,) = connection.execute("PRAGMA user_version").fetchone()
        except sqlite3.Error as error:
            raise self._unreadable(error) from error
        if version != len(INSTALLS.migrations()):
            connection.close()
            raise StateError(
                f"{self._path} has version {version}; this program reads version {len(INSTALLS.migrations())}",
                hint="read it with the homebred that wrote it",
            )
        connection.row_factory = sqlite3.Row
        return connection

    def _step(self, moved: Install, event: Event, facts: Mapping[str, int]) -> None:
        self._run(
            "move",
            seq=moved.seq,
            state=moved.state.value,
            now_s=moved.changed_at_s,
            code=moved.code,
            reason=moved.reason,
            built=moved.built.digest,
            builder=moved.built.builder,
        )
        self._record(moved, event, facts)

    def _record(self, install: Install, event: Event | None, facts: Mapping[str, int]) -> None:
        self._run(
            "step",
            install=install.seq,
            at_s=install.changed_at_s,
            event="" if event is None else event.value,
            state=install.state.value,
            code=install.code,
            reason=install.reason,
            facts=json.dumps(dict(facts), sort_keys=True),
            built=install.built.digest,
        )

    def _read(self, row: sqlite3.Row) -> Install:
        try:
            return _install(row)
        except (ValueError, DocumentError) as error:
            raise self._unreadable(error) from error

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with transaction(self._connection):
                yield
        except sqlite3.Error as error:
            raise UnwritableError(
                f"what is being installed could not be kept in {self._path}: {error}",
                hint="free disk space; it is tried again by itself",
            ) from error

    def _run(self, query: str, /, **values: Any) -> None:
        self._connection.execute(self._queries[query], values)

    def _rows(self, query: str, /, **values: Any) -> list[sqlite3.Row]:
        try:
            return self._connection.execute(self._queries[query], values).fetchall()
        except sqlite3.Error as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> StateError:
        return StateError(
            f"what was installed cannot be read from {self._path}: {error}",
            hint="move the damaged file aside: what serves goes on serving, and what is wanted is installed anew",
        )


def _install(row: sqlite3.Row) -> Install:
    return Install(
        seq=row["seq"],
        release=read_release(json.loads(row["release"])),
        state=State(row["state"]),
        begun_at_s=row["begun_at_s"],
        changed_at_s=row["changed_at_s"],
        attempts=row["attempts"],
        code=row["code"],
        reason=row["reason"],
        built=Built(digest=row["built"], builder=row["builder"]),
        pairs=read_pairs(json.loads(row["pairs"])),
        counted=Tally(good=row["good"], seen=row["seen"]),
        reference=Tally(good=row["reference_good"], seen=row["reference_seen"]),
    )


def _read_step(row: sqlite3.Row) -> Step:
    return Step(
        seq=row["seq"],
        install=row["install"],
        at_s=row["at_s"],
        event=Event(row["event"]) if row["event"] else None,
        state=State(row["state"]),
        code=row["code"],
        reason=row["reason"],
        facts=json.loads(row["facts"]),
        built=row["built"],
    )


def _declined(row: sqlite3.Row) -> Declined:
    return Declined(seq=row["seq"], about=row["about"], code=row["code"], digest=row["digest"], at_s=row["at_s"])
