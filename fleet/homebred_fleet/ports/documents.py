"""Documents that devices fetch by their digest: lists of gazetteers, and the files of releases."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class Documents(Protocol):
    """What is kept of documents."""

    def for_site(self, digest: str, site: str) -> Path | None:
        """The file with a document's bytes; None: there is none, or it is another site's. Raises StoreError."""
        ...
