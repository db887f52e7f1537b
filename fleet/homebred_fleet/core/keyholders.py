"""Who must sign what: holders of keys, how many of them it takes, who is still missing, how they change. Pure.

It knows neither keys nor signatures: a key is its id here, and the name that people know its holder by.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from homebred_fleet.errors import ConflictError, NotFoundError, RequestError

MAX_HOLDERS: Final = 16
"""Of one role: every device checks them all."""
NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,38}[a-z0-9])?")
MIN_ID_LETTERS: Final = 8
"""Of a key's id, where it is named by its beginning."""
COMPARED_LETTERS: Final = 20
"""Of a key's id, where people compare it with what they have on paper: 80 bits, which nobody makes another key for."""


class Purpose(StrEnum):
    """What a key is made for.

    The image repository and the director share no key: whoever holds the director's online key could else serve the
    director's next root, which the same keys signed, as the image repository's.
    """

    IMAGE = "image"
    """Offline: what may ever run."""
    DIRECTOR = "director"
    """Offline: who may say what runs now."""
    ONLINE = "online"
    """The controller's own: what runs now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Somebody with a key."""

    key_id: str
    """SHA-256 of the public key, hexadecimal."""
    name: str
    """What people call whoever has it; two keys may have one name."""

    @property
    def text(self) -> str:
        """For people: the name, and enough of the id to tell two keys apart."""
        return f"{self.name} ({self.key_id[:MIN_ID_LETTERS]})"

    @property
    def compared(self) -> str:
        """For people who decide by it: the name, and enough of the id that no other key could have it."""
        return f"{self.name} ({self.key_id[:COMPARED_LETTERS]})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quorum:
    """Who may sign, and how many of them must."""

    holders: tuple[Holder, ...]
    threshold: int

    def missing(self, signed: AbstractSet[str]) -> int:
        """How many signatures are missing, where these keys have signed."""
        return max(0, self.threshold - len(signed & {one.key_id for one in self.holders}))

    def waiting(self, signed: AbstractSet[str]) -> tuple[Holder, ...]:
        """Who could still sign; nobody, once there are enough."""
        return tuple(one for one in self.holders if one.key_id not in signed) if self.missing(signed) else ()


def quorum(role: str, holders: Iterable[Holder], threshold: int) -> Quorum:
    """Who must sign a role, checked.

    Raises:
        RequestError: nobody could ever sign it, somebody is there twice, or there are too many.
    """
    named = tuple(holders)
    if len({one.key_id for one in named}) != len(named):
        raise RequestError(f"a key is named twice for {role}", hint="name each key once")
    if len(named) > MAX_HOLDERS:
        raise RequestError(f"{len(named)} keys for {role} are more than {MAX_HOLDERS}", hint="name fewer")
    if not 1 <= threshold <= len(named):
        raise RequestError(
            f"{role} would have {len(named)} keys, and {threshold} of them would have to sign",
            hint="name as many keys as must sign, or another --threshold of at least 1",
        )
    return Quorum(holders=named, threshold=threshold)


def rotated(
    role: str, old: Quorum, *, add: Iterable[Holder] = (), drop: Iterable[str] = (), threshold: int | None = None
) -> Quorum:
    """Who must sign a role from now on: some more, others no longer; the threshold stays where none is given.

    Raises:
        RequestError: it changes nothing, or nobody could ever sign it.
        NotFoundError: somebody is to be dropped whom nobody knows.
        ConflictError: somebody is to be added who is there.
    """
    added = tuple(add)
    dropped = {named(word, old.holders).key_id for word in drop}
    for one in added:
        if one.key_id in {other.key_id for other in old.holders}:
            raise ConflictError(f"{one.text} signs {role} already", hint="see `homebred-fleet repository status`")
    if not added and not dropped and threshold in {None, old.threshold}:
        raise RequestError(f"nothing about {role} would change", hint="name --add, --drop or --threshold")
    kept = (one for one in old.holders if one.key_id not in dropped)
    return quorum(role, (*kept, *added), old.threshold if threshold is None else threshold)


def named(word: str, holders: Iterable[Holder]) -> Holder:
    """Whom a word means: a holder's name, or the beginning of a key's id.

    Raises:
        NotFoundError: nobody.
        RequestError: more than one.
    """
    known = {one.key_id: one for one in holders}.values()
    found = [one for one in known if one.name == word]
    if not found and len(word) >= MIN_ID_LETTERS:
        found = [one for one in known if one.key_id.startswith(word)]
    if not found:
        who = ", ".join(one.text for one in known) or "nobody"
        raise NotFoundError(f"no key here is called {word!r}: there are {who}", hint="name one of them")
    if len(found) > 1:
        who = ", ".join(one.key_id[:16] for one in found)
        raise RequestError(f"{word!r} means more than one key: {who}", hint="name it by the beginning of its id")
    return found[0]
