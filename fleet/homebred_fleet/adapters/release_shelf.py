"""What the image repository holds of releases, beside their files: whether one may be assigned, and at which sites.

Nothing that a device could not bring home is asked of it: that is told whoever assigns it. It changes nothing.
"""

from __future__ import annotations

from homebred_fleet.adapters.blob_folder import BlobFolder
from homebred_fleet.core.director import Assigned
from homebred_fleet.errors import ConflictError, StateError
from homebred_fleet.ports.directing import Image
from homebred_protocol.documents.fields import DocumentError
from homebred_protocol.documents.release import read_release
from homebred_protocol.documents.release_values import ReleaseManifest
from homebred_protocol.targets import Kind, Target

PUBLISH = "`homebred-fleet release publish FOLDER`, with the folder that it was built in"


class ReleaseShelf:
    """Signed targets and releases' files; from any thread."""

    def __init__(self, image: Image, blobs: BlobFolder) -> None:
        self._image = image
        self._blobs = blobs

    def sites_of(self, target: Target, held: Assigned, *, elsewhere: bool) -> frozenset[str]:
        """Where a target may run that is about to be assigned; empty: at any site.

        Args:
            target: its name.
            held: the same as the image repository holds it.
            elsewhere: whether devices bring its files from somewhere else than from here.

        Raises:
            ConflictError: files of it are not here.
            StateError: the image repository cannot be read, or holds what no device would take.
        """
        sites = frozenset({held.site} - {""})
        if target.kind is not Kind.RELEASE:
            return sites
        manifest = self._manifest(held)
        if not elsewhere:
            self._require_files(target, manifest)
        return sites or frozenset(manifest.sites)

    def _manifest(self, held: Assigned) -> ReleaseManifest:
        try:
            return read_release(self._image.body(held))
        except DocumentError as error:
            said = "; ".join(problem.sentence() for problem in error.problems[:5])
            raise StateError(
                f"{held.path} is no release that a device would take: {said}",
                hint="sign one that `homebred-fleet release build` made, under a higher number",
            ) from None

    def _require_files(self, target: Target, manifest: ReleaseManifest) -> None:
        lengths = {file.digest: file.length for file in manifest.files}
        missing = sorted(digest for digest, length in lengths.items() if not self._is_here(digest, length))
        if missing:
            raise ConflictError(
                f"{len(missing)} of {len(lengths)} files of {target.path} are not on the controller, "
                f"{missing[0]} among them",
                hint=f"{PUBLISH}; or assign it with --elsewhere where a mirror or a store has them",
            )

    def _is_here(self, digest: str, length: int) -> bool:
        path = self._blobs.path_of(digest)
        return path is not None and path.stat().st_size == length
