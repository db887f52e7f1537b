"""Files of releases for transfers: seeded bytes with their digests, and what describes them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from random import Random

from homebred_daemon.core.transfer import FRAME_BYTES, WantedFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """Bytes, and the file that they are."""

    body: bytes
    file: WantedFile


def described(body: bytes, path: str = "model.gguf") -> WantedFile:
    """What a manifest says of some bytes."""
    whole = memoryview(body)  # no copies: whoever forks a process gives it what its own heap has grown to
    frames = (whole[begin : begin + FRAME_BYTES] for begin in range(0, len(body), FRAME_BYTES))
    return WantedFile(
        path=path,
        length=len(body),
        digest=f"sha256:{hashlib.sha256(body).hexdigest()}",
        frames=tuple(hashlib.sha256(frame).hexdigest() for frame in frames),
    )


def made(length: int, *, seed: int = 7, path: str = "model.gguf") -> Made:
    """Some bytes."""
    random, made = Random(f"{seed} {length}"), bytearray()
    for begin in range(0, length, FRAME_BYTES):  # it gives less than 256 MiB at once
        made += random.randbytes(min(FRAME_BYTES, length - begin))
    body = bytes(made)
    return Made(body=body, file=described(body, path))
