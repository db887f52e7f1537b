"""Wires an enrolled device's link with its fleet: outbox, telemetry, memory, documents and connection.

Nothing of it is loaded where the device is not enrolled. Where its files cannot be used the device serves without its
fleet, says so, and tries again.
"""

from __future__ import annotations

import asyncio
import platform
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING

from homebred_daemon import fleet_messages
from homebred_daemon.adapters import last_resort
from homebred_daemon.adapters.logs import StructuredJournal
from homebred_daemon.app.membership import Membership, Receipts, membership
from homebred_daemon.config import Settings
from homebred_daemon.core.outbox import Quota
from homebred_daemon.core.stopping import Stopping
from homebred_daemon.errors import StateError
from homebred_daemon.ports.outbox import NO_OUTBOX
from homebred_daemon.services.background import task_group
from homebred_daemon.services.caretaking import Caretaking

if TYPE_CHECKING:
    from homebred_daemon.app.followed import Followed
    from homebred_daemon.app.releases import Released
    from homebred_daemon.core.fleet_messages import Facts
    from homebred_daemon.inbound.importing import FolderImports
    from homebred_daemon.ports.fleet import SignedDocuments
    from homebred_daemon.ports.identity import Identity
    from homebred_daemon.ports.outbox import Outbox, OutboxDepth
    from homebred_daemon.services.fleet.fleet_commands import CommandDesk
    from homebred_daemon.services.fleet.fleet_sync import FleetSync, Means
    from homebred_daemon.services.fleet.link_requests import CurrentRequests
    from homebred_protocol.mqtt import HandOver, MqttConnection
    from homebred_protocol.targets import Kind

FOLDER = "fleet"
MEGABYTE = 1_000_000
UNKNOWN = Stopping(stopped=True, reason_code="unknown")
"""What is known of stop orders before the link's memory was read."""


FIRST_AGAIN_S, LONGEST_AGAIN_S = 5.0, 300.0
"""Between two tries to open what the link keeps on the disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InFleet:
    """The device's part in a fleet; of one that is in none, nothing."""

    member: Membership | None = None
    link: _Link | None = None
    released: Released | None = None

    @property
    def bundles(self) -> CommandDesk | None:
        """Who has diagnostics bundles decided on the site."""
        return None if self.member is None else self.member.desk

    @property
    def imports(self) -> FolderImports | None:
        """Who takes up what somebody carries here."""
        return None if self.released is None else self.released.importing

    @property
    def outbox_depth(self) -> Callable[[], Awaitable[OutboxDepth]] | None:
        """What waits for the controller."""
        return None if self.link is None else self.link.outbox_depth


@asynccontextmanager
async def in_fleet(
    settings: Settings, followed: Followed, caretaker: Caretaking, journal: StructuredJournal
) -> AsyncIterator[InFleet]:
    """Has the device take its part for as long as the context lasts; the caretaker tells of it.

    Raises:
        StateError: the commands that it knows cannot be read.
    """
    receipts = Receipts()
    async with membership(settings, caretaker, followed.clock, journal, receipts) as member:
        if member is None:
            yield InFleet()
            return
        caretaker.membership = member.state
        parts = _Parts(settings=settings, member=member, receipts=receipts, followed=followed, caretaker=caretaker)
        link = _Link(parts)
        async with AsyncExitStack() as stack:
            released = await _released(stack, parts, link, journal)
            group = await stack.enter_async_context(task_group())
            stack.callback(link.ending.set)
            group.create_task(link.keep())
            await link.tried.wait()
            yield InFleet(member=member, link=link, released=released)


