"""One answer with a release's file or a range of it (RFC 9110 §13.1.5, §14): in pieces, however large the file is.

Its tag is the file's digest, so that a range is never of another content than the one before it. It verifies nothing:
whoever asked knows the digest of each frame.
"""

from __future__ import annotations

from pathlib import Path

from fastapi.responses import FileResponse

OCTETS = "application/octet-stream"


class BlobResponse(FileResponse):
    """Of several ranges at once it gives none, and the whole file instead, as it may (§14.2)."""

    chunk_size = 256 * 1024
    """Read at once, and so about what a connection costs in memory."""
    max_ranges = 1

    def __init__(self, path: Path, digest: str) -> None:
        super().__init__(path, media_type=OCTETS, headers={"ETag": f'"{digest}"', "Cache-Control": "no-transform"})
