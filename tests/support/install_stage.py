"""A device that installs releases: everything around `services.releases.installing` as fakes that a test steers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from tests.support.manual_clock import ManualClock
from tests.support.memory_installs import MemoryInstallStore, MemoryReleaseStore
from tests.support.recorded_journal import RecordedJournal
from tests.support.shelves import stored
from typing_extensions import override

from homebred_daemon.core.builds import Built
from homebred_daemon.core.compatibility import DeviceFacts, Refusal
from homebred_daemon.core.deployment import Install, State, Tally
from homebred_daemon.core.gate import Found, Trial
from homebred_daemon.core.pairs import Pair
from homebred_daemon.core.probation import ProbationTerms
from homebred_daemon.core.releases import Release, ReleaseFile
from homebred_daemon.core.shelf import StoredSpecialist
from homebred_daemon.core.stopping import Stopping
from homebred_daemon.core.trust import Lease
from homebred_daemon.errors import HomebredError, StateError
from homebred_daemon.ports.building import BuiltForm
from homebred_daemon.ports.installs import Counted, Declined, InstallStore, ReleaseStore, Step
from homebred_daemon.services.releases.install_acts import InstallMeans
from homebred_daemon.services.releases.installing import Installing
from homebred_protocol.digests import digest_of
from homebred_protocol.documents.release_values import Constraints, GoldenDemand, Recipe, Shadow

T = TypeVar("T")
DEVICE = "clinic-7"
SPECIALIST, WORKFLOW = "intake", "intake.normalise"
TERMS = ProbationTerms(least_outcomes=50, soak_s=3600, longest_s=86_400)
DAY_S = 86_400
TURNS = 300
"""Of the loop, in which all goes on that can."""
FACTS = DeviceFacts(
    engines=("echo",), engine_version="1.2.0", architecture="aarch64", gpu_architecture="", memory_bytes=1_000_000
)


def release(
    number: int, specialist_id: str = SPECIALIST, *, minimum_ppm: int = 800_000, shadow: Shadow | None = None
) -> Release:
    """A release of the echo engine; another number, other bytes."""
    return Release(
        id=specialist_id,
        number=number,
        title="Normalises",
        target=f"models/qa/{specialist_id}/{number}.json",
        digest=digest_of(f"{specialist_id} {number}".encode()),
        files=(ReleaseFile(path="specialist.toml", digest=f"sha256:{number:064x}", length=10),),
        constraints=Constraints(engine="echo"),
        golden=(GoldenDemand(workflow=WORKFLOW, path="golden/w.jsonl", scorer="exact", minimum_ppm=minimum_ppm),),
        shadow=shadow,
    )


def specialist(number: int, specialist_id: str = SPECIALIST, *, base: str = "") -> StoredSpecialist:
    """What the store has of it; each number on a base of its own, where none is named."""
    made = stored(specialist_id, base_digest=base or f"sha256:base {number}")
    return replace(made, manifest=replace(made.manifest, digest=f"sha256:manifest {number}"), measurements={})


@dataclass(slots=True)
class Files:
    """Fulfils `ports.installs.ReleaseFiles`."""

    fetched: list[int] = field(default_factory=list)
    discarded: list[int] = field(default_factory=list)
    kept: list[list[int]] = field(default_factory=list)
    """Of which releases files were to stay, each time."""
    failure: HomebredError | None = None
    refusal: Refusal | None = None
    flowing: asyncio.Event | None = None
    """Fetches end only once it is set; None: at once."""

    async def fetch(self, wanted: Release) -> Path | Refusal:
        self.fetched.append(wanted.number)
        if self.flowing is not None:
            await self.flowing.wait()
        if self.failure is not None:
            raise self.failure
        return self.refusal or Path("aside")

    async def discard(self, wanted: Release) -> None:
        if wanted.number not in self.discarded:
            self.discarded.append(wanted.number)

    async def keep_only(self, wanted: Collection[Release]) -> None:
        self.kept.append([each.number for each in wanted])


@dataclass(slots=True)
class FakeGate:
    """Fulfils `ports.installs.Gate`."""

    scores_ppm: dict[int, int] = field(default_factory=dict)
    """By number; 950,000 where it says nothing."""
    tried: list[int] = field(default_factory=list)
    failures: list[HomebredError] = field(default_factory=list)
    device: DeviceFacts = FACTS
    is_open: asyncio.Event | None = None

    async def try_out(self, found: StoredSpecialist, golden: Mapping[str, Path]) -> Trial | Refusal:
        self.tried.append(found.release)
        if self.is_open is not None:
            await self.is_open.wait()
        if self.failures:
            raise self.failures.pop()
        score_ppm = self.scores_ppm.get(found.release, 950_000)
        measured = Found(golden_digest="sha256:golden", score_ppm=score_ppm, samples=40, p95_ms=120)
        return Trial(found=dict.fromkeys(golden, measured), memory_bytes=5000)

    async def facts(self, engine: str) -> DeviceFacts:
        return self.device


def recipe_release(number: int) -> Release:
    """A release whose adapter is to be built here."""
    recipe = Recipe(
        engine="echo", form="file", makes="adapter", inputs=(digest_of(b"base"), digest_of(b"peft")), arguments={}
    )
    return replace(release(number), recipe=recipe)


@dataclass(slots=True)
class FakeBuilder:
    """Fulfils `ports.building.Builder` with words: the same inputs give the same bytes, unless told otherwise."""

    says: str = "built"
    """What comes out."""
    builder: str = "homebred 1, echo 1.2.0"
    refusal: Refusal | None = None
    """Of the recipe, before anything is built."""
    failures: list[HomebredError | Refusal] = field(default_factory=list)
    """What comes of the next builds, the last first."""
    is_open: asyncio.Event | None = None
    """Builds end only once it is set; None: at once."""
    built: list[int] = field(default_factory=list)
    broken_off: list[int] = field(default_factory=list)
    discarded: list[int] = field(default_factory=list)

    async def refusal_of(self, recipe: Recipe) -> Refusal | None:
        return self.refusal

    async def build(self, wanted: Release, inputs: Sequence[Path]) -> BuiltForm | Refusal:
        self.built.append(wanted.number)
        if self.is_open is not None:
            try:
                await self.is_open.wait()
            except asyncio.CancelledError:
                self.broken_off.append(wanted.number)
                raise
        if self.failures:
            failure = self.failures.pop()
            if isinstance(failure, Refusal):
                return failure
            raise failure
        digest = digest_of(f"{self.says} {wanted.number}".encode())
        return BuiltForm(path=Path("made"), built=Built(digest=digest, builder=self.builder), took_ms=7)

    async def discard(self, wanted: Release) -> None:
        self.discarded.append(wanted.number)

    async def keep_only(self, wanted: Collection[Release]) -> None:
        """There is nothing aside."""


@dataclass(slots=True)
class FakeShadow:
    """Fulfils `ports.shadowing.Shadow` and what its context yields: tasks come as a test writes them down."""

    pairs: list[Pair] = field(default_factory=list)
    """Those to come; then none does."""
    refusal: Refusal | None = None
    failures: list[HomebredError] = field(default_factory=list)
    begun: list[tuple[int, int]] = field(default_factory=list)
    """Numbers of newcomer and of what served, for each time that one began to answer."""
    at_work: int = 0
    """Newcomers that answer now."""
    rests: int = 0

    def obstacle(self, newcomer: StoredSpecialist, serving: StoredSpecialist) -> Refusal | None:
        assert newcomer.version != serving.version
        return self.refusal

    @asynccontextmanager
    async def beside(self, newcomer: StoredSpecialist, serving: StoredSpecialist) -> AsyncIterator[FakeShadow]:
        self.begun.append((newcomer.release, serving.release))
        self.at_work += 1
        try:
            yield self
        finally:
            self.at_work -= 1

    async def next(self) -> Pair:
        if self.failures:
            raise self.failures.pop()
        if not self.pairs:
            await asyncio.Event().wait()
        return self.pairs.pop(0)

    @asynccontextmanager
    async def resting(self) -> AsyncIterator[None]:
        self.rests += 1
        yield


@dataclass(slots=True)
class FakeServing:
    """Fulfils `ports.installs.Serving`."""

    store: ReleaseStore
    specialist_id: str = SPECIALIST
    serves: list[int | None] = field(default_factory=list)
    """The release that it served after each time it was told."""
    used: set[str] = field(default_factory=set)
    failure: HomebredError | None = None

    async def take_up(self) -> None:
        if self.failure is not None:
            raise self.failure
        current = self.store.in_force(self.specialist_id).current
        self.serves.append(None if current is None else current.number)

    def in_use(self) -> Collection[str]:
        return self.used


@dataclass(slots=True)
class FakeOrders:
    """Fulfils `ports.installs.Orders`; it gives every release a lease of a day unless a test says otherwise."""

    clock: ManualClock
    stop: Stopping = field(default_factory=Stopping)
    gives_leases: bool = True
    lease_epoch: int = 0

    @property
    def device_id(self) -> str:
        return DEVICE

    def lease(self, wanted: Release) -> Lease | None:
        if not self.gives_leases:
            return None
        now_s = self.trusted_now_s()
        return Lease(
            device=DEVICE,
            digest=wanted.digest,
            stop_epoch=self.lease_epoch,
            issued_at_s=now_s,
            expires_at_s=now_s + DAY_S,
        )

    def stopping(self) -> Stopping:
        return self.stop

    def trusted_now_s(self) -> int:
        return int(self.clock.now().timestamp())


@dataclass(slots=True)
class Receipts:
    """Fulfils `ports.fleet_commands.InstallReceipts`."""

    told: list[tuple[int, str, str]] = field(default_factory=list)
    """Number, word, code."""
    signed: list[bytes] = field(default_factory=list)
    is_away: bool = False
    """Nobody takes any."""
    is_full: bool = False
    on_disk: int = 0

    def receipt(
        self, kind: str, subject: str, result: str, problem_code: str, *, version: int = 0, signed: bytes = b""
    ) -> bool:
        assert kind == "install"
        if self.is_away:
            return False
        self.told.append((version, result, problem_code))
        self.signed.append(signed)
        return True

    async def written(self) -> None:
        if self.is_full:
            raise StateError("the disk is full")
        self.on_disk = len(self.told)


@dataclass(slots=True)
class FakeSigner:
    """Fulfils `ports.installs.ReceiptSigner` with words."""

    fails: bool = False

    def signed(self, install: Install, step: Step) -> bytes:
        if self.fails:
            raise StateError("the key cannot be read")
        return f"{step.seq} {step.state}".encode()

    def signed_refusal(self, declined: Declined) -> bytes:
        if self.fails:
            raise StateError("the key cannot be read")
        return f"{declined.seq} {declined.code}".encode()


class AtOnce(ThreadPoolExecutor):
    """Does on the loop's own thread what is given to a thread: a story is then the same every time."""

    @override
    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        done: Future[T] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001  # handed to whoever waits, as a thread's is
            done.set_exception(error)
        return done


