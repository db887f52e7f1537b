"""Opens a device's outbox, whatever happened to its file: a damaged one is set aside, and what was in it is counted.

The number of the start is kept beside the file too: were it counted from 1 again, a controller would take this device's
presence for an old one's. So is the device's name: what waits under one is not told under another, whose controller
would miss the batches before. What a damaged file still says of itself is used; where it says nothing, one event stands
for all that was in it, since a gap of none would be no gap.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from homebred_daemon.adapters.durable_files import flush_folder, replace_alone
from homebred_daemon.adapters.store.database import OUTBOX, connect
from homebred_daemon.adapters.store.outbox import SqliteOutbox, is_damage
from homebred_daemon.core.feed import START, read_place
from homebred_daemon.core.outbox import Loss, Quota
from homebred_daemon.errors import StateError, UnwritableError
from homebred_protocol.topics import STREAMS

NAME = "outbox.sqlite"
ASIDE = "outbox.damaged.sqlite"
"""The damaged file; a later one takes its place."""
NEW = "outbox.new.sqlite"
MARK = "outbox.json"
AT_LEAST_ONE = {"route": 1}
"""What was lost with a file that says nothing of it."""
_MOST = 2**53
"""No number in a file that is read with distrust is larger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedOutbox:
    """An outbox, and what had become of it."""

    outbox: SqliteOutbox
    set_aside: int = 0
    """Events counted as lost with a damaged or missing file; 0: it was sound, or the first."""
    forgotten: int = 0
    """Events that waited under another name of the device, and are gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Salvaged:
    """What a damaged file still says of itself."""

    boot_number: int = 0
    cursor: str = ""
    events: Mapping[str, int] = field(default_factory=dict)
    """By stream, those that wait; those of sent batches may have arrived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mark:
    """What is known beside the file."""

    boot: int = 0
    """The newest start that was counted; 0: none, or nobody knows."""
    device: str = ""
    """Whose outbox it is."""
    enrolled_at_s: int = 0
    """When that device was enrolled."""


def open_outbox(
    folder: Path,
    *,
    boot_id: str,
    quota: Quota,
    now_s: Callable[[], float],
    device: str = "",
    enrolled_at_s: int = 0,
) -> OpenedOutbox:
    """The outbox in a folder, with this start registered.

    Args:
        folder: where it is.
        boot_id: random, of this start.
        quota: what it may hold.
        now_s: Unix seconds.
        device: the name that the fleet knows this device by; empty: as before.
        enrolled_at_s: when it was enrolled; what ended before and was not noted then is not told; 0: as before.

    Raises:
        StateError: its file cannot be had, though it is not damaged; try again later.
    """
    path, new, mark = folder / NAME, folder / NEW, _mark(folder / MARK)
    forgotten = 0
    if mark.device and device and mark.device != device:
        forgotten = sum(_salvaged(path).events.values()) if path.exists() else 0
        forget_outbox(folder)
        mark = _Mark()
    if new.exists() and not path.exists():  # a kill came between setting the old one aside and this
        new.replace(path)
    salvaged = _salvaged(path) if _is_damaged(path) else None
    if mark.boot and not path.exists():
        salvaged = _Salvaged(events=AT_LEAST_ONE)
    if salvaged is not None:
        salvaged = salvaged if salvaged.events else replace(salvaged, events=AT_LEAST_ONE)
        _begin(new, salvaged, Quota(max_events=1, max_bytes=1), now_s, after_boot=max(mark.boot, salvaged.boot_number))
        _take_its_place(new, path)
    outbox = SqliteOutbox(path, boot_id=boot_id, quota=quota, now_s=now_s, after_boot=mark.boot)
    try:
        if enrolled_at_s and mark.enrolled_at_s not in {0, enrolled_at_s}:
            outbox.append([], cursor=START)
        owner = replace(mark, device=device or mark.device, enrolled_at_s=enrolled_at_s or mark.enrolled_at_s)
        _write_mark(folder / MARK, replace(owner, boot=outbox.boot_number))
    except BaseException:
        outbox.close()
        raise
    set_aside = sum(salvaged.events.values()) if salvaged is not None else 0
    return OpenedOutbox(outbox=outbox, set_aside=set_aside, forgotten=forgotten)


