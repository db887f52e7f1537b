"""The manifest of a gazetteer: what is signed in place of the list itself, which holds names of patients.

It names the list by its digest. It opens no list, checks none, and does not say whose it is: the path that it is signed
under does (`homebred_protocol.targets`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from homebred_protocol.documents.fields import DocumentError, Fields

VERSION = 1
MAX_LIST_BYTES = 32 * 1024 * 1024
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class GazetteerManifest:
    """A list by its bytes."""

    digest: str
    """`sha256:…`"""
    length: int
    """Bytes, at least 1."""


def read_gazetteer_manifest(document: object) -> GazetteerManifest:
    """The manifest in one parsed TOML document.

    Raises:
        DocumentError: with every problem found.
    """
    fields = Fields(document)
    if fields.integer("version", required=True) not in (None, VERSION):
        fields.complain(("version",), "is not known", f"this product reads version {VERSION}")
    digest = fields.text("digest", required=True) or ""
    if digest and _DIGEST.fullmatch(digest) is None:
        fields.complain(("digest",), f"is {digest!r}", "write sha256: and 64 hexadecimal digits in lower case")
    length = fields.integer("length", low=1, required=True) or 0
    if length > MAX_LIST_BYTES:
        fields.complain(("length",), f"is {length}", f"a list has {MAX_LIST_BYTES} bytes at most")
    fields.finish()
    if fields.problems:
        raise DocumentError("gazetteer manifest", fields.problems)
    return GazetteerManifest(digest=digest, length=length)


def gazetteer_manifest(manifest: GazetteerManifest) -> bytes:
    """The same as TOML."""
    return f'version = {VERSION}\ndigest = "{manifest.digest}"\nlength = {manifest.length}\n'.encode()
