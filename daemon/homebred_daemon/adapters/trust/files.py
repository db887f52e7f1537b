"""What is trusted, as files: two pinned roots, floors, and generations of verified metadata with a pointer to one.

    trust/pinned.json                 both roots, as they came at enrolment
    trust/floors.json                 versions, numbers, stop epoch, time: never falls (`core/trust_floors.py`)
    trust/current                     the name of the generation that holds
    trust/generations/000007/image/   root_history/2.root.json  timestamp.json  snapshot.json  targets.json  …
    trust/generations/000007/director/

Floors are on the disk first, then a whole generation, then the pointer, each flushed with its folder: a kill or a power
cut leaves the old trust or the new one, and floors of the new one at most, which what is served now reaches again. A
file that is damaged or gone is an error that says what to do. It is never begun anew: that is what a thief wants.
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
from homebred_daemon.ports.trust import HeldRepository, HeldTrust
from homebred_protocol.digests import digest_of

FOLDER: Final = "trust"
SCHEMA: Final = 1
ENROL_AGAIN: Final = "have its floors and roots set anew by a technician: homebred enroll URL --replace"
_PINNED, _FLOORS, _POINTER, _GENERATIONS, _LOCK = "pinned.json", "floors.json", "current", "generations", "lock"
_PARTS: Final = ("image", "director")
_NAME = re.compile(r"[0-9]{6,12}")
_FILE = re.compile(r"(?:root_history/[1-9][0-9]{0,15}\.root|[a-z0-9][a-z0-9-]{0,63})\.json")
_MAX_BYTES = 2 * 1024 * 1024
_MAX_FILES = 2048
_LOCK_WAIT_S = 10.0


class TrustFiles:
    """Fulfils `ports.trust.TrustMemory`."""

    def __init__(self, state_dir: Path) -> None:
        self._folder = state_dir / FOLDER
        self._generations = self._folder / _GENERATIONS

    def pin(self, image_root: bytes, director_root: bytes, *, enrolled_at_s: int, replaces: bool = False) -> None:
        """Takes up both roots as they came at enrolment; all that was trusted before is forgotten with `replaces`.

        The same roots once more change nothing: floors stay.

        Raises:
            StateError: other roots are pinned, or they cannot be kept.
        """
        with self._in_our_words("written"), self._writing():
            pinned = {"image": _text(image_root), "director": _text(director_root)}
            if (self._folder / _PINNED).exists() and not replaces:
                if self._record(_PINNED) != pinned:
                    raise StateError(f"other roots than these are pinned in {self._folder}", hint=ENROL_AGAIN)
                self._floors()
                return
            (self._folder / _POINTER).unlink(missing_ok=True)
            flush_folder(self._folder)
            floors = Floors(time_s=enrolled_at_s, enrolled_at_s=enrolled_at_s)
            self._write(_FLOORS, _from_floors(floors, _digest(pinned)))  # no others' than these roots' from here on
            self._write(_PINNED, pinned)
            self._remove_all_but("")

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
                raise StateError(f"an enrolment in {self._folder} was interrupted", hint=ENROL_AGAIN)
            return _to_floors(said)
        except (KeyError, TypeError, AttributeError) as error:
            raise self._damaged(_FLOORS) from error

    def _record(self, name: str) -> dict[str, Any]:
        """A file's content, which carries its own digest: one flipped bit must not lower a floor."""
        try:
            said = json.loads(_read(self._folder / name))
            content: dict[str, Any] = said["content"]
            is_whole = said["schema"] == SCHEMA and said["digest"] == _digest(content)
        except FileNotFoundError as error:
            if name == _PINNED:
                raise StateError("no signed releases are set up on this device", hint=ENROL_AGAIN) from error
            raise self._damaged(name) from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise self._damaged(name) from error
        if not is_whole:
            raise self._damaged(name)
        return content

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        record = {"schema": SCHEMA, "content": content, "digest": _digest(content)}
        replace_alone(self._folder / name, json.dumps(record, indent=1, sort_keys=True).encode() + b"\n")
        self._hand_over(self._folder / name)

    def _damaged(self, name: str) -> StateError:
        return StateError(
            f"{self._folder / name} is damaged or gone: without it nobody knows what must not be taken again",
            hint=f"what runs goes on, and nothing new is taken; {ENROL_AGAIN}",
        )

    @contextmanager
    def _writing(self) -> Iterator[None]:
        make_folder(self._folder)
        with writers_lock(self._folder / _LOCK, wait_s=_LOCK_WAIT_S) as is_mine:
            if not is_mine:
                raise StateError(f"another program changes {self._folder}", hint="wait for it, then try again")
            self._hand_over(self._folder / _LOCK)
            yield

    def _hand_over(self, path: Path) -> None:
        """What root makes belongs to whoever owns the state folder: the daemon's own user must be able to use it."""
        if os.geteuid() == 0:
            owner = self._folder.parent.stat()
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
