"""The S3-compatible store that has releases' files beside the controller: it names addresses, and asks nobody.

Devices are sent there by pre-signed addresses that hold for minutes. The key stays here; it needs to read the bucket's
objects, and no more: whoever publishes copies files there with a key of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from homebred_fleet.core.presigning import StoreKey, presigned
from homebred_fleet.errors import StateError
from homebred_fleet.settings import StoreSettings

MAX_SECRET_BYTES = 4096


class ObjectStore:
    """Files as `<url>/sha256/<hex>`."""

    def __init__(self, settings: StoreSettings, *, now_s: Callable[[], int]) -> None:
        """Reads the key. Raises StateError."""
        self._base = settings.url.rstrip("/")
        self._life_s = settings.link_s
        self._now_s = now_s
        self._key = None
        if settings.key_id:
            secret = _secret(settings.secret_file)
            self._key = StoreKey(region=settings.region, key_id=settings.key_id, secret=secret)

    def address_of(self, digest: str, method: str) -> str:
        """Where a file may be asked for now; whether it is there, nobody knows."""
        address = f"{self._base}/{digest.replace(':', '/')}"
        if self._key is None:
            return address
        return presigned(address, self._key, method=method, now_s=self._now_s(), life_s=self._life_s)


def _secret(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            secret = opened.read(MAX_SECRET_BYTES).decode("ascii").strip()
    except (OSError, UnicodeError):
        secret = ""
    if not secret:
        raise StateError(
            f"the store's secret cannot be read from {file}",
            hint="put the secret of store.key_id there, for the controller's user alone, or leave store.url empty",
        )
    return secret