def forget_outbox(folder: Path) -> None:
    """Removes all of it: the device belongs to no fleet any more, or to another. Raises StateError."""
    try:
        for name in (NAME, NEW, ASIDE):
            _remove(folder / name)
        (folder / MARK).unlink(missing_ok=True)
        flush_folder(folder)
    except OSError as error:
        raise UnwritableError(
            f"the outbox in {folder} could not be removed: {error.strerror}",
            hint=f"remove the files {NAME}* there by hand",
        ) from error


def _begin(new: Path, salvaged: _Salvaged, quota: Quota, now_s: Callable[[], float], *, after_boot: int) -> None:
    """Makes an outbox that holds nothing but the count of what was lost; its start is one that nobody hears of."""
    _remove(new)
    outbox = SqliteOutbox(new, boot_id=secrets.token_hex(16), quota=quota, now_s=now_s, after_boot=after_boot)
    with closing(outbox):
        outbox.append([], cursor=salvaged.cursor)
        for stream, events in salvaged.events.items():
            outbox.count_lost(stream, events, Loss.DAMAGED)


def _is_damaged(path: Path) -> bool:
    if not path.exists():
        return False
    try:
        with closing(connect(path, OUTBOX, synchronous="FULL")) as connection:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except StateError as error:
        if not is_damage(error.__cause__):
            raise
        return True
    except sqlite3.Error as error:
        if not is_damage(error):
            raise UnwritableError(f"the outbox {path} cannot be read: {error}") from error
        return True
    return bool(found != "ok")


def _salvaged(path: Path) -> _Salvaged:
    """Each part by itself: where one cannot be read, another may."""
    found = _Salvaged()
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as damaged:
        boot = _number(damaged, "SELECT max(number) FROM boots")
        cursor = _cursor(damaged)
        events: dict[str, int] = {}
        for rank, stream in enumerate(STREAMS, start=1):
            waiting = sum(
                _number(damaged, f"SELECT {what} FROM {table} WHERE stream = {rank}")  # noqa: S608 - our own words
                for what, table in (("count(*)", "events"), ("sum(events)", "batches"), ("sum(events)", "gaps"))
            )
            if waiting:
                events[stream] = waiting
        found = _Salvaged(boot_number=boot, cursor=cursor, events=events)
    return found


def _cursor(connection: sqlite3.Connection) -> str:
    with suppress(sqlite3.Error, TypeError, ValueError):
        (cursor,) = connection.execute("SELECT cursor FROM standing").fetchone()
        return read_place(str(cursor)).text
    return START


def _number(connection: sqlite3.Connection, query: str) -> int:
    with suppress(sqlite3.Error):
        (value,) = connection.execute(query).fetchone()
        return value if isinstance(value, int) and 0 <= value < _MOST else 0
    return 0


def _take_its_place(new: Path, path: Path) -> None:
    try:
        if path.exists():
            for ending in ("-wal", "-shm"):
                path.with_name(path.name + ending).unlink(missing_ok=True)
            path.replace(path.with_name(ASIDE))
        new.replace(path)
        flush_folder(path.parent)
    except OSError as error:
        raise UnwritableError(
            f"the damaged outbox {path} could not be set aside: {error.strerror}",
            hint="move it away by hand, then restart the daemon",
        ) from error


def _remove(path: Path) -> None:
    for ending in ("", "-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


def _mark(path: Path) -> _Mark:
    try:
        found = json.loads(path.read_bytes())
        boot, device, enrolled_at_s = found["boot"], found["device"], found["enrolled_at_s"]
    except (OSError, ValueError, LookupError, TypeError):
        return _Mark()
    if not all(isinstance(each, int) and 0 <= each < _MOST for each in (boot, enrolled_at_s)):
        return _Mark()
    return _Mark(boot=boot, device=str(device), enrolled_at_s=enrolled_at_s)


def _write_mark(path: Path, mark: _Mark) -> None:
    try:
        replace_alone(path, json.dumps(asdict(mark)).encode())
    except OSError as error:
        raise UnwritableError(
            f"the number of this start could not be written to {path}: {error.strerror}",
            hint="free disk space; the daemon goes on without the fleet until it is restarted",
        ) from error