async def _released(stack: AsyncExitStack, parts: _Parts, link: _Link, journal: StructuredJournal) -> Released | None:
    """What brings releases; None: what it keeps on the disk cannot be used, and the log says so."""
    from homebred_daemon.app.releases import Around, releases  # noqa: PLC0415  # only on an enrolled device

    around = Around(
        settings=parts.settings,
        keeper=parts.member.keeper,
        receipts=parts.receipts,
        followed=parts.followed,
        caretaker=parts.caretaker,
        journal=journal,
        stopping=lambda: link.stopping,
        requests=link.requests,
    )
    try:
        released = await stack.enter_async_context(releases(around))
    except StateError as error:
        journal.note(fleet_messages.INSTALL_HELD_UP, error_code=error.code)
        return None
    link.when_changed(released.releasing.news)
    link.signed = released.documents
    return released


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What the link is made of."""

    settings: Settings
    member: Membership
    receipts: Receipts
    followed: Followed
    caretaker: Caretaking


class _Link:
    """The link with the fleet, as soon as what it keeps on the disk can be used: the device serves without it."""

    def __init__(self, parts: _Parts) -> None:
        self._parts = parts
        self._open: FleetSync | None = None
        self._hear: Callable[[], None] = _nobody_hears
        self.signed: SignedDocuments = _NoneSigned()
        """Policies and gazetteers; to be set before `keep`."""
        self.tried = asyncio.Event()
        """It is there, or could not be had at once."""
        self.ending = asyncio.Event()
        """It is needed no longer."""

    @property
    def stopping(self) -> Stopping:
        """The newest stop order; while its memory cannot be read, as if one held: a stop beats a start (I8)."""
        return UNKNOWN if self._open is None else self._open.stopping

    @property
    def requests(self) -> CurrentRequests:
        """What may be asked of the controller over the broker, whether or not there is a link."""
        from homebred_daemon.services.fleet.link_requests import CurrentRequests  # noqa: PLC0415  # only on an enrolled device

        return CurrentRequests(lambda: None if self._open is None else self._open.requests)

    def when_changed(self, hear: Callable[[], None]) -> None:
        """Has a function called each time something else is desired or stopped, or the fleet can be reached again."""
        self._hear = hear

    async def outbox_depth(self) -> OutboxDepth:
        """What waits for the controller. Raises StateError."""
        return NO_OUTBOX if self._open is None else await self._open.outbox_depth()

    async def keep(self) -> None:
        """Until it is needed no longer."""
        pause_s = FIRST_AGAIN_S
        while not self.ending.is_set():
            try:
                async with AsyncExitStack() as stack:
                    self._be(await _opened(stack, self._parts, self.signed, self.requests))
                    self.tried.set()
                    await self.ending.wait()
            except StateError as error:
                self._parts.followed.journal.note(fleet_messages.FLEET_HELD_UP, error_code=error.code)
            finally:
                self._be(None)
                self.tried.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self.ending.wait()
            pause_s = min(2 * pause_s, LONGEST_AGAIN_S)

    def _be(self, link: FleetSync | None) -> None:
        self._open = link
        self._parts.caretaker.fleet = None if link is None else link.state
        if link is not None:
            link.when_changed(self._hear)
        self._hear()


def _nobody_hears() -> None:
    """Before anybody follows the link."""


class _NoneSigned:
    """Fulfils `ports.fleet.SignedDocuments` where nothing can be looked at."""

    async def document(self, kind: Kind, digest: str, *, stop_epoch: int) -> bytes:  # noqa: ARG002  # as the port has it
        raise StateError(
            "what is signed for this device cannot be looked at: files that installing needs cannot be used",
            hint="see the log of the daemon's start, and run `homebred doctor`",
        )


async def _opened(
    stack: AsyncExitStack, parts: _Parts, signed: SignedDocuments, requests: CurrentRequests
) -> FleetSync:
    from homebred_daemon.app.telemetry import Owner, outbox_in, telemetry  # noqa: PLC0415  # only on an enrolled device
    from homebred_daemon.services.fleet.fleet_sync import FleetSync  # noqa: PLC0415

    settings, followed = parts.settings, parts.followed
    quota = Quota(max_events=settings.fleet.max_outbox_events, max_bytes=settings.fleet.max_outbox_mb * MEGABYTE)
    enrolled = parts.member.keeper.identity.membership
    owner = Owner(device=enrolled.device_id, enrolled_at_s=enrolled.enrolled_at_s)
    outbox = stack.enter_context(
        outbox_in(settings.paths.state_dir, quota, followed.clock, followed.journal, owner=owner)
    )
    means = _means(stack, parts, outbox, signed, requests)
    link = FleetSync(means)
    parts.receipts.taker = await stack.enter_async_context(telemetry(followed, outbox, tell=link.expect_events))
    stack.callback(parts.receipts.end)
    await stack.enter_async_context(link.running())
    parts.member.keeper.when_renewed(link.renewed)
    return link


def _means(
    stack: AsyncExitStack, parts: _Parts, outbox: Outbox, signed: SignedDocuments, requests: CurrentRequests
) -> Means:
    from homebred_daemon.adapters.blobs_mqtt import MqttBlobs  # noqa: PLC0415
    from homebred_daemon.adapters.document_folder import FleetDocumentFolder  # noqa: PLC0415
    from homebred_daemon.adapters.fleet_https import ControllerHttps  # noqa: PLC0415
    from homebred_daemon.adapters.fleet_wire import FleetWire  # noqa: PLC0415
    from homebred_daemon.adapters.list_fetching import ListFetching  # noqa: PLC0415
    from homebred_daemon.adapters.store.fleet_state import SqliteFleetMemory  # noqa: PLC0415
    from homebred_daemon.adapters.trust.files import TrustFiles  # noqa: PLC0415
    from homebred_daemon.adapters.trust.stop_check import DirectorsWord  # noqa: PLC0415
    from homebred_daemon.services.fleet.fleet_documents import DocumentDesk  # noqa: PLC0415
    from homebred_daemon.services.fleet.fleet_sync import Means  # noqa: PLC0415
    from homebred_protocol.documents.gazetteer_manifest import MAX_LIST_BYTES  # noqa: PLC0415

    keeper, followed, caretaker = parts.member.keeper, parts.followed, parts.caretaker
    state_dir = parts.settings.paths.state_dir
    enrolled = keeper.identity.membership
    folder = FleetDocumentFolder(state_dir / FOLDER / "documents")
    memory = stack.enter_context(closing(SqliteFleetMemory(state_dir / FOLDER / "fleet.sqlite", enrolled.device_id)))
    lists = ListFetching(
        ControllerHttps(followed.clock),
        MqttBlobs(requests, most_bytes=MAX_LIST_BYTES),
        identity=lambda: keeper.identity,
    )
    return Means(
        outbox=outbox,
        memory=memory,
        documents=DocumentDesk(signed, folder, lists, caretaker),
        stop_check=DirectorsWord(TrustFiles(state_dir, enrolled)),
        words=FleetWire(enrolled.device_id),
        commands=parts.member.desk,
        dial=_dial,
        identity=lambda: keeper.identity,
        span=keeper.clock_span,
        facts=lambda: _facts(keeper.identity, followed, caretaker),
        receipts=parts.receipts,
        clock=followed.clock,
        journal=followed.journal,
        chance=random.SystemRandom().random,
        report_defect=partial(last_resort.defect, followed.journal),
    )


def _dial(identity: Identity, hand_over: HandOver) -> MqttConnection:
    from homebred_protocol.mqtt import Endpoint  # noqa: PLC0415
    from homebred_protocol.mqtt_thread import MqttThread  # noqa: PLC0415

    membership = identity.membership
    endpoint = Endpoint(membership.broker_host, membership.broker_port, identity.credentials)
    return MqttThread(endpoint, hand_over, name="fleet-link")


def _facts(identity: Identity, followed: Followed, caretaker: Caretaking) -> Facts:
    from homebred_daemon.core.fleet_messages import Facts  # noqa: PLC0415

    return Facts(
        software_version=version("homebred"),
        policy_digest=caretaker.policy().site.policy.digest,
        registry_digest=followed.answering.standing.decider.registry.digest,
        certificate_ends_at_s=identity.certificate.ends_s,
        architecture=platform.machine(),
    )
