"""A staging folder in memory, under the contract of the real one; it survives whoever uses it, as a disk does."""

from __future__ import annotations

import hashlib
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path

from homebred_daemon.core.transfer import Room, WantedFile
from homebred_daemon.errors import TransferError, UnwritableError

PLENTY = 1 << 40


@dataclass
class MemoryStaging:
    """Fulfils `ports.transfer.Staging`."""

    frames: dict[str, dict[int, bytes]] = field(default_factory=dict)
    """By digest and number, of files that are not whole."""
    finished: dict[str, bytes] = field(default_factory=dict)
    free_bytes: int = PLENTY
    fails: int = 0
    """So many writes find no room."""
    damages: set[int] = field(default_factory=set)
    """Frames that are found damaged at the next finish."""
    looks: int = 0

    def whole(self, file: WantedFile) -> Path | None:
        return self._place(file) if file.digest in self.finished else None

    def held_bytes(self, file: WantedFile) -> int:
        if file.digest in self.finished:
            return file.length
        return sum(file.frame_length(number) for number in self.frames.get(file.digest, {}))

    def open(self, file: WantedFile) -> MemoryPart:
        return MemoryPart(self, file)

    def room(self) -> Room:
        self.looks += 1
        return Room(free_bytes=self.free_bytes, total_bytes=PLENTY)

    def forget(self, digests: AbstractSet[str]) -> None:
        self.forget_all_but((set(self.frames) | set(self.finished)) - digests)

    def forget_all_but(self, digests: AbstractSet[str]) -> None:
        for kept in (self.frames, self.finished):
            for digest in set(kept) - digests:
                del kept[digest]

    def _place(self, file: WantedFile) -> Path:
        return Path("/staging") / file.digest.removeprefix("sha256:")


class MemoryPart:
    """Fulfils `ports.transfer.PartialFile`."""

    def __init__(self, staging: MemoryStaging, file: WantedFile) -> None:
        self._staging = staging
        self._file = file
        self._frames = staging.frames.setdefault(file.digest, {})

    @property
    def held(self) -> AbstractSet[int]:
        return self._frames.keys()

    def keep(self, number: int, body: memoryview) -> bool:
        if hashlib.sha256(body).hexdigest() != self._file.frames[number]:
            return False
        if self._staging.fails:
            self._staging.fails -= 1
            raise UnwritableError("there is no room", hint="free some")
        self._frames[number] = bytes(body)
        return True

    def finish(self) -> Path | None:
        for number in self._staging.damages & self._frames.keys():
            del self._frames[number]
        self._staging.damages.clear()
        if len(self._frames) < len(self._file.frames):
            return None
        body = b"".join(self._frames[number] for number in sorted(self._frames))
        if f"sha256:{hashlib.sha256(body).hexdigest()}" != self._file.digest:
            self._frames.clear()
            raise TransferError("the frames are right and the whole is not", hint="build it again")
        self._staging.finished[self._file.digest] = body
        del self._staging.frames[self._file.digest]
        return self._staging.whole(self._file)

    def close(self) -> None:
        pass
