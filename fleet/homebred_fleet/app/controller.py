"""Puts a controller together from its settings: the one place that knows every part. Nothing runs yet.

`parts` are what runs beside the HTTPS server, in one TaskGroup; `routers` are the paths that it serves.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass

from fastapi import APIRouter

from homebred_fleet.adapters.blob_folder import BlobFolder, FirstOf, ForEverySite
from homebred_fleet.adapters.blob_uploads import BlobUploads
from homebred_fleet.adapters.broker_control import Address, BrokerOnThisMachine
from homebred_fleet.adapters.bundle_sources import BundleSources
from homebred_fleet.adapters.certificate_authority import CertificateAuthority
from homebred_fleet.adapters.fleet_folder import FleetFolder
from homebred_fleet.adapters.http_api.access import Access
from homebred_fleet.adapters.http_api.administration.context import Administration, Carrying, attach
from homebred_fleet.adapters.http_api.administration.mounting import admin_router
from homebred_fleet.adapters.http_api.app import make_app
from homebred_fleet.adapters.http_api.devices import DeviceParts, device_router
from homebred_fleet.adapters.http_api.est import EstParts, est_router
from homebred_fleet.adapters.http_api.server import HttpsServer, Listening
from homebred_fleet.adapters.http_api.signed_metadata import metadata_router
from homebred_fleet.adapters.library import FleetLibrary
from homebred_fleet.adapters.logs import StructuredJournal
from homebred_fleet.adapters.object_store import ObjectStore
from homebred_fleet.adapters.own_certificates import OwnCertificatesInFolder
from homebred_fleet.adapters.publishing import Publishing
from homebred_fleet.adapters.release_shelf import ReleaseShelf
from homebred_fleet.adapters.signed_files import SignedFiles
from homebred_fleet.adapters.store.administering import Administering
from homebred_fleet.adapters.store.assignments import StoreDirections
from homebred_fleet.adapters.store.database import Database
from homebred_fleet.adapters.store.document_files import DocumentFiles
from homebred_fleet.adapters.store.identities import IdentityStore
from homebred_fleet.adapters.store.retained import RetainedEvents, RetainedHours, RetainedStarts
from homebred_fleet.adapters.system_clock import unix_s
from homebred_fleet.adapters.tuf_repository.folder import PUBLISHED
from homebred_fleet.adapters.tuf_repository.receiving import MAX_LISTING_BYTES
from homebred_fleet.adapters.tuf_repository.serving import FolderDirector, PublishedImage
from homebred_fleet.app.linking import Link, linked
from homebred_fleet.core.attempts import Attempts
from homebred_fleet.core.durations import DAY_S
from homebred_fleet.core.enrolment import CERTIFICATES_A_DAY
from homebred_fleet.core.keyholders import Purpose
from homebred_fleet.services.bundling import Bundling
from homebred_fleet.services.directing import Directing
from homebred_fleet.services.enrolling import Enrolling
from homebred_fleet.services.renewing import Renewing
from homebred_fleet.services.retaining import Bound, Retaining
from homebred_fleet.services.revoking import Revoking
from homebred_fleet.settings import Settings
from homebred_protocol.mqtt import Credentials, Endpoint
from homebred_protocol.mqtt_thread import MqttThread

MEGABYTE = 1_000_000
MAX_BLOB_BYTES = 1_000_000_000_000
"""Of one file of a release: more than any model has."""
Part = Callable[[], Coroutine[None, None, None]]
"""Runs until it is cancelled; what it raises ends the controller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Controller:
    """Every part of a controller."""

    settings: Settings
    folder: FleetFolder
    journal: StructuredJournal
    database: Database
    identities: IdentityStore
    blobs: BlobFolder
    enrolling: Enrolling
    revoking: Revoking
    link: Link
    image: PublishedImage
    director: FolderDirector
    directing: Directing
    signed: SignedFiles
    release_blobs: BlobFolder
    """The files of releases."""

    def parts(self, server: HttpsServer) -> tuple[Part, ...]:
        """What runs beside the HTTPS server."""

        def renewed() -> None:
            server.renew_identity()
            self.revoking.wake()  # reloads the broker, which then shows its own new certificate

        own = OwnCertificatesInFolder(self.folder, self.settings.identity.names)
        renewing = Renewing(own, self.journal, renewed=renewed, now_s=unix_s)
        return (self.revoking.run, renewing.run, self.link.run, self._retaining().run)

    def _retaining(self) -> Retaining:
        kept = self.settings.telemetry
        events, hours = RetainedEvents(self.database), RetainedHours(self.database)
        bounds = (
            Bound(kind="events", rows=events, days=kept.event_days, most=kept.max_events),
            Bound(kind="hours", rows=hours, days=kept.hour_days, most=kept.max_hours),
        )
        return Retaining(bounds, RetainedStarts(self.database), self.journal, self.link.figures, now_s=unix_s)

    def routers(self) -> tuple[APIRouter, ...]:
        """What the HTTPS server serves."""
        est = EstParts(
            enrolment=self.enrolling,
            authority=lambda: CertificateAuthority.opened(self.folder),
            attempts=Attempts(self.settings.identity.refused_per_minute),
            issued=Attempts(CERTIFICATES_A_DAY, window_s=DAY_S),
            journal=self.journal,
        )
        store = self.settings.store
        devices = DeviceParts(
            documents=DocumentFiles(self.database, self.blobs),
            blobs=ForEverySite(self.release_blobs),
            broker=self.settings.broker_for_devices,
            roots=lambda: (self.image.newest_root, self.director.newest_root),
            now_s=unix_s,
            store_address=ObjectStore(store, now_s=unix_s).address_of if store.url else None,
        )
        return (est_router(est), device_router(devices), metadata_router(self.signed), admin_router())

    def administration(self) -> Administration:
        """What admins reach."""
        changes = Administering(self.database, self.blobs, clock=unix_s, wake=self.link.reconciling.wake)
        return Administration(
            database=self.database,
            blobs=self.blobs,
            changes=changes,
            revoking=self.revoking,
            image=self.image,
            shelf=ReleaseShelf(self.image, self.release_blobs),
            carrying=self.carrying(),
            publishing=self._publishing(),
            stop_signer=self.director,
            clock=unix_s,
        )

    def carrying(self) -> Carrying:
        """What is carried to devices."""
        sources = BundleSources(self.signed.image, self.signed.director_roots, self.release_blobs)
        return Carrying(
            bundling=Bundling(self.directing, sources, sources, now_s=unix_s),
            blobs=self.release_blobs,
            max_life_s=self.settings.releases.max_lease_days * DAY_S,
        )

    def _publishing(self) -> Publishing:
        releases = self.settings.releases
        arrived = BlobFolder(self.settings.paths.state_dir / "arrived")
        reserve_bytes = releases.disk_reserve_mb * MEGABYTE
        return Publishing(
            BlobUploads(self.release_blobs, max_bytes=MAX_BLOB_BYTES, reserve_bytes=reserve_bytes, now_s=unix_s),
            BlobUploads(arrived, max_bytes=MAX_LISTING_BYTES, reserve_bytes=reserve_bytes, now_s=unix_s),
            arrived,
            {Purpose.IMAGE: releases.image, Purpose.DIRECTOR: releases.director},
            self.director,
        )

    def server(self) -> HttpsServer:
        """The HTTPS server, with its port bound. Raises ConfigurationError."""
        http = self.settings.http
        access = Access(self.identities, unix_s)
        app = make_app(access, self.routers(), max_body_bytes=http.max_body_bytes)
        attach(app, self.administration())
        listening = Listening(
            address=http.listen,
            port=http.port,
            identity=self.folder.https_server,
            authorities=self.folder.authorities,
            max_connections=http.max_connections,
        )
        return HttpsServer(app, listening)


