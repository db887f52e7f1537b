"""What installing needs of the world: files of releases, the store, the gate, the serving daemon, leave, records."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from homebred_daemon.core.activation import InForce
from homebred_daemon.core.builds import Built
from homebred_daemon.core.compatibility import DeviceFacts, Refusal
from homebred_daemon.core.deployment import Event, Install, State, Tally
from homebred_daemon.core.gate import Trial
from homebred_daemon.core.pairs import Pairs
from homebred_daemon.core.releases import Release
from homebred_daemon.core.shelf import StoredSpecialist
from homebred_daemon.core.stopping import Stopping
from homebred_daemon.core.trust import Lease
from homebred_daemon.ports.building import BuiltForm


class ReleaseFiles(Protocol):
    """The bytes of trusted releases, aside until the store has them."""

    async def fetch(self, release: Release) -> Path | Refusal:
        """The folder with all of the release's files, whole: what is there already is not fetched again.

        It may be cancelled, and goes on where it was when it is called again.

        Raises:
            HomebredError: not now: the link is down, the disk is full. It is tried again.
        """
        ...

    async def discard(self, release: Release) -> None:
        """The files are needed no more; harmless where there are none. Raises StateError."""
        ...

    async def keep_only(self, wanted: Collection[Release]) -> None:
        """The files of all other releases are needed no more, whatever a kill has left of them. Raises StateError."""
        ...


class ReleaseStore(Protocol):
    """The model store, as installing uses it. Not for two threads at once."""

    def take(self, folder: Path, release: Release) -> Refusal | None:
        """Takes all bytes of a folder into the release's slot, each held against its signed digest; None: done.

        A refusal with the code `damaged` says that the bytes are not the signed ones; any other is of the release.

        Raises:
            StateError: the store cannot be written; it is as it was.
        """
        ...

    def stored(self, specialist_id: str, number: int) -> StoredSpecialist | None:
        """What is in a slot, if it is whole; of what was built here every byte is looked at. Raises StateError."""
        ...

    def inputs(self, release: Release) -> Sequence[Path] | None:
        """What its recipe builds of, in order, every byte held against its signed digest; None: not all is there.

        Raises StateError.
        """
        ...

    def take_built(self, release: Release, form: BuiltForm) -> Refusal | None:
        """Takes what was built into the release's slot, which is then whole; what it was built of leaves. None: done.

        Raises:
            StateError: the store cannot be written; it is as it was.
        """
        ...

    def built(self, release: Release) -> Built | None:
        """What was built and is there, every byte of it; None: nothing, or it is damaged. Raises StateError."""
        ...

    def golden_paths(self, release: Release) -> Mapping[str, Path]:
        """Where the golden sets of its gate stand, by workflow. Raises StateError."""
        ...

    def in_force(self, specialist_id: str) -> InForce:
        """What serves, and what a rollback goes back to. Raises StateError."""
        ...

    def activate(self, specialist_id: str, after: InForce) -> None:
        """Has a release serve from now on; after a kill the one before or this one does. Raises StateError."""
        ...

    def move_back(self, specialist_id: str) -> None:
        """Has the last good one serve again. It needs no room on the disk. Raises StateError."""
        ...

    def settle(self, specialist_id: str, after: InForce) -> None:
        """Notes that what serves has stood its probation. Raises StateError."""
        ...

    def released(self) -> Mapping[str, Collection[int]]:
        """Numbers of the releases that have a slot, by specialist. Raises StateError."""
        ...

    def remove_release(self, specialist_id: str, number: int) -> int:
        """Takes a release out, never what serves or what a rollback goes back to; bytes freed. Raises StateError."""
        ...


class Gate(Protocol):
    """Measures a release on this device, through a real engine."""

    async def try_out(self, stored: StoredSpecialist, golden: Mapping[str, Path]) -> Trial | Refusal:
        """What was measured, and kept as its fitness; a refusal: its engine does not take it.

        Raises:
            HomebredError: the engine failed; it is tried again.
        """
        ...

    async def facts(self, engine: str) -> DeviceFacts:
        """What this device and one of its engines are. Raises HomebredError: nobody can say now."""
        ...


class Serving(Protocol):
    """The daemon that serves."""

    async def take_up(self) -> None:
        """Serves what the store now names; streams that run end on what they began with. Raises StateError."""
        ...

    def in_use(self) -> Collection[str]:
        """Digests of bases and adapters that answers run on, or wait for."""
        ...


class Orders(Protocol):
    """What the director and the fleet have said."""

    @property
    def device_id(self) -> str:
        """Who this device is."""
        ...

    def lease(self, release: Release) -> Lease | None:
        """Its leave to activate a release, as trusted; None: it gave none."""
        ...

    def stopping(self) -> Stopping:
        """The newest stop order."""
        ...

    def trusted_now_s(self) -> int:
        """Trusted time, Unix seconds: never below what is known to have passed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One move of an install, as it is kept."""

    seq: int
    """In the order in which they were made on this device."""
    install: int
    """The install's `seq`."""
    at_s: int
    event: Event | None
    """None: it was begun."""
    state: State
    """That it led to."""
    code: str = ""
    reason: str = ""
    facts: Mapping[str, int] = field(default_factory=dict)
    built: str = ""
    """`sha256:` of what had been built of the release by then; empty: nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Outcomes of one specialist's answers, of one version of it."""

    specialist: str
    version: str
    """`StoredSpecialist.version` of what answered: a task begun on the old one counts for the old one."""
    tally: Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Declined:
    """Something signed that became no install, as it is kept for the fleet to hear of, over the air or by hand."""

    seq: int
    """In the order in which they were kept on this device."""
    about: str
    """Path of the target, `image`, `director`, or empty: all."""
    code: str
    digest: str
    """Of the target, where it is known; else empty."""
    at_s: int
    """Trusted Unix seconds."""


