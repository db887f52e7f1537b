"""What one enrolment trusts, as files: two pinned roots, floors, and generations of verified metadata with a pointer.

    trust/kiosk-1.1796000000/                one enrolment's: which one counts says the identity in force
        pinned.json                          both roots, as they came when they were pinned
        floors.json                          versions, numbers, stop epoch, time: never falls (`core/trust_floors.py`)
        current                              the name of the generation that holds
        generations/000007/image/            root_history/2.root.json  timestamp.json  snapshot.json  targets.json  …
        generations/000007/director/

An enrolment's folder is written aside, flushed and renamed, and its identity is taken up after that: a kill or a power
cut leaves the old identity with what it trusted, or the new one with its roots. Of a look floors are on the disk first,
then a whole generation, then the pointer: it leaves the old trust or the new one, and floors of the new one at most,
which what is served now reaches again. A file that is damaged or gone is an error that says what to do. It is never
begun anew: that is what a thief wants.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from homebred_daemon.adapters.durable_files import (
    LEFTOVER_PREFIX,
    flush_folder,
    make_folder,
    replace_alone,
    write_flushed,
    writers_lock,
)
from homebred_daemon.core.trust_floors import Floors, RepositoryFloors, Taken
from homebred_daemon.errors import StateError
from homebred_daemon.ports.identity import Membership
from homebred_daemon.ports.trust import HeldRepository, HeldTrust, Roots
from homebred_protocol.digests import digest_of

FOLDER: Final = "trust"
SCHEMA: Final = 1
ENROL_AGAIN: Final = "have its floors and roots set anew by a technician: homebred enroll URL --replace"
NOT_PINNED: Final = "nothing: it is set up once the controller offers both repositories; docs/trust.md"
_PINNED, _FLOORS, _POINTER, _GENERATIONS, _LOCK = "pinned.json", "floors.json", "current", "generations", "lock"
_PARTS: Final = ("image", "director")
_NAME = re.compile(r"[0-9]{6,12}")
_FILE = re.compile(r"(?:root_history/[1-9][0-9]{0,15}\.root|[a-z0-9][a-z0-9-]{0,63})\.json")
_MAX_BYTES = 2 * 1024 * 1024
_MAX_FILES = 2048
_LOCK_WAIT_S = 10.0


class TrustFiles:
    """Fulfils `ports.trust.TrustMemory` and `ports.trust.RootPins` for one enrolment."""

    def __init__(self, state_dir: Path, membership: Membership) -> None:
        self._all = state_dir / FOLDER
        self._folder = self._all / membership.enrolment
        self._generations = self._folder / _GENERATIONS
        self._enrolled_at_s = membership.enrolled_at_s

    @property
    def folder(self) -> Path:
        """Of this enrolment; there only once roots are pinned."""
        return self._folder

    def pinned(self) -> Roots | None:
        """As the port says."""
        with self._in_our_words("read"):
            if not self._folder.exists():
                return None
            said = self._record(_PINNED)
            self._floors()
            return Roots(**{part: base64.b64decode(said[part]) for part in _PARTS})

    def pin(self, roots: Roots) -> None:
        """As the port says; floors begin with the time of the enrolment."""
        with self._in_our_words("written"), self._writing():
            before = self.pinned()
            if before is not None and before != roots:
                raise StateError(f"other roots than these are pinned in {self._folder}", hint=ENROL_AGAIN)
            if before is None:
                self._begin({part: _text(getattr(roots, part)) for part in _PARTS})

    def forget_others(self) -> None:
        """Removes what other enrolments trusted, once this one's identity is in force. Raises StateError."""
        with self._in_our_words("removed"), self._writing():
            for entry in self._all.iterdir():
                if entry.is_dir() and entry != self._folder:
                    shutil.rmtree(entry)

    def _begin(self, pinned: Mapping[str, str]) -> None:
        """The enrolment's folder aside, then under its name."""
        for leftover in self._all.glob(f"{LEFTOVER_PREFIX}*"):
            shutil.rmtree(leftover)
        aside = Path(tempfile.mkdtemp(prefix=LEFTOVER_PREFIX, dir=self._all))  # mode 0700
        floors = Floors(time_s=self._enrolled_at_s, enrolled_at_s=self._enrolled_at_s)
        contents: Mapping[str, Mapping[str, Any]] = {
            _PINNED: pinned,
            _FLOORS: _from_floors(floors, _digest(pinned)),  # no others' than these roots'
        }
        for name, content in contents.items():
            write_flushed(aside / name, _sealed(content))
            self._hand_over(aside / name)
        self._hand_over(aside)
        flush_folder(aside)
        aside.rename(self._folder)
        flush_folder(self._all)

    def held(self) -> HeldTrust:
        """As the port says."""
        with self._in_our_words("read"):
            name = self._pointed()
            while True:
                try:
                    return self._read_held(name)
                except (OSError, StateError):
                    before, name = name, self._pointed()
                    if name == before:  # else another process took up a newer one, and this one is gone
                        raise

    def _read_held(self, name: str) -> HeldTrust:
        if not self._folder.exists():
            raise StateError("no signed releases are set up on this device", hint=NOT_PINNED)
        pinned, floors = self._record(_PINNED), self._floors()
        image, director = (
            HeldRepository(pinned=base64.b64decode(pinned[part]), files=self._files(name, part)) for part in _PARTS
        )
        return HeldTrust(image=image, director=director, floors=floors)

    def keep(self, trust: HeldTrust, *, follows: HeldTrust) -> None:
        """As the port says; what holds already is not written again."""
        with self._in_our_words("written"), self._writing():
            held = self.held()
            if held != follows:
                raise StateError(
                    f"another program has changed what is trusted in {self._folder} since it was looked at",
                    hint="nothing: what that one found holds, and it is looked at anew",
                )
            if trust.floors != held.floors:
                self._write(_FLOORS, _from_floors(trust.floors, _digest(self._record(_PINNED))))
            if (dict(trust.image.files), dict(trust.director.files)) == (held.image.files, held.director.files):
                return
            make_folder(self._generations)
            name = f"{max(map(int, self._names()), default=0) + 1:06d}"
            self._write_generation(name, {"image": trust.image.files, "director": trust.director.files})
            replace_alone(self._folder / _POINTER, f"{name}\n".encode())
            self._hand_over(self._folder / _POINTER)
            self._remove_all_but(name)

    def _write_generation(self, name: str, parts: Mapping[str, Mapping[str, bytes]]) -> None:
        """The whole generation aside, then under its name."""
        aside = Path(tempfile.mkdtemp(prefix=LEFTOVER_PREFIX, dir=self._generations))  # mode 0700
        for part, files in parts.items():
            roots = aside / part / "root_history"
            roots.mkdir(parents=True)
            for file, body in files.items():
                if not _FILE.fullmatch(file):
                    raise StateError(f"{file[:80]!r} is no name of trusted metadata", hint="report it: it is a defect")
                write_flushed(aside / part / file, body)
                self._hand_over(aside / part / file)
            for folder in (roots, roots.parent):
                self._hand_over(folder)
                flush_folder(folder)
        self._hand_over(aside)
        flush_folder(aside)
        aside.rename(self._generations / name)
        flush_folder(self._generations)

    def _files(self, name: str, part: str) -> dict[str, bytes]:
        if not name:
            return {}
        folder = self._generations / name / part
        paths = [path for path in sorted(folder.rglob("*.json")) if path.is_file()]
        if not folder.is_dir() or len(paths) > _MAX_FILES:
            raise StateError(f"{folder} is not what a look at the repository wrote", hint=ENROL_AGAIN)
        return {path.relative_to(folder).as_posix(): _read(path) for path in paths}

    def _pointed(self) -> str:
        """The name of the generation that holds; empty: nothing was looked at since enrolment."""
        try:
            name = _read(self._folder / _POINTER).decode("ascii", errors="replace").strip()
        except FileNotFoundError:
            return ""
        if not _NAME.fullmatch(name) or not (self._generations / name).is_dir():
            raise StateError(f"{self._folder / _POINTER} names no generation of what is trusted", hint=ENROL_AGAIN)
        return name

    def _names(self) -> list[str]:
        return [entry.name for entry in self._generations.iterdir() if _NAME.fullmatch(entry.name)]

    def _remove_all_but(self, kept: str) -> None:
        if not self._generations.is_dir():
            return
        for entry in self._generations.iterdir():
            if entry.name != kept:
                shutil.rmtree(entry)

    def _floors(self) -> Floors:
        said = self._record(_FLOORS)
        try:
            if said.pop("pinned") != _digest(self._record(_PINNED)):
                raise self._damaged(_FLOORS)
            return _to_floors(said)
        except (KeyError, TypeError, AttributeError) as error:
            raise self._damaged(_FLOORS) from error

    def _record(self, name: str) -> dict[str, Any]:
        """A file's content, which carries its own digest: one flipped bit must not lower a floor."""
        try:
            said = json.loads(_read(self._folder / name))
            content: dict[str, Any] = said["content"]
            is_whole = said["schema"] == SCHEMA and said["digest"] == _digest(content)
        except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise self._damaged(name) from error
        if not is_whole:
            raise self._damaged(name)
        return content

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        replace_alone(self._folder / name, _sealed(content))
        self._hand_over(self._folder / name)

    def _damaged(self, name: str) -> StateError:
        return StateError(
            f"{self._folder / name} is damaged or gone: without it nobody knows what must not be taken again",
            hint=f"what runs goes on, and nothing new is taken; {ENROL_AGAIN}",
        )

    @contextmanager
    def _writing(self) -> Iterator[None]:
        make_folder(self._all)
        with writers_lock(self._all / _LOCK, wait_s=_LOCK_WAIT_S) as is_mine:
            if not is_mine:
                raise StateError(f"another program changes {self._all}", hint="wait for it, then try again")
            self._hand_over(self._all / _LOCK)
            yield

    def _hand_over(self, path: Path) -> None:
        """What root makes belongs to whoever owns the state folder: the daemon's own user must be able to use it."""
        if os.geteuid() == 0:
            owner = self._all.parent.stat()
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)

    @contextmanager
    def _in_our_words(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StateError(
                f"what this device trusts, in {self._folder}, could not be {what}: {error.strerror}",
                hint="run as the daemon's user, with room on the disk; what was trusted before still is",
            ) from error


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        body = file.read(_MAX_BYTES + 1)
    if len(body) > _MAX_BYTES:
        raise StateError(f"{path} is larger than {_MAX_BYTES} bytes", hint=ENROL_AGAIN)
    return body


def _sealed(content: Mapping[str, Any]) -> bytes:
    record = {"schema": SCHEMA, "content": content, "digest": _digest(content)}
    return json.dumps(record, indent=1, sort_keys=True).encode() + b"\n"


def _text(body: bytes) -> str:
    return base64.b64encode(body).decode()


def _digest(content: Mapping[str, Any]) -> str:
    return digest_of(json.dumps(content, sort_keys=True).encode())


def _from_floors(floors: Floors, pinned: str) -> dict[str, Any]:
    return asdict(floors) | {"pinned": pinned}


def _to_floors(said: dict[str, Any]) -> Floors:
    """Raises KeyError, TypeError, AttributeError where it is none; the digest has told that it was written here."""
    image, director = (RepositoryFloors(**said.pop(part)) for part in _PARTS)
    lines = {line: Taken(**taken) for line, taken in said.pop("lines").items()}
    return Floors(image=image, director=director, lines=lines, **said)
