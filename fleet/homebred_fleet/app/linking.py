"""Puts the controller's side of the link together: hub, intake, reconciler, answers; one database, one broker."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from homebred_fleet.adapters.mqtt_hub import MqttHub
from homebred_fleet.adapters.store.database import Database
from homebred_fleet.adapters.store.intake import StoreIntake
from homebred_fleet.adapters.store.intents import StoreIntents
from homebred_fleet.core.figures import Figures
from homebred_fleet.ports.director import StopSigner
from homebred_fleet.ports.journal import Journal
from homebred_fleet.ports.library import Library
from homebred_fleet.services.answering import Answering
from homebred_fleet.services.hub import HubService, reconciler_hears
from homebred_fleet.services.ingesting import Ingesting
from homebred_fleet.services.reconciling import Reconciling
from homebred_protocol.mqtt import HandOver, MqttConnection


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What runs, and what others need of it."""

    service: HubService
    answering: Answering
    ingesting: Ingesting
    reconciling: Reconciling
    """Its `wake` is for whoever changed what devices should hear, from any thread."""
    figures: Figures

    async def run(self) -> None:
        """Until cancelled."""
        await self.service.run(self.ingesting, self.reconciling, self.answering)


def linked(
    database: Database,
    library: Library,
    journal: Journal,
    signer: StopSigner,
    *,
    make_connection: Callable[[HandOver], MqttConnection],
    now_s: Callable[[], int],
    is_shared: bool = False,
) -> Link:
    """The link of one controller, not running yet; `is_shared` where several controllers take turns."""
    hub, figures = MqttHub(make_connection), Figures()
    reconciling = Reconciling(StoreIntents(database), hub, journal, figures, signer, now_s=now_s)
    ingesting = Ingesting(
        StoreIntake(database), hub, journal, figures, now_s=now_s, noticed=reconciler_hears(reconciling)
    )
    service = HubService(hub, journal, figures, random_share=random.SystemRandom().random, is_shared=is_shared)
    answering = Answering(library, hub, journal, figures)
    return Link(service=service, answering=answering, ingesting=ingesting, reconciling=reconciling, figures=figures)
