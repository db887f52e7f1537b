"""Puts together what brings releases to an enrolled device: trust, transfer, gate, installing, and who counts outcomes.

Nothing of it is loaded where the device is not enrolled. It runs whether or not the fleet can be reached: what is on
its way goes on, and what does worse in use goes back.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from homebred_daemon.adapters import last_resort
from homebred_daemon.adapters.blob_store import Blob, BlobStore, Form
from homebred_daemon.adapters.build_process import BuildBounds
from homebred_daemon.adapters.carried_folder import open_carried
from homebred_daemon.adapters.device_memory import available_ram_bytes
from homebred_daemon.adapters.document_folder import FleetDocumentFolder
from homebred_daemon.adapters.engine_facts import EngineFacts
from homebred_daemon.adapters.engine_launcher import ProcessLauncher
from homebred_daemon.adapters.fleet_https import ControllerHttps
from homebred_daemon.adapters.identity_files import IdentityFiles
from homebred_daemon.adapters.logs import StructuredJournal
from homebred_daemon.adapters.receipt_signing import ReceiptSigning
from homebred_daemon.adapters.recipe_builder import BuilderMeans, RecipeBuilder
from homebred_daemon.adapters.release_assembly import AssemblyFolder
from homebred_daemon.adapters.release_store import ReleaseStore
from homebred_daemon.adapters.specialist_folder import read_golden_file
from homebred_daemon.adapters.store.installs import SqliteInstallStore
from homebred_daemon.adapters.store.ledger_feed import SqliteFeed
from homebred_daemon.adapters.trust.checker import ChildChecker
from homebred_daemon.adapters.trust.files import TrustFiles
from homebred_daemon.adapters.trust.lease_file import LeaseFile
from homebred_daemon.adapters.trust.offers import RootsOverHttps
from homebred_daemon.adapters.trust.sources import FirstReachable, HttpsSource, MqttSource
from homebred_daemon.app.followed import Followed
from homebred_daemon.app.transfers import Transfers, transfers
from homebred_daemon.config import Settings
from homebred_daemon.core.probation import ProbationTerms
from homebred_daemon.core.stopping import Stopping
from homebred_daemon.core.trust import Here
from homebred_daemon.ports.fleet import SignedDocuments
from homebred_daemon.ports.fleet_commands import InstallReceipts
from homebred_daemon.ports.installs import ReceiptSigner
from homebred_daemon.services.caretaking import Caretaking
from homebred_daemon.services.evaluating import Bench
from homebred_daemon.services.fleet.identity import IdentityKeeper
from homebred_daemon.services.fleet.link_requests import CurrentRequests
from homebred_daemon.services.releases.gating import GateMeans, ReleaseGate
from homebred_daemon.services.releases.importing import Importing, ImportMeans
from homebred_daemon.services.releases.install_acts import InstallMeans
from homebred_daemon.services.releases.installing import Installing
from homebred_daemon.services.releases.looking import Looking
from homebred_daemon.services.releases.outcome_counting import OutcomeCounting
from homebred_daemon.services.releases.pinning import Pinning
from homebred_daemon.services.releases.release_files import TransferredFiles
from homebred_daemon.services.releases.release_serving import ReleaseServing
from homebred_daemon.services.releases.release_sources import ReleaseSources
from homebred_daemon.services.releases.releasing import Releasing, ReleasingMeans
from homebred_daemon.services.releases.signed_documents import SignedDocumentDesk
from homebred_daemon.services.releases.trusting import Trusting
from homebred_daemon.settings_of_fleet import ProbationSettings

INSTALLS_NAME = "installs.sqlite"
MODELS, MANIFESTS = "models", "manifests"
HOUR_S, MINUTE_S, MEGABYTE = 3600, 60, 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What releases are brought into."""

    settings: Settings
    keeper: IdentityKeeper
    receipts: InstallReceipts
    followed: Followed
    caretaker: Caretaking
    journal: StructuredJournal
    stopping: Callable[[], Stopping]
    """The newest stop order that the link knows of."""
    requests: CurrentRequests
    """Of the link, for where the controller's own port is closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """What brings releases, while it runs."""

    releasing: Releasing
    importing: Importing
    """Takes up what somebody carries here."""
    documents: SignedDocuments


@asynccontextmanager
async def releases(around: Around) -> AsyncIterator[Released]:
    """Brings releases for as long as the context lasts.

    Raises:
        StateError: what it keeps on the disk cannot be used.
    """
    settings, followed = around.settings, around.followed
    state_dir = settings.paths.state_dir
    async with AsyncExitStack() as stack:
        moved = transfers(
            settings.transfer,
            store=state_dir / MODELS,
            clock=followed.clock,
            identity=lambda: around.keeper.identity,
            line=around.requests,
        )
        stack.callback(moved.close)
        identities = IdentityFiles(state_dir, os.environ)
        sources = ReleaseSources(moved.sources)
        stack.callback(sources.let_go)
        files, looking = _files(state_dir, moved, sources), _looking(around, identities)
        releasing = Releasing(_releasing_means(around, looking, files))
        installs = stack.enter_context(closing(SqliteInstallStore(state_dir / INSTALLS_NAME)))
        means = _install_means(around, files, installs, releasing, ReceiptSigning(identities))
        installing = Installing(means, report_defect=partial(last_resort.defect, around.journal))
        feed = stack.enter_context(closing(SqliteFeed(state_dir / "ledger.sqlite")))
        counting = OutcomeCounting(feed, installing, around.journal)
        followed.recorder.tell(counting.wake)
        await stack.enter_async_context(releasing.running(installing))
        await stack.enter_async_context(installing.running())
        await stack.enter_async_context(counting.running())
        importing = Importing(
            ImportMeans(
                open_folder=open_carried,
                looks=releasing,
                installs=installing,
                sources=sources,
                progress=files.progress,
                journal=around.journal,
                clock=followed.clock,
            )
        )
        yield Released(
            releasing=releasing,
            importing=importing,
            documents=SignedDocumentDesk(looking),
        )


def _looking(around: Around, identities: IdentityFiles) -> Looking:
    """Who looks at what is signed for this device."""
    clock, membership = around.followed.clock, around.keeper.identity.membership
    pins, checker, controller = _trust_files(around), ChildChecker(), ControllerHttps(clock)
    pinning = Pinning(
        lambda: around.keeper.identity,
        identities,
        pins,
        RootsOverHttps.of_member(controller, lambda: around.keeper.identity),
        checker,
        clock=clock,
        journal=around.journal,
    )
    return Looking(
        Trusting(pins, checker, clock, Here(device=membership.device_id, site=membership.site)),
        ready=pinning.ready,
        source=lambda: FirstReachable([HttpsSource(controller, around.keeper.identity), MqttSource(around.requests)]),
    )


def _trust_files(around: Around) -> TrustFiles:
    return TrustFiles(around.settings.paths.state_dir, around.keeper.identity.membership)


def _files(state_dir: Path, moved: Transfers, sources: ReleaseSources) -> TransferredFiles:
    blobs = BlobStore(state_dir / MODELS / "blobs")
    return TransferredFiles(
        FleetDocumentFolder(state_dir / MODELS / MANIFESTS),
        moved.fetching,
        moved.staging,
        AssemblyFolder(state_dir / MODELS / "assembled"),
        sources=sources,
        held=lambda digest: blobs.path(Blob(Form.FILE, digest)),
    )


def _releasing_means(around: Around, looking: Looking, files: TransferredFiles) -> ReleasingMeans:
    return ReleasingMeans(
        looking=looking,
        manifests=files,
        leases=LeaseFile(_trust_files(around).folder),
        stopping=around.stopping,
        clock=around.followed.clock,
        journal=around.journal,
        report_defect=partial(last_resort.defect, around.journal),
    )


def _install_means(
    around: Around, files: TransferredFiles, installs: SqliteInstallStore, releasing: Releasing, signer: ReceiptSigner
) -> InstallMeans:
    settings, followed = around.settings, around.followed
    engine = settings.engine
    memory_bytes = engine.memory_budget_mb * MEGABYTE
    store = ReleaseStore(settings.paths.state_dir / MODELS, memory_budget_bytes=memory_bytes)
    bench = Bench(
        launcher=ProcessLauncher(
            interpreter=engine.python,
            runtime_dir=settings.paths.runtime_dir,
            queue_limit=engine.queue_limit,
            changed=store.changed,
        ),
        clock=followed.clock,
        context_tokens=engine.context_tokens,
        threads=engine.threads,
        memory_budget_bytes=memory_bytes,
        load_timeout_s=engine.load_timeout_s,
        concurrency=1,
    )
    facts = EngineFacts(engine.python, memory_bytes=memory_bytes)
    gate = ReleaseGate(
        GateMeans(
            bench=bench,
            read_golden=read_golden_file,
            keep=store.record_release_fitness,
            facts=facts.of,
        )
    )
    builder = RecipeBuilder(
        settings.paths.state_dir / MODELS / "building",
        BuilderMeans(
            python=engine.python,
            facts=facts.of,
            bounds=BuildBounds(
                longest_s=settings.build.longest_min * MINUTE_S,
                memory_bytes=memory_bytes or available_ram_bytes(),
                reserve_bytes=settings.transfer.reserve_mb * MEGABYTE,
            ),
        ),
    )
    return InstallMeans(
        files=files,
        store=store,
        installs=installs,
        gate=gate,
        serving=ReleaseServing(around.caretaker.reload_models, followed.pool),
        orders=releasing,
        receipts=around.receipts,
        signer=signer,
        journal=around.journal,
        terms=_terms(settings.probation),
        shadow=followed.answering.shadowed(followed.pool.guest, context_tokens=engine.context_tokens),
        builder=builder,
    )


def _terms(probation: ProbationSettings) -> ProbationTerms:
    return ProbationTerms(
        soak_s=probation.soak_h * HOUR_S,
        least_outcomes=probation.least_outcomes,
        longest_s=probation.longest_h * HOUR_S,
    )
