"""Lists that devices fetch: `ports.documents.Documents`, over the table that says whose each is and the blobs."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select

from homebred_fleet.adapters.blob_folder import BlobFolder
from homebred_fleet.adapters.store.database import Database
from homebred_fleet.adapters.store.tables import documents


class DocumentFiles:
    """Fulfils `ports.documents.Documents`."""

    def __init__(self, database: Database, blobs: BlobFolder) -> None:
        self._database = database
        self._blobs = blobs

    def for_site(self, digest: str, site: str) -> Path | None:
        """See the port."""
        with self._database.reading() as connection:
            owner = connection.execute(
                select(documents.c.site).where(documents.c.digest == digest)
            ).scalar_one_or_none()
        return self._blobs.path_of(digest) if owner == site else None
