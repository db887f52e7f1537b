"""A file on its way into the staging folder, and what of it must be there after a fault.

Its frames are small, or a record of every write would be large; they are of no other kind than the real ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from unittest.mock import patch

from homebred_daemon.adapters import staging_folder
from homebred_daemon.adapters.staging_folder import StagedFile, StagingFolder
from homebred_daemon.core import transfer
from homebred_daemon.core.transfer import WantedFile

FRAME_BYTES, FRAMES = 1000, 11
BODY = Random(3).randbytes((FRAMES - 1) * FRAME_BYTES + 77)
FILE = WantedFile(
    path="model.gguf",
    length=len(BODY),
    digest=f"sha256:{hashlib.sha256(BODY).hexdigest()}",
    frames=tuple(
        hashlib.sha256(BODY[begin : begin + FRAME_BYTES]).hexdigest() for begin in range(0, len(BODY), FRAME_BYTES)
    ),
)
NAME = FILE.digest.removeprefix("sha256:")
JOURNAL = f"staging/{NAME}.frames"
LIVES = ((0, 1, 2, 5), (3, 4, 6), (7, 8, 9, 10))
"""Frames in the order in which they come, by the process that they come to; the second is killed."""
A_FLUSH = 2


@contextmanager
def small_frames() -> Iterator[None]:
    """Frames of a thousand bytes, two of which are flushed together."""
    with (
        patch.object(transfer, "FRAME_BYTES", FRAME_BYTES),
        patch.object(staging_folder, "FRAME_BYTES", FRAME_BYTES),
        patch.object(staging_folder, "FRAMES_A_FLUSH", A_FLUSH),
    ):
        yield


def act(root: Path, tell: Callable[[str], None]) -> None:
    with small_frames():
        for frames in LIVES:
            part = StagingFolder(root / "staging").open(FILE)
            for count, number in enumerate(frames, start=1):
                keep(part, number)
                tell(f"kept {number}")
                if count % A_FLUSH == 0:
                    tell(f"flushed {frames[count - 2]}")
                    tell(f"flushed {number}")
            if frames == LIVES[-1]:
                assert part.finish() is not None
                tell("finished")
            if frames != LIVES[1]:
                part.close()


def keep(part: StagedFile, number: int) -> None:
    body = BODY[number * FRAME_BYTES : (number + 1) * FRAME_BYTES]
    assert part.keep(number, memoryview(body))


def check(root: Path, told: tuple[str, ...], safe: tuple[str, ...]) -> None:
    """What was safe is held, what is held is as it should be, and the rest can be brought."""
    with small_frames():
        staging = StagingFolder(root / "staging")
        path = staging.whole(FILE)
        assert path is not None or "finished" not in told
        if path is None:
            part = staging.open(FILE)
            known = {number for number in range(FRAMES) if f"kept {number}" in safe or f"flushed {number}" in told}
            gone = known - part.held
            assert not gone, f"was safe and is gone: {gone}"
            written = (root / "staging" / f"{NAME}.part").read_bytes()
            for number in part.held:
                frame = written[number * FRAME_BYTES : (number + 1) * FRAME_BYTES]
                assert hashlib.sha256(frame).hexdigest() == FILE.frames[number], f"frame {number} is held, and is not"
            for number in set(range(FRAMES)) - part.held:
                keep(part, number)
            path = part.finish()
            part.close()
        assert path is not None
        assert path.read_bytes() == BODY
        staging.forget_all_but({FILE.digest})
        assert [each.name for each in path.parent.iterdir() if each.suffix != ".frames"] == [NAME]
