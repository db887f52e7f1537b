"""The parts of a daemon that telemetry and the fleet's link follow; neither is loaded where no fleet is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from homebred_daemon.ports.clock import Clock
from homebred_daemon.ports.journal import Journal
from homebred_daemon.services.answering import Answering
from homebred_daemon.services.engines import WorkerPool
from homebred_daemon.services.recording import Recorder
from homebred_daemon.services.reviews.review_desk import ReviewDesk


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """The parts of a daemon that telemetry follows."""

    state_dir: Path
    recorder: Recorder
    answering: Answering
    pool: WorkerPool
    reviews: ReviewDesk
    clock: Clock
    journal: Journal
