"""The controller's admin API over real HTTPS on a real database, with an admin of each role; no hub, no broker."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tests.support.broker import found, now_s
from tests.support.directions import PaperImage, WordDirector
from tests.support.stop_orders import SymbolicSigner

from homebred_fleet.adapters import x509_making as making
from homebred_fleet.adapters.admin_client import AdminClient
from homebred_fleet.adapters.admin_profile import Profile
from homebred_fleet.adapters.blob_folder import BlobFolder
from homebred_fleet.adapters.blob_uploads import BlobUploads
from homebred_fleet.adapters.bundle_sources import BundleSources
from homebred_fleet.adapters.certificate_authority import CertificateAuthority
from homebred_fleet.adapters.fleet_folder import FleetFolder, KeyPair
from homebred_fleet.adapters.http_api.access import Access
from homebred_fleet.adapters.http_api.administration.context import Administration, Carrying, attach
from homebred_fleet.adapters.http_api.administration.mounting import admin_router
from homebred_fleet.adapters.http_api.app import make_app
from homebred_fleet.adapters.http_api.server import HttpsServer, Listening
from homebred_fleet.adapters.publishing import Publishing
from homebred_fleet.adapters.release_shelf import ReleaseShelf
from homebred_fleet.adapters.store import identities
from homebred_fleet.adapters.store.administering import Administering
from homebred_fleet.adapters.store.assignments import StoreDirections
from homebred_fleet.adapters.store.database import Database
from homebred_fleet.adapters.tuf_repository.folder import PUBLISHED
from homebred_fleet.adapters.tuf_repository.serving import FolderDirector
from homebred_fleet.core.admins import Admin
from homebred_fleet.core.keyholders import Purpose
from homebred_fleet.services.bundling import Bundling
from homebred_fleet.services.directing import Directing

MAX_BODY_BYTES = 33 * 1024 * 1024


@dataclass
class Recorded:
    """Stands where a controller has its revoking: the database's part alone."""

    database: Database
    revoked: list[str] = field(default_factory=list)

    def revoke(self, device: str, *, reason: str, by: str) -> bool:
        """As services/revoking.py, without a broker."""
        self.revoked.append(device)
        with self.database.writing() as connection:
            return identities.revoke(connection, device, reason=reason, by=by, now_s=now_s())


@dataclass
class AdminServer:
    """One that runs."""

    folder: FleetFolder
    database: Database
    blobs: BlobFolder
    revoking: Recorded
    port: int = 0
    wakes: int = 0
    image: PaperImage = field(default_factory=PaperImage)
    max_bytes: int = 64 * 1024 * 1024
    """Of an upload."""
    reserve_bytes: int = 0
    signer: SymbolicSigner = field(default_factory=SymbolicSigner)

    @cached_property
    def releases(self) -> BlobFolder:
        """The files of releases."""
        return BlobFolder(self.folder.path / "releases")

    @cached_property
    def publishing(self) -> Publishing:
        """What takes uploads."""
        arrived = BlobFolder(self.folder.path / "arrived")
        online = self.folder.path / "online.key"
        director = FolderDirector(self.served[Purpose.DIRECTOR] / PUBLISHED, online, started_at_s=0)
        return Publishing(self._into(self.releases), self._into(arrived), arrived, self.served, director)

    def _into(self, blobs: BlobFolder) -> BlobUploads:
        return BlobUploads(blobs, max_bytes=self.max_bytes, reserve_bytes=self.reserve_bytes, now_s=now_s)

    @property
    def served(self) -> dict[Purpose, Path]:
        """Where both repositories are served from."""
        return {purpose: self.folder.path / purpose.value for purpose in (Purpose.IMAGE, Purpose.DIRECTOR)}

    def client(self, role: str, *, known: bool = True) -> AdminClient:
        """A client with a certificate of an admin of this role; one that the controller does not know."""
        return AdminClient(self.profile(role, known=known))

    def profile(self, role: str, *, known: bool = True) -> Profile:
        """What an admin of this role has."""
        name = f"{role}-{'known' if known else 'unknown'}"
        pair = self.folder.admin(name)
        if not pair.certificate.exists():
            fingerprint = make_admin(self.folder, pair, name)
            if known:
                with self.database.writing() as connection:
                    admin = Admin(name=name, role=role)
                    identities.add_admin(connection, admin, fingerprint=fingerprint, by="test", now_s=now_s())
        return Profile(
            url=f"https://127.0.0.1:{self.port}",
            authorities=self.folder.authorities,
            certificate=pair.certificate,
            key=pair.key,
        )

    def write_profile(self, path: Path, role: str, *, port: int = 0) -> None:
        """The same as a file."""
        profile = self.profile(role)
        url = f"https://127.0.0.1:{port}" if port else profile.url
        files = ("authorities", "certificate", "key")
        lines = [f'url = "{url}"', *(f'{name} = "{getattr(profile, name)}"' for name in files)]
        path.write_text("\n".join(lines) + "\n")

    def wake(self) -> None:
        """Stands for the reconciler's."""
        self.wakes += 1


def make_admin(folder: FleetFolder, pair: KeyPair, name: str) -> str:
    """Writes key and certificate of an admin; its fingerprint."""
    authority = CertificateAuthority.opened(folder)
    key = making.new_key()
    issued = authority.issue_to_admin(name, key.public_key(), now_s=now_s())
    pair.key.touch(mode=0o600)
    pair.key.write_bytes(making.key_pem(key))
    pair.certificate.write_bytes(authority.with_chain(issued.pem))
    return issued.fingerprint


@contextmanager
def running_admin_server(tmp_path: Path, database: Database) -> Iterator[AdminServer]:
    """Serves on a port of loopback until the end of the block."""
    folder = found(tmp_path / "fleet", broker_port=1)
    stage = AdminServer(
        folder=folder, database=database, blobs=BlobFolder(tmp_path / "blobs"), revoking=Recorded(database)
    )
    changes = Administering(database, stage.blobs, clock=now_s, wake=stage.wake)
    sources = BundleSources(lambda: None, lambda: None, stage.blobs)
    directing = Directing(StoreDirections(database), stage.image, WordDirector(), now_s=now_s)
    bundling = Bundling(directing, sources, sources, now_s=now_s)
    app = make_app(Access(identities.IdentityStore(database), now_s), [admin_router()], max_body_bytes=MAX_BODY_BYTES)
    attach(
        app,
        Administration(
            database=database,
            blobs=stage.blobs,
            changes=changes,
            revoking=stage.revoking,
            image=stage.image,
            shelf=ReleaseShelf(stage.image, stage.releases),
            publishing=stage.publishing,
            stop_signer=stage.signer,
            carrying=Carrying(bundling=bundling, blobs=stage.blobs, max_life_s=86_400),
            clock=now_s,
        ),
    )
    server = HttpsServer(
        app,
        Listening(
            address="127.0.0.1",
            port=0,
            identity=folder.https_server,
            authorities=folder.authorities,
            max_connections=64,
        ),
    )
    stage.port = int(server.address.rpartition(":")[2])
    thread = threading.Thread(target=lambda: asyncio.run(server.run()))
    thread.start()
    try:
        yield stage
    finally:
        server.stop()
        thread.join(timeout=20)
