"""How far somebody has read a ledger's feed, and where to go on when the ledger has lost its newest rows.

A power cut may take rows that were read already, and others then get their positions. So every process that writes is
noted with the position that it began after; the note is on the disk with its first row, and with all before it. Nothing
is read here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

START = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """A process that wrote to the feed."""

    id: str
    """Random. The first one's names the file."""
    after: int
    """The last position before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """What a feed holds."""

    writers: Sequence[Writer]
    """Those that are remembered, in order; the first one always is."""
    first: int
    """The oldest position that is held; 0: none."""
    last: int
    """The newest position that was ever given in this file."""

    @property
    def file(self) -> str:
        """Which file it is; empty: nobody has written to it."""
        return self.writers[0].id if self.writers else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """How far a feed was read."""

    file: str = ""
    writer: str = ""
    """Of the row at the position."""
    position: int = 0

    @property
    def text(self) -> str:
        """As it is kept."""
        return f"{self.file}:{self.writer}:{self.position}"


def read_place(text: str) -> Place:
    """A place as it was kept; START: the beginning.

    Raises:
        ValueError: it is none.
    """
    if text == START:
        return Place()
    file, writer, position = text.split(":")
    return Place(file=file, writer=writer, position=int(position))


def place_at(position: int, extent: Extent) -> Place:
    """The place behind a row."""
    owner = next((writer for writer in reversed(extent.writers) if writer.after < position), None)
    found = owner or (extent.writers[0] if extent.writers else None)
    return Place(file=extent.file, writer=found.id if found is not None else "", position=position)


def resumed(place: Place, extent: Extent) -> Place:
    """Where to go on: behind what was read, or behind what is left of it.

    A ledger that took another's place is read from its beginning. In an older copy of the same ledger all was read.
    """
    if place.file != extent.file:
        return place_at(0, extent)
    ids = [writer.id for writer in extent.writers]
    if place.writer in ids:
        following = ids.index(place.writer) + 1
        ends = extent.writers[following].after if following < len(ids) else extent.last
        return Place(file=place.file, writer=place.writer, position=min(place.position, ends))
    was_dropped = place.position < extent.first
    return place_at(place.position if was_dropped else extent.last, extent)
