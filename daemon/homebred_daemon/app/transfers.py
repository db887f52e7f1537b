"""Puts transfers of releases together: terms from the settings, a staging folder beside the blobs, and sources.

It starts nothing, and fetches nothing by itself.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from homebred_daemon.adapters.blob_shelf import BlobShelf
from homebred_daemon.adapters.blob_store import BlobStore
from homebred_daemon.adapters.blobs_https import Elsewhere, HttpsBlobs, Place, at_controller, at_static_server, trusting
from homebred_daemon.adapters.blobs_mqtt import MqttBlobs
from homebred_daemon.adapters.staging_folder import StagingFolder
from homebred_daemon.adapters.system_clock import second_of_local_day
from homebred_daemon.core.transfer_pace import read_windows
from homebred_daemon.ports.clock import Clock
from homebred_daemon.ports.identity import Identity
from homebred_daemon.ports.transfer import BlockLine, ByteSource
from homebred_daemon.services.releases.fetching import Fetching, Surroundings, Terms
from homebred_daemon.settings_of_fleet import TransferSettings

KILO, MEGA = 1000, 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfers:
    """What brings releases to a device."""

    fetching: Fetching
    staging: StagingFolder
    sources: tuple[ByteSource, ...]
    """The site's mirror, the controller, the broker: each where there is one."""
    close: Callable[[], None]
    """Ends the threads of the sources."""


def transfers(
    settings: TransferSettings,
    *,
    store: Path,
    clock: Clock,
    identity: Callable[[], Identity],
    line: BlockLine | None = None,
) -> Transfers:
    """Of one enrolled device.

    Args:
        settings: what its administrator allows.
        store: folder of the model store; what is on its way waits inside it, so that nothing is ever copied.
        clock: the machine's.
        identity: as whom the controller is asked, at each connection anew.
        line: the fleet's link, where it carries blocks.

    Raises:
        StateError: the staging folder cannot be used.
    """
    staging = StagingFolder(store / "staging")
    around = Surroundings(
        staging=staging,
        shelf=BlobShelf(BlobStore(store / "blobs")),
        clock=clock,
        second_of_day=second_of_local_day,
        chance=random.random,
    )
    terms = Terms(
        bytes_per_s=settings.max_kilobytes_per_s * KILO,
        windows=read_windows(settings.windows),
        reserve_bytes=settings.reserve_mb * MEGA,
    )
    over_https = [HttpsBlobs(place) for place in _places(settings, identity)]
    over_broker: list[ByteSource] = []
    if line is not None and settings.broker_mb:
        over_broker.append(MqttBlobs(line, most_bytes=settings.broker_mb * MEGA))

    def close() -> None:
        for each in over_https:
            each.close()

    return Transfers(
        fetching=Fetching(around, terms), staging=staging, sources=(*over_https, *over_broker), close=close
    )


def _places(settings: TransferSettings, identity: Callable[[], Identity]) -> Iterator[Place]:
    context = trusting(Path(settings.authorities) if settings.authorities else None)
    if settings.mirror:
        yield at_static_server(settings.mirror, context=context, name="the site's mirror")
    yield at_controller(identity, Elsewhere(base=settings.store, context=context) if settings.store else None)
