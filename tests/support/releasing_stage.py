"""A device that looks for releases: real trust rules over scripted looks, and an intake that installs nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from tests.support.manual_clock import ManualClock, run_with, settled
from tests.support.recorded_journal import RecordedJournal
from tests.support.release_files_stage import MANIFEST
from tests.support.trust_stage import HERE, NOW_S, FixedSource, MemoryTrust, ScriptedChecker
from typing_extensions import override

from homebred_daemon.core.deployment import Install, Plan, State
from homebred_daemon.core.releases import Release
from homebred_daemon.core.stopping import Stopping
from homebred_daemon.core.trust import Described, Lease, Seen
from homebred_daemon.core.trust_floors import Floors, RepositoryFloors, Versions
from homebred_daemon.core.trust_refusals import Refusal
from homebred_daemon.errors import HomebredError, StateError, UntrustedError
from homebred_daemon.ports.trust import Checked, CheckedTrust, HeldRepository, HeldTrust
from homebred_daemon.services.releases.looking import Looking
from homebred_daemon.services.releases.releasing import Releasing, ReleasingMeans
from homebred_daemon.services.releases.trusting import Trusting
from homebred_protocol.digests import digest_of
from homebred_protocol.documents.release import canonical_bytes
from homebred_protocol.trusted_files import image_target

DAY_S = 86_400
TURNS = 60
"""Of the loop, in which all goes on that can."""


def path_of(number: int) -> str:
    """Where release so and so is signed."""
    return f"models/qa/intake/{number}.json"


def body_of(number: int, **more: object) -> bytes:
    """The manifest of release so and so."""
    return canonical_bytes(replace(MANIFEST, number=number, **more))  # type: ignore[arg-type]  # fields of a manifest


def look(
    *bodies: bytes, numbers: Sequence[int] = (), lease_s: int = DAY_S, refusal: Refusal | None = None
) -> CheckedTrust:
    """A look at which both repositories name releases; `refusal`: the image repository is refused."""
    names = dict(zip(numbers or range(7, 7 + len(bodies)), bodies, strict=True))
    lease = {"stop_epoch": 0, "issued_at_s": NOW_S, "expires_at_s": NOW_S + lease_s}
    return CheckedTrust(
        image=_checked("image", names, lambda number: {"kind": "release", "site": "", "number": number}, refusal),
        director=_checked("director", names, lambda _: {"device": HERE.device, "lease": lease}, None),
    )


def _checked(
    name: str, names: Mapping[int, bytes], custom: Callable[[int], dict[str, object]], refusal: Refusal | None
) -> Checked:
    versions = Versions(root=1, keys=name, versions={"timestamp": 6})
    targets = {
        path_of(number): Described(
            length=len(body), hashes={"sha256": digest_of(body)[7:]}, custom=custom(number), role="models-qa"
        )
        for number, body in names.items()
    }
    device = HERE.device if name == "director" else ""
    seen = Seen(versions=versions, expires_at_s=NOW_S + 30 * DAY_S, targets=targets, device=device)
    return Checked(files={}, versions=versions, seen=None if refusal else seen, refusal=refusal)


@dataclass
class Intake:
    """Fulfils `services.releases.releasing.Intake`: it installs nothing, and remembers what was wanted of it."""

    wanted: list[int] = field(default_factory=list)
    withdrawn: list[int] = field(default_factory=list)
    installs: list[Install] = field(default_factory=list)
    declined: list[tuple[str, str]] = field(default_factory=list)
    """What became no install, and why."""
    full_after: int = 1000
    """How many of those the disk takes."""
    refuses: str = ""
    """The code of a plan that begins nothing."""

    async def planned(self, release: Release) -> Plan:
        if self.refuses:
            return Plan(begins=False, code=self.refuses, sentence="no")
        same = [each for each in self.installs if each.release.digest == release.digest]
        return Plan(begins=not same or same[0].state is State.WITHDRAWN)

    async def want(self, release: Release) -> Plan:
        self.wanted.append(release.number)
        planned = await self.planned(release)
        if not planned.begins:
            return planned
        state = State.DOWNLOADING
        self.installs.insert(
            0, Install(seq=len(self.installs) + 1, release=release, state=state, begun_at_s=NOW_S, changed_at_s=NOW_S)
        )
        return Plan(begins=True)

    async def withdraw(self, specialist_id: str, digest: str) -> bool:
        self.withdrawn += [each.release.number for each in self.installs if each.release.digest == digest]
        self.installs = [
            replace(each, state=State.WITHDRAWN) if each.release.digest == digest else each for each in self.installs
        ]
        return True

    async def known(self) -> Sequence[Install]:
        return self.installs

    async def decline(self, about: str, code: str, digest: str) -> None:
        if len(self.declined) >= self.full_after:
            raise StateError("the disk is full")
        self.declined.append((about, code))

    def news(self) -> None:
        """Nothing waits here."""


@dataclass
class Manifests:
    """Fulfils `services.releases.releasing.Manifests`."""

    kept: dict[str, bytes] = field(default_factory=dict)

    async def keep(self, digest: str, body: bytes) -> None:
        self.kept[digest] = body

    async def has_manifest(self, digest: str) -> bool:
        return digest in self.kept


@dataclass
class Leases:
    """Fulfils `services.releases.releasing.LeaseMemory`."""

    kept: dict[str, Lease] = field(default_factory=dict)

    def held(self) -> dict[str, Lease]:
        return dict(self.kept)

    def keep(self, leases: dict[str, Lease]) -> None:
        self.kept = dict(leases)


class Clock(ManualClock):
    """Counts from the time that signed things here are of."""

    @override
    def now(self) -> datetime:
        return datetime.fromtimestamp(NOW_S + self.elapsed_s, UTC)


class Again(ScriptedChecker):
    """Finds the last thing again and again."""

    @override
    async def check(self, *args: object, **more: object) -> CheckedTrust:
        if len(self.found) == 1:
            self.found *= 2
        return await super().check(*args, **more)  # type: ignore[arg-type]  # passed on as they came


class Stage:
    """One device; what its looks find is given in order, the last again and again."""

    def __init__(self, *looks: CheckedTrust | UntrustedError, gather_s: float = 0.0) -> None:
        self.gather_s = gather_s
        self.clock, self.journal = Clock(), RecordedJournal()
        self.intake, self.manifests, self.leases = Intake(), Manifests(), Leases()
        self.stopping = Stopping()
        self.files = {image_target(path_of(n), digest_of(body_of(n))): body_of(n) for n in range(1, 20)}
        self.pins: list[HomebredError] = []
        self.signs = True
        """Whether the fleet has roots to pin."""
        self.checker = Again(*looks)
        self.trust = MemoryTrust(
            HeldTrust(
                image=HeldRepository(pinned=b"i"),
                director=HeldRepository(pinned=b"d"),
                floors=Floors(image=RepositoryFloors(keys="image"), director=RepositoryFloors(keys="director")),
            )
        )
        self.releasing = self._made()

    def serve(self, number: int, body: bytes) -> None:
        """Offers another manifest."""
        self.files[image_target(path_of(number), digest_of(body))] = body

    def run(self, story: Callable[[Stage], Awaitable[None]]) -> None:
        """Runs a story while the device looks, in virtual time; it may be called again, as after a restart."""

        async def told() -> None:
            async with self.releasing.running(self.intake):
                await self.rest()
                await story(self)

        self.releasing = self._made()
        run_with(self.clock, told())

    async def rest(self, seconds: float = 0.0) -> None:
        """Lets time pass, and all go on that can."""
        self.clock.pass_s(seconds)
        await settled()

    @property
    def looks(self) -> int:
        """How often it has looked."""
        return len(self.checker.asked_at_s)

    def _made(self) -> Releasing:
        def fail(error: BaseException) -> None:
            raise AssertionError from error

        self.looking = Looking(
            Trusting(self.trust, self.checker, self.clock, HERE),
            ready=self._ready,
            source=lambda: FixedSource(self.files),
            gather_s=self.gather_s,
        )
        return Releasing(
            ReleasingMeans(
                looking=self.looking,
                manifests=self.manifests,
                leases=self.leases,
                stopping=lambda: self.stopping,
                clock=self.clock,
                journal=self.journal,
                report_defect=fail,
            )
        )

    async def _ready(self) -> bool:
        if self.pins:
            raise self.pins.pop(0)
        return self.signs
