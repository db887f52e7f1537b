"""The documents that devices are asked to take, from the folder of documents: small ones go along in a message."""

from __future__ import annotations

from collections import OrderedDict

from homebred_fleet.adapters.blob_folder import BlobFolder
from homebred_protocol.compression import compressed

MAX_INLINE_BYTES = 32 * 1024
"""Compressed; what is larger is fetched over HTTPS, where a broken transfer goes on where it ended."""
MAX_WHOLE_BYTES = 1024 * 1024
"""What is larger is not even tried: no text becomes so small."""
REMEMBERED = 64
"""Documents whose form is known without reading them again."""


class DocumentBodies:
    """Fulfils `ports.hub.Documents`."""

    def __init__(self, blobs: BlobFolder) -> None:
        self._blobs = blobs
        self._known: OrderedDict[str, bytes | None] = OrderedDict()

    def small_body(self, digest: str) -> bytes | None:
        """A document, compressed, where it is small enough to go along in a message; None: it is to be fetched."""
        if digest in self._known:
            self._known.move_to_end(digest)
            return self._known[digest]
        body = self._read(digest)
        if body is None:
            return None  # it may be there the next time
        frame = compressed(body) if len(body) <= MAX_WHOLE_BYTES else b""
        self._known[digest] = frame if 0 < len(frame) <= MAX_INLINE_BYTES else None
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return self._known[digest]

    def _read(self, digest: str) -> bytes | None:
        """None too where the disk fails: the device asks for it over HTTPS, and that failure is told there."""
        try:
            path = self._blobs.path_of(digest)
            if path is None or path.stat().st_size > MAX_WHOLE_BYTES:
                return None
            return self._blobs.read(digest)
        except OSError:
            return None
