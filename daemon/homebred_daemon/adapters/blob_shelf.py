"""Which files of a release are in the device's model store already: `ports.transfer.Shelf` over its blobs."""

from __future__ import annotations

from homebred_daemon.adapters.blob_store import Blob, BlobStore, Form
from homebred_daemon.core.transfer import WantedFile
from homebred_daemon.errors import StateError


class BlobShelf:
    """Looks at every byte: a damaged blob that counted as held would never be fetched again."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    def has(self, file: WantedFile) -> bool:
        """As the port says."""
        blob = Blob(Form.FILE, file.digest)
        try:
            return self._blobs.size(blob) == file.length and self._blobs.is_intact(blob, _unheard)
        except OSError as error:
            raise StateError(f"the model store cannot be read: {error.strerror}") from error


def _unheard(step: str, done_bytes: int, total_bytes: int) -> None:
    """Progress that nobody watches."""
