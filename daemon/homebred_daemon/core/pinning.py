"""Which root of a repository a device pins: the newest that its controller offers, or the one that a person has named.

The newest, since keys that were rotated away must not be believed by a device that comes later: whoever has found them
could sign another history from the first root on. Where a technician gives a root's digest, it is that root, however
old: it was compared by hand, and every later one is signed by the one before. It verifies no signature.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from typing_extensions import override

from homebred_daemon.core.trust import DIRECTOR, IMAGE
from homebred_protocol.digests import digest_of

MAX_OLDER: Final = 256
"""Roots that are looked through for a digest: as many as a look follows."""
MAX_VERSION: Final = 1_000_000
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RootName:
    """One root of a repository."""

    version: int
    digest: str
    """`sha256:…` of its file."""

    @override
    def __str__(self) -> str:
        return f"{self.version}, {self.digest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """The newest root of each repository, as a controller names them."""

    image: RootName
    director: RootName


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Digests of roots that a person has compared; empty: of this repository's nobody has."""

    image: str = ""
    director: str = ""

    def of(self, repository: str) -> str:
        """Of one repository's."""
        return {IMAGE: self.image, DIRECTOR: self.director}[repository]


NOTHING_COMPARED: Final = Compared()


def offer_of(answer: Mapping[str, Any]) -> Offer | None:
    """What a controller's answer to an enrolled device offers; None: it has not both repositories yet.

    Raises:
        ValueError: it cannot be read.
    """
    said = {about: answer.get(f"{about}_root") for about in (IMAGE, DIRECTOR)}
    if any(one is None for one in said.values()):
        return None
    return Offer(image=_name(said[IMAGE]), director=_name(said[DIRECTOR]))


def versions(newest: RootName, compared: str) -> Iterator[int]:
    """In which order roots are asked for: the newest alone, or all that may have the digest that was compared."""
    if not compared or compared == newest.digest:
        yield newest.version
        return
    yield from range(newest.version, max(0, newest.version - MAX_OLDER), -1)


def root_name(body: bytes) -> RootName:
    """What a root's file says that it is.

    Raises:
        ValueError: it is no root.
    """
    try:
        said = json.loads(body)["signed"]
        kind, version = said["_type"], said["version"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError("it is no signed metadata") from error
    if kind != "root" or type(version) is not int or not 0 < version <= MAX_VERSION:
        raise ValueError("it is no root")
    return RootName(version=version, digest=digest_of(body))


def _name(said: object) -> RootName:
    fields = said if isinstance(said, dict) else {}
    version, digest = fields.get("version"), fields.get("digest")
    if type(version) is not int or not 0 < version <= MAX_VERSION:
        raise ValueError("the version of a root")
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise ValueError("the digest of a root")
    return RootName(version=version, digest=digest)
