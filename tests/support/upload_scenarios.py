"""Files coming to a controller piece by piece, and what must hold of its folder after any fault."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from homebred_daemon.errors import StateError
from homebred_fleet.adapters.blob_folder import BlobFolder
from homebred_fleet.adapters.blob_uploads import BlobUploads
from homebred_fleet.errors import FleetError, RequestError
from homebred_protocol.digests import digest_of

FOLDER = "blobs"
BODIES = tuple(bytes([number]) * 9000 for number in range(1, 4))


def uploads_in(root: Path) -> BlobUploads:
    return BlobUploads(BlobFolder(root / FOLDER), max_bytes=10**6, reserve_bytes=0, now_s=lambda: 0)


def send(into: BlobUploads, body: bytes, piece_bytes: int = 5000) -> None:
    """As a publisher does: on from where it ended, anew where other bytes came of it."""
    digest = digest_of(body)
    while not (came := into.came(digest)).is_whole:
        for begin in range(came.length, len(body), piece_bytes):
            into.append(digest, begin, body[begin : begin + piece_bytes], length=len(body))
            if begin + piece_bytes < len(body):
                into.settle(digest)
        try:
            into.finish(digest)
        except RequestError as error:
            if error.code != "other_bytes":
                raise


def act(root: Path, tell: Callable[[str], None]) -> None:
    """Three files, one after another."""
    try:
        into = uploads_in(root)
        for body in BODIES:
            send(into, body)
            tell(digest_of(body))
    except (FleetError, OSError) as error:
        raise StateError(str(error), hint="as it says") from error  # as the other stores say it


def check(root: Path, told: Sequence[str]) -> None:
    """What was kept is kept, nothing has other bytes than its name says, and all that is missing can still come."""
    blobs = BlobFolder(root / FOLDER)
    for path in (root / FOLDER).glob("??/*"):
        assert digest_of(path.read_bytes()) == f"sha256:{path.name}"
    for digest in told:
        assert blobs.read(digest) is not None, digest
    for body in BODIES:
        send(uploads_in(root), body)
        assert blobs.read(digest_of(body)) == body
    assert not [path for path in (root / FOLDER).iterdir() if path.name.startswith(".")]
