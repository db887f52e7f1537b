"""How everything is named by its bytes: `sha256:` and the digest in lower-case hexadecimal."""

from __future__ import annotations

import hashlib


def digest_of(body: bytes) -> str:
    """The digest of some bytes."""
    return "sha256:" + hashlib.sha256(body).hexdigest()