class Device:
    """One device; `running` may be entered again, as after a restart."""

    def __init__(self, installs: InstallStore | None = None, store: MemoryReleaseStore | None = None) -> None:
        self.clock = ManualClock()
        self.memory = MemoryInstallStore()
        self.installs: InstallStore = installs or self.memory
        self.store = store or MemoryReleaseStore()
        self.files, self.gate, self.receipts = Files(), FakeGate(), Receipts()
        self.shadow, self.builder = FakeShadow(), FakeBuilder()
        self.serving = FakeServing(self.store)
        self.orders = FakeOrders(self.clock)
        self.journal = RecordedJournal()
        self.defects: list[BaseException] = []
        self.signer = FakeSigner()
        self.installing: Installing

    def signed(self, install: Install, step: Step) -> bytes:
        """As the signer that is there now."""
        return self.signer.signed(install, step)

    def signed_refusal(self, declined: Declined) -> bytes:
        """As the signer that is there now."""
        return self.signer.signed_refusal(declined)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Installing]:
        means = InstallMeans(
            files=self.files,
            store=self.store,
            installs=self.installs,
            gate=self.gate,
            serving=self.serving,
            orders=self.orders,
            receipts=self.receipts,
            journal=self.journal,
            terms=TERMS,
            signer=self,
            shadow=self.shadow,
            builder=self.builder,
        )
        self.installing = Installing(means, report_defect=self.defects.append)
        asyncio.get_running_loop().set_default_executor(AtOnce())
        async with self.installing.running():
            yield self.installing
        assert not self.defects, self.defects

    async def want(self, *numbers: int, base: str = "", shadow: Shadow | None = None) -> None:
        """Has releases wanted whose files are there."""
        for number in numbers:
            self.store.offers[release(number).digest] = specialist(number, base=base)
            await self.installing.want(release(number, shadow=shadow))

    async def want_built(self, *numbers: int) -> None:
        """Has releases wanted whose adapters are to be built here."""
        for number in numbers:
            self.store.offers[release(number).digest] = specialist(number)
            await self.installing.want(recipe_release(number))

    async def until(self, state: State, number: int) -> Install:
        """The newest install of a release, once it is in a state."""
        for _ in range(TURNS):
            found = self.install(number)
            if found is not None and found.state is state:
                return found
            await asyncio.sleep(0)
        raise AssertionError(f"{number} is not {state}: {self.install(number)}")

    async def settle_down(self) -> None:
        """Lets all go on that can."""
        for _ in range(TURNS):
            await asyncio.sleep(0)

    def install(self, number: int) -> Install | None:
        """The newest one of a release."""
        return next((each for each in self.installs.history() if each.release.number == number), None)

    async def outcomes(self, number: int, *, good: int, bad: int, through: str) -> None:
        """Has answers of a release count."""
        tally = Tally(good=good, seen=good + bad)
        counted = Counted(specialist=SPECIALIST, version=specialist(number).version, tally=tally)
        await self.installing.observe([counted], through=through)

    @property
    def serves(self) -> int | None:
        """Number of what the store says."""
        current = self.store.in_force(SPECIALIST).current
        return None if current is None else current.number
