"""The Update Framework's own client, unmodified, over a folder: who else would judge a repository as devices do?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from tuf.api.exceptions import DownloadHTTPError
from tuf.api.metadata import TargetFile
from tuf.ngclient import FetcherInterface, Updater
from typing_extensions import override

BASE = "folder:///"


class FolderFetcher(FetcherInterface):
    """Answers as a static server would: what is not there is 404."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @override
    def _fetch(self, url: str) -> Iterator[bytes]:
        path = self._folder / unquote(url.removeprefix(BASE))
        if not path.is_file():
            raise DownloadHTTPError(f"{path} is not there", 404)
        yield path.read_bytes()


class Client:
    """One device's look at a repository; what it trusts stays in its folder from look to look."""

    def __init__(self, folder: Path, published: Path, *, bootstrap: bytes | None = None) -> None:
        """Pins the first root that is served, as a device does that is enrolled today."""
        self._metadata = folder / "trusted"
        self._targets = folder / "targets"
        for one in (self._metadata, self._targets):
            one.mkdir(parents=True, exist_ok=True)
        self._published = published
        self._bootstrap = bootstrap or (published / "metadata" / "1.root.json").read_bytes()

    def looked(self) -> Updater:
        """An updater that has refreshed. Raises tuf's own errors."""
        updater = Updater(
            str(self._metadata),
            f"{BASE}metadata/",
            str(self._targets),
            f"{BASE}targets/",
            fetcher=FolderFetcher(self._published),
            bootstrap=self._bootstrap,
        )
        updater.refresh()
        return updater

    def target(self, path: str) -> tuple[TargetFile, bytes] | None:
        """A target with its verified bytes; None: nobody signs for it."""
        updater = self.looked()
        found = updater.get_targetinfo(path)
        return None if found is None else (found, Path(updater.download_target(found)).read_bytes())

    def version(self, role: str) -> int:
        """Of a top-level role, as it is trusted now."""
        trusted = self.looked()._trusted_set
        found = {"root": trusted.root, "timestamp": trusted.timestamp, "snapshot": trusted.snapshot}.get(role)
        return (found or trusted.targets).version
