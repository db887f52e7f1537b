"""How everything is named by its bytes: `sha256:` and the digest in lower-case hexadecimal."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def digest_of(body: bytes) -> str:
    """The digest of some bytes."""
    return "sha256:" + hashlib.sha256(body).hexdigest()


def digest_of_listing(files: Iterable[tuple[str, str, int]]) -> str:
    """The digest of a folder: of a line for each file, sorted by the bytes of its path.

    Args:
        files: each one's path below the folder, digest and size in bytes.
    """
    lines = [
        f"{digest.partition(':')[2]} {size_bytes} {path}\n".encode()
        for path, digest, size_bytes in sorted(files, key=lambda file: file[0].encode())
    ]
    return digest_of(b"".join(lines))