class ReceiptSigner(Protocol):
    """Signs what the fleet hears of installs with this device's key."""

    def signed(self, install: Install, step: Step) -> bytes:
        """The receipt of a step (`homebred_protocol.receipts.packed`); empty: the fleet hears nothing of such a step.

        Raises:
            StateError: this device is in no fleet, or its key cannot be read.
        """
        ...

    def signed_refusal(self, declined: Declined) -> bytes:
        """The receipt of what became no install. Raises StateError, as above."""
        ...


class InstallStore(Protocol):
    """Where installs are kept, with each step. Every method may raise StateError; not for two threads."""

    def begin(self, release: Release, *, now_s: int, ends: Install | None = None, reason: str = "") -> Install:
        """Keeps a new install; the one that it `ends` is superseded with the same commit."""
        ...

    def move(
        self,
        install: Install,
        event: Event,
        *,
        now_s: int,
        refusal: Refusal | None = None,
        facts: Mapping[str, int],
        built: Built | None = None,
    ) -> Install:
        """Keeps the state that an event leads to, with the step, and what was `built`, if something was.

        Where a release is activated, another one of its specialist in probation is superseded by the same commit.
        """
        ...

    def hold(self, install: Install, refusal: Refusal, *, attempts: int) -> Install:
        """Keeps what an install waits for, and how often its act broke off; it makes no step."""
        ...

    def compare(self, install: Install, pairs: Pairs) -> Install:
        """Keeps what it and what serves made of the same tasks."""
        ...

    def refer(self, install: Install, version: str, reference: Tally) -> Install:
        """Keeps whose outcomes will count for it, and what the incumbent's were, for the probation that follows."""
        ...

    def find(self, seq: int) -> Install | None:
        """One install."""
        ...

    def unfinished(self) -> Sequence[Install]:
        """Those that have not ended, the oldest first."""
        ...

    def history(self, specialist_id: str = "") -> Sequence[Install]:
        """All of a specialist, or of all, the newest first."""
        ...

    def steps(self, install: Install) -> Sequence[Step]:
        """Its steps, the oldest first."""
        ...

    def untold(self) -> Sequence[tuple[Install, Step]]:
        """Steps that nobody was told of, the oldest first."""
        ...

    def told(self, step: Step) -> None:
        """That step was told."""
        ...

    def decline(self, about: str, code: str, digest: str, *, now_s: int) -> None:
        """Keeps that something signed became no install: the same for the same reason once a day, and the newest."""
        ...

    def declined(self) -> Sequence[Declined]:
        """All that is kept, the oldest first."""
        ...

    def untold_declined(self) -> Sequence[Declined]:
        """Those that nobody was told of, the oldest first."""
        ...

    def told_declined(self, declined: Declined) -> None:
        """That was told."""
        ...

    def counted_through(self) -> str:
        """The cursor of the feed behind all that was counted; empty: nothing was."""
        ...

    def count(self, counted: Sequence[Counted], *, through: str) -> None:
        """Adds outcomes up to a cursor of their feed; told once more up to the same one, they are counted already.

        They count for whatever answered, and for its probation where that is in one.
        """
        ...

    def tally(self, specialist_id: str, version: str) -> Tally:
        """Outcomes of what answered, its newest ones."""
        ...

    def close(self) -> None:
        """Nothing may be called afterwards."""
        ...
