"""What publishers bring to the controller from other machines: releases' files, and both repositories as signed.

It puts the parts together: `blob_uploads` has bytes come, `tuf_repository.receiving` judges what is signed.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from homebred_fleet.adapters.blob_folder import BlobFolder
from homebred_fleet.adapters.blob_uploads import PART_LIFE_S, BlobUploads
from homebred_fleet.adapters.tuf_repository import receiving
from homebred_fleet.adapters.tuf_repository.receiving import Served, Taken
from homebred_fleet.core.keyholders import Purpose
from homebred_fleet.errors import FleetError, RequestError
from homebred_fleet.ports.director import Director


@dataclass(frozen=True, slots=True, kw_only=True)
class Published(Taken):
    """What is served from now on, and what whoever sent it should know."""

    note: str = ""
    """Why the controller could not sign under it; empty: it can."""


class Publishing:
    """Both stores of what comes, and both folders that are served; from any thread."""

    def __init__(
        self,
        blobs: BlobUploads,
        files: BlobUploads,
        arrived: BlobFolder,
        folders: Mapping[Purpose, Path],
        director: Director,
    ) -> None:
        """Puts them together.

        Args:
            blobs: of releases.
            files: of repositories, which come into `arrived`.
            arrived: what came of repositories; it is served from copies.
            folders: where each repository is served from.
            director: what signs under the director's root.
        """
        self.blobs = blobs
        self.files = files
        self._arrived = arrived
        self._folders = folders
        self._director = director

    def served(self, purpose: Purpose) -> Served:
        """What is served of a repository. Raises StateError."""
        if purpose not in self._folders:
            raise RequestError(f"{purpose} is no repository that is served", hint="write image or director")
        return receiving.served(self._folders[purpose])

    def take(self, purpose: Purpose, listing_digest: str, *, now_s: int) -> Published:
        """Serves what a listing names of what came. Raises what `receiving.take` does; NotFoundError: no listing."""
        if purpose not in self._folders:
            raise RequestError(f"{purpose} is no repository that is served", hint="write image or director")
        listing = self._arrived.read(listing_digest)
        if listing is None:
            raise RequestError("its listing did not come", hint="send it again: homebred-fleet repository upload")
        taken = receiving.take(self._folders[purpose], purpose, listing, self._arrived, now_s)
        with suppress(OSError, FleetError):  # room is made at the next occasion
            self._remove_unneeded(now_s)
        return Published(**asdict(taken), note=self._note(purpose))

    def _note(self, purpose: Purpose) -> str:
        if purpose is Purpose.DIRECTOR:
            try:
                _ = self._director.root_expires_at_s
            except FleetError as error:
                return (
                    f"the controller cannot sign under it: {error.message}; put its key where releases.online_key says"
                )
        return ""

    def _remove_unneeded(self, now_s: int) -> None:
        published = [folder / "published" for folder in self._folders.values()]
        needed = {digest for one in published if one.exists() for digest in receiving.names_in(one.resolve()).values()}
        self._arrived.remove_all_but(needed, older_than_s=now_s - PART_LIFE_S)
