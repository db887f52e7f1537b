"""Has the daemon count, and lets others read the figures, where the site wants them; of all others, nothing."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

from homebred_daemon.adapters import loopback
from homebred_daemon.adapters.accounts import group_id
from homebred_daemon.adapters.grpc_api.sockets import OwnSocket, SoleRight
from homebred_daemon.core.link import Link
from homebred_daemon.core.measures import Given
from homebred_daemon.errors import StateError
from homebred_daemon.ports.measures import UNMEASURED, Measures
from homebred_daemon.ports.outbox import OutboxDepth
from homebred_daemon.services.answering import Answering
from homebred_daemon.services.engines import WorkerPool
from homebred_daemon.services.models import Site
from homebred_daemon.services.reviews.review_desk import ReviewDesk
from homebred_daemon.settings import MetricsSettings

if TYPE_CHECKING:
    from homebred_daemon.services.tallying import Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What is measured, once it is there."""

    answering: Answering
    pool: WorkerPool
    reviews: ReviewDesk
    links: Callable[[], Mapping[str, Link]]
    site: Site
    """Whose detectors mask what leaves."""
    outbox: Callable[[], Awaitable[OutboxDepth]] | None
    """What waits for the fleet; None: the device is in none."""

    @property
    def entity_types(self) -> frozenset[str]:
        """All that can be masked in what leaves."""
        return (self.site.cloud_detector or self.site.detector).entity_types


class Measuring:
    """The figures of one daemon: `measures` hears them, `exposed` shows them."""

    def __init__(self, settings: MetricsSettings) -> None:
        self._settings = settings
        self._tally = _tally() if settings.are_wanted else None
        self.measures: Measures = self._tally or UNMEASURED

    @asynccontextmanager
    async def exposed(self, measured: Measured) -> AsyncIterator[None]:
        """Lets others read them, for as long as the context lasts.

        Raises:
            ConfigurationError, StateError: the socket or the port cannot be had.
        """
        if self._tally is None:
            yield
            return
        from homebred_daemon.adapters.metrics_server import MetricsServer  # noqa: PLC0415  # only where it is wanted
        from homebred_daemon.adapters.process_figures import process_figures  # noqa: PLC0415
        from homebred_daemon.core.exposition import CONTENT_TYPE, exposition  # noqa: PLC0415
        from homebred_daemon.services.gauging import Gauging, no_outbox  # noqa: PLC0415

        tally, release = self._tally, version("homebred")
        gauging = Gauging(
            measured.answering,
            measured.pool,
            measured.reviews,
            links=measured.links,
            process=process_figures,
            version=release,
            outbox=measured.outbox or no_outbox,
        )
        tally.know(Given.SPECIALIST, lambda: measured.answering.standing.specialists)
        tally.know(Given.ALIAS, measured.links)
        tally.know(Given.ENTITY_TYPE, lambda: measured.entity_types)
        tally.know(Given.VERSION, lambda: {release})

        async def text() -> str:
            series = tally.series(await gauging.readings())
            return await asyncio.to_thread(exposition, series)  # some milliseconds, where there are many specialists

        with _listening(self._settings) as listener:
            async with MetricsServer(listener, text, content_type=CONTENT_TYPE).running():
                yield


def _tally() -> Tally:
    from homebred_daemon.services.tallying import Tally  # noqa: PLC0415

    return Tally()


@contextmanager
def _listening(settings: MetricsSettings) -> Iterator[socket.socket]:
    """Where the settings say."""
    if settings.socket is None:
        yield _on_port(settings.port)
        return
    gid = group_id(settings.group, setting="metrics.group") if settings.group else None
    with ExitStack() as stack:
        stack.callback(SoleRight(settings.socket.with_name(f"{settings.socket.name}.lock")).release)
        own = OwnSocket(settings.socket, gid=gid, setting="metrics.group")
        stack.callback(own.remove)
        yield own.listener


def _on_port(port: int) -> socket.socket:
    try:
        return loopback.listener(loopback.ADDRESS, port)
    except OSError as error:
        raise StateError(
            f"port {port} of the loopback cannot be had for metrics: {error.strerror}",
            hint="write another one for metrics.port, or metrics.socket in its place",
        ) from error
