"""What a device has built by a release's recipe, and what building it again told. It builds nothing.

Only the form of this digest is served of that release here: it stands in the install's record, in the receipts of its
gate and its activation, and in the activation record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SAME_BYTES = "same_bytes"
"""The fact of a build that was made before by the same builder of the same inputs: 1, it gave the same bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """The form that came out of a build."""

    digest: str
    """`sha256:` of the file, or of the folder's listing; empty: nothing was built."""
    builder: str
    """Who built it: this product, the engine and its library, each with its version."""


NOT_BUILT = Built(digest="", builder="")


def build_facts(before: Built, now: Built, *, built_bytes: int, took_ms: int) -> Mapping[str, int]:
    """What is kept of a build: integers only.

    Args:
        before: what was built of the same release here earlier.
        now: what was built.
        built_bytes: how large it is.
        took_ms: how long that took; 0: it was there already.
    """
    facts = {"built_bytes": built_bytes, "build_ms": took_ms}
    if before.builder and before.builder == now.builder:
        facts[SAME_BYTES] = int(before.digest == now.digest)
    return facts
