"""Documents that are small enough to go along in a message, compressed: `ports.hub.Documents` over the blob folder."""

from __future__ import annotations

from functools import lru_cache

from homebred_fleet.adapters.blob_folder import BlobFolder
from homebred_fleet.errors import StateError
from homebred_protocol.compression import compressed

MAX_INLINE_BYTES = 32_768
"""Compressed; a larger one is fetched over HTTPS."""
MAX_READ_BYTES = 1_048_576
"""Nothing longer becomes so small that it would be worth the try."""


class SmallDocuments:
    """Keeps the last few in memory: one policy goes to many devices.

    A document that is lost or damaged is one that does not go along: the device that fetches it says so, and what
    other devices are to be like is not held up by it.
    """

    def __init__(self, blobs: BlobFolder) -> None:
        self._blobs = blobs
        self._kept = lru_cache(maxsize=64)(self._compressed)

    def small_body(self, digest: str) -> bytes | None:
        """See the port."""
        try:
            return self._kept(digest)
        except OSError as error:
            raise StateError(f"the document {digest} cannot be read: {error.strerror}") from error

    def _compressed(self, digest: str) -> bytes | None:
        path = self._blobs.path_of(digest)
        if path is None or path.stat().st_size > MAX_READ_BYTES:
            return None
        body = self._blobs.read(digest)
        if body is None:
            return None
        small = compressed(body)
        return small if len(small) <= MAX_INLINE_BYTES else None
