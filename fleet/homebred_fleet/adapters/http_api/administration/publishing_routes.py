"""/api/v1/releases/blobs and /api/v1/repositories: how what was built and signed elsewhere comes to the controller.

Bytes come by digest in pieces of 4 MiB at most, as they are, and go on where they ended; nothing of them is believed
before it was digested, and nothing that is signed is served before it was verified as a device would.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import ClientDisconnect

from homebred_fleet.adapters.blob_uploads import BlobUploads, Came
from homebred_fleet.adapters.http_api.administration.context import May, Parts
from homebred_fleet.core.admins import Admin
from homebred_fleet.core.keyholders import Purpose
from homebred_fleet.errors import FleetError

router = APIRouter()
Publisher = Annotated[Admin, Depends(May("release.publish"))]
Bringer = Annotated[Admin, Depends(May("repository.publish"))]


class Generation(BaseModel):
    """All files of a repository as it was published."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    listing: str = Field(max_length=71)
    """Digest of the list of them, that was sent before."""


@router.get("/releases/blobs/{digest}")
def blob_came(_: Publisher, parts: Parts, digest: str) -> dict[str, Any]:
    """How much of a release's file is there."""
    return _told(digest, parts.publishing.blobs.came(digest))


@router.post("/releases/blobs/{digest}")
async def blob_piece(
    _: Publisher, parts: Parts, request: Request, digest: str, offset: int, length: int
) -> dict[str, Any]:
    """Takes the next piece of it: the body, as it is."""
    return await _taken(parts.publishing.blobs, request, digest, offset, length)


@router.post("/releases/blobs/{digest}/whole")
def blob_whole(doer: Publisher, parts: Parts, digest: str) -> dict[str, Any]:
    """Has it read to its end; it is a release's file from then on."""
    came = parts.publishing.blobs.finish(digest)
    parts.changes.note(doer, "release.publish", digest, {"bytes": came.length})
    return _told(digest, came)


@router.post("/releases/blobs/{digest}/check")
def blob_checked(doer: Publisher, parts: Parts, digest: str) -> dict[str, Any]:
    """Has what is there read: what is damaged goes, so that it can be sent again."""
    before, came = parts.publishing.blobs.came(digest), parts.publishing.blobs.check(digest)
    if before.is_whole and not came.is_whole:
        parts.changes.note(doer, "release.blob_damaged", digest, {"bytes": before.length})
    return _told(digest, came)


@router.get("/repositories")
def served(_: Annotated[Admin, Depends(May("release.read"))], parts: Parts) -> dict[str, Any]:
    """What is served of both repositories: versions, and the roots that devices pin."""
    return {purpose.value: asdict(parts.publishing.served(purpose)) for purpose in (Purpose.IMAGE, Purpose.DIRECTOR)}


@router.get("/repositories/files/{digest}")
def file_came(_: Bringer, parts: Parts, digest: str) -> dict[str, Any]:
    """How much of a repository's file is there."""
    return _told(digest, parts.publishing.files.came(digest))


@router.post("/repositories/files/{digest}")
async def file_piece(
    _: Bringer, parts: Parts, request: Request, digest: str, offset: int, length: int
) -> dict[str, Any]:
    """Takes the next piece of it."""
    return await _taken(parts.publishing.files, request, digest, offset, length)


@router.post("/repositories/files/{digest}/whole")
def file_whole(_: Bringer, parts: Parts, digest: str) -> dict[str, Any]:
    """Has it read to its end. Nobody is served it yet."""
    return _told(digest, parts.publishing.files.finish(digest))


@router.post("/repositories/{purpose}/generations")
def publish(doer: Bringer, parts: Parts, purpose: Purpose, body: Generation) -> dict[str, Any]:
    """Serves what was sent from now on, all of it, once it was verified; what is old of it besides."""
    taken = parts.publishing.take(purpose, body.listing, now_s=parts.clock())
    details = {"roots": taken.roots, "targets": taken.targets, "changed": taken.changed}
    parts.changes.note(doer, "repository.publish", purpose.value, details)
    return {"repository": purpose.value, **asdict(taken), "served": asdict(parts.publishing.served(purpose))}


async def _taken(uploads: BlobUploads, request: Request, digest: str, offset: int, length: int) -> dict[str, Any]:
    """What came of a piece is kept, even where it breaks off: then whoever sent it asks how much that was."""
    try:
        await run_in_threadpool(uploads.append, digest, offset, b"", length=length)
        async for piece in request.stream():
            await run_in_threadpool(uploads.append, digest, offset, piece, length=length)
            offset += len(piece)
    except ClientDisconnect:
        pass
    except FleetError:
        await _drained(request)
        raise
    return _told(digest, await run_in_threadpool(uploads.settle, digest))


async def _drained(request: Request) -> None:
    """Reads what still comes, or a refusal would be lost with the connection that it closes."""
    with suppress(ClientDisconnect):
        async for _ in request.stream():
            pass


def _told(digest: str, came: Came) -> dict[str, Any]:
    return {"digest": digest, "came": came.length, "is_whole": came.is_whole}
