"""The daemon's face: the right to be the only one, the socket, the relay and the gRPC server."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from uuid import uuid4

from homebred_daemon import messages
from homebred_daemon.adapters import last_resort
from homebred_daemon.adapters.accounts import Access
from homebred_daemon.adapters.grpc_api.bundles import BundleFace
from homebred_daemon.adapters.grpc_api.control import ControlServicer
from homebred_daemon.adapters.grpc_api.inference import InferenceServicer
from homebred_daemon.adapters.grpc_api.relay import Relay, RelayRules
from homebred_daemon.adapters.grpc_api.reviews import ReviewFace
from homebred_daemon.adapters.grpc_api.server import ApiLimits, ApiServer
from homebred_daemon.adapters.grpc_api.sockets import LOCK_NAME, OwnSocket, SoleRight, private_socket
from homebred_daemon.adapters.logs import StructuredJournal
from homebred_daemon.config import Settings
from homebred_daemon.core.access import Role, roles_of
from homebred_daemon.core.measures import CALLERS_UNREAD
from homebred_daemon.errors import RequestError
from homebred_daemon.inbound.fleet import BundleDesk
from homebred_daemon.inbound.importing import FolderImports
from homebred_daemon.inbound.stream_room import StreamRoom
from homebred_daemon.ports.journal import Journal
from homebred_daemon.ports.measures import Measures
from homebred_daemon.services.answering import Answering
from homebred_daemon.services.caretaking import Caretaking
from homebred_daemon.services.embedding import Embedding
from homebred_daemon.services.feedback import Feedback
from homebred_daemon.services.residency import Residency
from homebred_daemon.services.reviews.review_desk import ReviewDesk


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the calls of the socket lead to."""

    answering: Answering
    embedding: Embedding
    caretaker: Caretaking
    residency: Residency
    reviews: ReviewDesk
    bundles: BundleDesk | None
    """None: the device is in no fleet."""
    imports: FolderImports | None
    """None: the device is in no fleet, or what it keeps of releases cannot be used."""
    feedback: Feedback
    measures: Measures
    room: StreamRoom


@contextmanager
def only_daemon_here(settings: Settings, *, owns_socket: bool) -> Iterator[None]:
    """The right to everything that two daemons could not share; taken before any of it is opened or bound."""
    paths = settings.paths
    with ExitStack() as stack:
        stack.callback(SoleRight(paths.state_dir / LOCK_NAME).release)
        stack.callback(SoleRight(paths.runtime_dir / LOCK_NAME).release)
        if owns_socket:
            stack.callback(SoleRight(paths.socket.with_name(paths.socket.name + ".lock")).release)
        yield


@contextmanager
def listening(settings: Settings, access: Access, inherited: socket.socket | None) -> Iterator[socket.socket]:
    """The public socket: the inherited one, which whoever made it keeps, or the daemon's own."""
    if inherited is not None:
        yield inherited
        return
    own = OwnSocket(settings.paths.socket, gid=access.socket_gid)
    try:
        yield own.listener
    finally:
        own.remove()


def api_server(
    settings: Settings, access: Access, listener: socket.socket, services: Services, journal: StructuredJournal
) -> ApiServer:
    """The gRPC server behind its relay; it serves once it is started."""
    requests = settings.requests
    backend = private_socket(settings.paths.runtime_dir)
    rules = RelayRules(unread_timeout_s=requests.unread_timeout_s, on_refusal=partial(_note_refused, journal))
    relay = Relay(listener, backend, rules)
    face = ReviewFace(
        reviews=services.reviews,
        feedbacks=services.feedback,
        caller_of=lambda context: relay.peer_of(context).principals,
        sees_all=lambda context: Role.REVIEWER in roles_of(relay.peer_of(context), access.rules),
    )
    inference = InferenceServicer(
        services.answering,
        services.embedding,
        face,
        caller_of=face.caller_of,
        default_deadline_s=requests.default_deadline_s,
        room=services.room,
        unread_timeout_s=requests.unread_timeout_s,
        report_unread=partial(note_unread, journal, services.measures),
        new_task_id=lambda: str(uuid4()),
    )
    bundles = BundleFace(services.bundles, principal_of=lambda context: next(iter(face.caller_of(context)), ""))
    control = ControlServicer(services.caretaker, services.residency, face, journal, bundles, imports=services.imports)
    return ApiServer(
        relay,
        backend,
        inference=inference,
        control=control,
        rules=access.rules,
        limits=ApiLimits(max_message_bytes=requests.max_message_bytes, max_streams=requests.max_streams),
        report_defect=partial(last_resort.defect, journal),
    )


def _note_refused(journal: Journal, refusal: RequestError) -> None:
    journal.note(messages.CONNECTION_REFUSED, error_code=refusal.code)


def note_unread(journal: Journal, measures: Measures, caller: tuple[str, ...]) -> None:
    """A caller did not read its answer and was dropped."""
    measures.count(CALLERS_UNREAD)
    journal.note(messages.CALLER_UNREAD, principal=caller[0] if caller else "")
