"""A device that fetches the files of one small release from a source in memory, onto a real disk."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.support.made_files import described
from tests.support.manual_clock import ManualClock
from tests.support.scripted_source import ScriptedSource

from homebred_daemon.adapters.blob_shelf import BlobShelf
from homebred_daemon.adapters.blob_store import Blob, BlobStore, Form
from homebred_daemon.adapters.document_folder import FleetDocumentFolder
from homebred_daemon.adapters.release_assembly import AssemblyFolder
from homebred_daemon.adapters.staging_folder import StagingFolder
from homebred_daemon.core.releases import release_of
from homebred_daemon.services.releases.fetching import Fetching, Surroundings, Terms
from homebred_daemon.services.releases.release_files import TransferredFiles
from homebred_daemon.services.releases.release_sources import ReleaseSources
from homebred_protocol.digests import digest_of
from homebred_protocol.documents.release import digest_of_release
from homebred_protocol.documents.release_values import Constraints, Gate, GoldenDemand, ReleaseFile, ReleaseManifest

BODIES = {"golden/w.jsonl": b'{"input": "a"}\n', "model.gguf": b"weights" * 99, "specialist.toml": b"version = 1\n"}


def _manifest() -> ReleaseManifest:
    files = [described(body, path) for path, body in BODIES.items()]
    return ReleaseManifest(
        family="qa",
        id="intake",
        number=7,
        title="Reads an intake note",
        files=tuple(
            ReleaseFile(path=each.path, length=each.length, digest=each.digest, frames=each.frames) for each in files
        ),
        specialist="specialist.toml",
        base=None,
        parents=(),
        generation=0,
        constraints=Constraints(engine="echo"),
        gate=Gate(golden=(GoldenDemand(workflow="w", path="golden/w.jsonl", scorer="exact", minimum_ppm=1),)),
        workflows=("w",),
        licence="Apache-2.0",
        provenance=(),
        classes=("public",),
        sites=(),
        recipe=None,
    )


MANIFEST = _manifest()
RELEASE = release_of(MANIFEST, MANIFEST.target.path, digest_of_release(MANIFEST))


class Stage:
    """The device."""

    def __init__(self, root: Path, clock: ManualClock) -> None:
        self.bodies = BODIES
        self.source = ScriptedSource({digest_of(body): body for body in BODIES.values()})
        self.sources = ReleaseSources([self.source])
        self._root = root
        self._blobs = BlobStore(root / "blobs")
        self._staging = StagingFolder(root / "staging")
        around = Surroundings(
            staging=self._staging,
            shelf=BlobShelf(self._blobs),
            clock=clock,
            second_of_day=lambda: 0.0,
            chance=lambda: 0.5,
            sleep=asyncio.sleep,
        )
        self.files = TransferredFiles(
            FleetDocumentFolder(root / "manifests"),
            Fetching(around, Terms(reserve_bytes=0)),
            self._staging,
            AssemblyFolder(root / "assembled"),
            sources=self.sources,
            held=lambda digest: self._blobs.path(Blob(Form.FILE, digest)),
        )

    @property
    def asked(self) -> list[str]:
        """Paths of the files that the source was asked for."""
        return [path for path, _, _ in self.source.asked]

    def shelve(self, path: str) -> None:
        """Has the model store hold a file already."""
        place = self._root / "given"
        place.write_bytes(BODIES[path])
        self._blobs.add(place, Blob(Form.FILE, digest_of(BODIES[path])), lambda *_: None)

    def left(self) -> list[str]:
        """What is on the disk of files that were on their way."""
        folders = (self._root / name for name in ("staging", "assembled", "manifests"))
        return [path.name for folder in folders for path in folder.iterdir()]
