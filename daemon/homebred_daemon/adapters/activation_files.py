"""Which release of each specialist serves, on disk: one small file each, whole or not at all.

    serving/<id>.json           the activation record of the release that serves (I1); not there: what came by hand does
    serving/<id>@last.json      that of the release which a rollback goes back to

A rollback renames the second over the first, or removes the first: it needs no room on the disk. It judges nothing, and
the model store locks writers.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from homebred_daemon.adapters.durable_files import LEFTOVER_PREFIX, flush_folder, make_folder, replace_durably
from homebred_daemon.core.activation import (
    BY_HAND,
    Activation,
    InForce,
    activation_record,
    read_activation,
)
from homebred_daemon.errors import StateError
from homebred_protocol.documents.fields import DocumentError
from homebred_protocol.documents.specialist import is_specialist_id

_ENDING = ".json"
_LAST_ENDING = "@last.json"


class ActivationFiles:
    """The records below one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def ids(self) -> frozenset[str]:
        """Specialists that are served from a release, damaged records among them."""
        if not self._folder.is_dir():
            return frozenset()
        names = (path.name.removesuffix(_ENDING) for path in self._folder.glob(f"*{_ENDING}"))
        return frozenset(name for name in names if is_specialist_id(name))

    def number(self, specialist_id: str) -> int:
        """The release that serves; BY_HAND: none does. Raises StateError: the record is damaged."""
        current = self._read(specialist_id, _ENDING)
        return BY_HAND if current is None else current.number

    def in_force(self, specialist_id: str, *, has_by_hand: bool) -> InForce:
        """What serves and what a rollback goes back to; `has_by_hand`: an administrator put one in.

        Raises:
            StateError: a record is damaged.
        """
        by_hand = Activation(number=BY_HAND) if has_by_hand else None
        current = self._read(specialist_id, _ENDING)
        if current is None:
            return InForce(current=by_hand)
        last = self._read(specialist_id, _LAST_ENDING)
        if last is None or last.number == current.number:  # the power went between the two files of an activation
            return InForce(current=current, last_good=by_hand)
        return InForce(current=current, last_good=last)

    def built(self, specialist_id: str, number: int) -> str:
        """The one form of a release that may serve, as a record names it; empty: none does. Raises StateError."""
        records = (self._read(specialist_id, ending) for ending in (_ENDING, _LAST_ENDING))
        return next((each.built for each in records if each is not None and each.number == number), "")

    def activate(self, specialist_id: str, after: InForce) -> None:
        """Puts both in force: what to go back to first. Raises OSError."""
        make_folder(self._folder)
        self._remove_leftovers()
        last, current = after.last_good, after.current
        if last is not None and last.number != BY_HAND:
            self._write(specialist_id, _LAST_ENDING, last)
        else:
            self._unlink(specialist_id, _LAST_ENDING)
        if current is not None and current.number != BY_HAND:
            self._write(specialist_id, _ENDING, current)
        else:
            self._unlink(specialist_id, _ENDING)

    def settle(self, specialist_id: str, current: Activation) -> None:
        """Writes the current one's record anew. Raises OSError."""
        self._remove_leftovers()
        self._write(specialist_id, _ENDING, current)

    def move_back(self, specialist_id: str) -> None:
        """Has the last good one serve. Raises OSError, StateError."""
        current, last = self._read(specialist_id, _ENDING), self._read(specialist_id, _LAST_ENDING)
        if last is None or last == current:
            self._unlink(specialist_id, _ENDING)
        else:
            self._path(specialist_id, _LAST_ENDING).replace(self._path(specialist_id, _ENDING))
            flush_folder(self._folder)

    def _write(self, specialist_id: str, ending: str, activation: Activation) -> None:
        path = self._path(specialist_id, ending)
        body = (json.dumps(activation_record(activation), indent=2, sort_keys=True) + "\n").encode()
        if not path.exists() or path.read_bytes() != body:
            replace_durably(path, body, aside=self._folder)

    def _unlink(self, specialist_id: str, ending: str) -> None:
        with suppress(FileNotFoundError):
            self._path(specialist_id, ending).unlink()
            flush_folder(self._folder)

    def _remove_leftovers(self) -> None:
        for path in self._folder.glob(f"{LEFTOVER_PREFIX}*"):
            path.unlink(missing_ok=True)

    def _read(self, specialist_id: str, ending: str) -> Activation | None:
        path = self._path(specialist_id, ending)
        try:
            return read_activation(json.loads(path.read_bytes()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError, DocumentError) as error:
            raise StateError(
                f"{path} cannot be read: {error}",
                hint="remove it: what an administrator put in serves then, and the fleet's release is installed anew",
            ) from None

    def _path(self, specialist_id: str, ending: str) -> Path:
        return self._folder / f"{specialist_id}{ending}"