def assembled(settings: Settings, journal: StructuredJournal) -> Controller:
    """The controller of some settings, made on the loop that it runs on; its database is brought up to date.

    Raises:
        FleetError: its folder, keys or database cannot be used.
    """
    folder = FleetFolder(settings.paths.folder)
    authority = CertificateAuthority.opened(folder)
    database = Database(settings.database_url)
    database.upgrade()
    identities = IdentityStore(database)
    blobs = BlobFolder(settings.paths.state_dir / "documents")
    revoking = _revoking(settings, folder, authority, identities, journal)
    image = PublishedImage(settings.releases.image / PUBLISHED)
    releases = settings.releases
    director = FolderDirector(releases.director / PUBLISHED, releases.online_key, started_at_s=unix_s())
    directing = Directing(StoreDirections(database), image, director, now_s=unix_s)
    signed = SignedFiles(image=lambda: image.folder, director_roots=lambda: director.folder, directing=directing)
    release_blobs = BlobFolder(settings.paths.state_dir / "blobs")
    link = linked(
        database,
        FleetLibrary(identities, signed, FirstOf(ForEverySite(release_blobs), DocumentFiles(database, blobs))),
        journal,
        director,
        make_connection=lambda hand_over: MqttThread(_endpoint(settings, folder), hand_over, name="hub"),
        now_s=unix_s,
    )

    def taken_back() -> None:
        revoking.wake()
        link.reconciling.wake()  # a device that takes another's place inherits what was wanted of it

    return Controller(
        settings=settings,
        folder=folder,
        journal=journal,
        database=database,
        identities=identities,
        blobs=blobs,
        enrolling=Enrolling(identities, authority, unix_s, taken_back=taken_back),
        revoking=revoking,
        link=link,
        image=image,
        director=director,
        directing=directing,
        signed=signed,
        release_blobs=release_blobs,
    )


def _endpoint(settings: Settings, folder: FleetFolder) -> Endpoint:
    """The broker, with the controller's own credentials."""
    pair = folder.controller
    credentials = Credentials(authorities=folder.authorities, certificate=pair.certificate, key=pair.key)
    return Endpoint(settings.broker.host, settings.broker.port, credentials)


def _revoking(
    settings: Settings,
    folder: FleetFolder,
    authority: CertificateAuthority,
    identities: IdentityStore,
    journal: StructuredJournal,
) -> Revoking:
    broker = settings.broker
    control = BrokerOnThisMachine(
        Address(host=broker.host, port=broker.port, authorities=folder.authorities),
        pid_file=folder.broker_pid,
        reload_command=broker.reload_command,
        connect=MqttThread,
    )
    return Revoking(identities, authority, control, journal, now_s=unix_s)
