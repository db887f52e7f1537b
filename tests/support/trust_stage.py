"""A device that looks at what is signed for it, with real parts or fakes, and carriers that may misbehave.

Three carriers bring the same files: HTTPS (a real server), a folder, and requests over MQTT (a fake that fulfils the
port). Each can be told to send something without end, too slowly, or not at all.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from tests.support.fleet_authority import MEMBERSHIP, Authority
from tests.support.signed_repositories import SignedFleet
from tests.support.trust_server import Fault, serving

from homebred_daemon.adapters.fleet_https import ControllerHttps
from homebred_daemon.adapters.identity_files import IdentityFiles
from homebred_daemon.adapters.system_clock import SystemClock
from homebred_daemon.adapters.trust import checker, checking, child
from homebred_daemon.adapters.trust.files import TrustFiles
from homebred_daemon.adapters.trust.folder_source import FolderSource
from homebred_daemon.adapters.trust.sources import HttpsSource, Limits, MqttSource
from homebred_daemon.core.pinning import Offer, RootName
from homebred_daemon.core.trust import DIRECTOR, IMAGE, Here
from homebred_daemon.core.trust_floors import Floors
from homebred_daemon.core.trust_refusals import Reason, Refusal
from homebred_daemon.errors import ControllerUnreachableError, HomebredError, NotFoundError, StateError, UntrustedError
from homebred_daemon.ports.identity import Identity
from homebred_daemon.ports.trust import (
    CheckedTrust,
    HeldRepository,
    HeldTrust,
    Roots,
    TrustChecker,
    TrustedTarget,
    TrustMemory,
    TrustSource,
)
from homebred_daemon.services.releases.trusting import Looked, Trusting
from homebred_protocol.digests import digest_of
from homebred_protocol.trusted_files import (
    CARRIED,
    MAX_PAGE_BYTES,
    Page,
    answer_of,
    director_metadata,
    https_path,
    read_request,
)

HERE = Here(device="kiosk-1", site="clinic-east")
NOW_S = 1_796_000_000
DAY_S = 86_400
PATIENT = Limits(total_s=60.0, grace_s=30.0)
IMPATIENT = Limits(total_s=20.0, grace_s=2.0)
"""For carriers that stall."""


def _limits(faults: Mapping[str, Fault] | None) -> Limits:
    return IMPATIENT if {Fault.SLOW, Fault.SILENT} & set((faults or {}).values()) else PATIENT


class SettableClock:
    """Fulfils `ports.clock.Clock`: both times are what a test says."""

    def __init__(self, now_s: int = NOW_S) -> None:
        self.wall_s = float(now_s)
        self.passed_s = 0.0

    def pass_s(self, seconds: float) -> None:
        self.wall_s += seconds
        self.passed_s += seconds

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.wall_s, UTC)

    def monotonic_s(self) -> float:
        return self.passed_s


class MemoryTrust:
    """Fulfils `ports.trust.TrustMemory` without a disk."""

    def __init__(self, trust: HeldTrust) -> None:
        self.trust = trust
        self.fails = False
        self.kept = 0

    def held(self) -> HeldTrust:
        return self.trust

    def keep(self, trust: HeldTrust, *, follows: HeldTrust) -> None:
        if self.fails:
            raise StateError("the disk is full")
        if follows != self.trust:
            raise StateError("another program has changed what is trusted")
        self.trust = trust
        self.kept += 1


class ScriptedChecker:
    """Fulfils `ports.trust.TrustChecker` with what a test has found."""

    def __init__(self, *found: CheckedTrust | UntrustedError) -> None:
        self.found = list(found)
        self.asked_at_s: list[int] = []

    async def check(self, held: HeldTrust, source: TrustSource, *, device: str, now_s: int) -> CheckedTrust:
        self.asked_at_s.append(now_s)
        found = self.found.pop(0)
        if isinstance(found, UntrustedError):
            raise found
        return found


class ThreadChecker:
    """Fulfils `ports.trust.TrustChecker` by the child's own code, on a thread: a tenth of the time of a process."""

    async def check(self, held: HeldTrust, source: TrustSource, *, device: str, now_s: int) -> CheckedTrust:
        loop = asyncio.get_running_loop()

        def ask(name: str, at_most: int) -> bytes:
            try:
                return asyncio.run_coroutine_threadsafe(source.fetch(name, at_most), loop).result()
            except UntrustedError as error:
                raise checking.Withheld(Reason(error.reason), error.detail) from None

        def looked() -> tuple[checking.Found, checking.Found]:
            image, director = (checking.Held(pinned=one.pinned, files=one.files) for one in (held.image, held.director))
            return checking.check(image, director, device=device, now_s=now_s, ask=ask)

        image, director = await asyncio.to_thread(looked)
        said = json.loads(json.dumps({IMAGE: child._record(image), DIRECTOR: child._record(director)}))
        return CheckedTrust(
            image=checker._checked(IMAGE, said[IMAGE]), director=checker._checked(DIRECTOR, said[DIRECTOR])
        )


class FakeRequests:
    """Fulfils `ports.trust.FleetRequests` from files in memory."""

    def __init__(self, files: Mapping[str, bytes], faults: Mapping[str, Fault]) -> None:
        self._files = files
        self._faults = faults

    async def request(self, name: str, body: bytes) -> bytes:
        """A page; a fault's is endless, slow, …"""
        file, offset = read_request(body)
        match self._faults.get(file):
            case Fault.ENDLESS:
                return answer_of(Page(length=2**40, body=b"x" * MAX_PAGE_BYTES))
            case Fault.SLOW:
                await asyncio.sleep(0.02)
                return answer_of(Page(length=len(self._files[file]), body=self._files[file][offset : offset + 1]))
            case Fault.SILENT:
                await asyncio.Event().wait()
            case Fault.BROKEN:
                raise ControllerUnreachableError("the broker is away")
            case Fault.ODD:
                return b"<html>\n"
        whole = self._files.get(file)
        if whole is None:
            return answer_of(Page(length=-1, body=b""))
        return answer_of(Page(length=len(whole), body=whole[offset : offset + MAX_PAGE_BYTES]))


class Carrier(Protocol):
    """Brings the files of a fleet to a device."""

    def source(self, files: Mapping[str, bytes], faults: Mapping[str, Fault] | None = None) -> TrustSource:
        """To look by, with these files and faults by their names; the last one's end."""
        ...


class FolderCarrier:
    """A folder, written anew for each look."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def source(self, files: Mapping[str, bytes], faults: Mapping[str, Fault] | None = None) -> TrustSource:
        shutil.rmtree(self._folder, ignore_errors=True)
        for name, body in files.items():
            path = self._folder / CARRIED / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
        for name, fault in (faults or {}).items():
            _FAULTY_FILES[fault](self._folder / CARRIED / name)
        return FolderSource(self._folder, limits=PATIENT)


def _endless(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(2**40)  # a hole: it takes no room


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _link(path: Path) -> None:
    moved = path.with_suffix(".moved")
    path.rename(moved)
    path.symlink_to(moved)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


_FAULTY_FILES: dict[Fault, Callable[[Path], None]] = {
    Fault.ENDLESS: _endless,
    Fault.SLOW: _pipe,
    Fault.SILENT: _pipe,
    Fault.BROKEN: _folder,
    Fault.ODD: _link,
}


class RequestsCarrier:
    """Requests over MQTT."""

    def source(self, files: Mapping[str, bytes], faults: Mapping[str, Fault] | None = None) -> TrustSource:
        return MqttSource(FakeRequests(files, faults or {}), limits=_limits(faults))


class HttpsCarrier:
    """A real server."""

    def __init__(
        self, files: dict[str, bytes], faults: dict[str, Fault], line: ControllerHttps, identity: Identity
    ) -> None:
        self._files = files
        self._faults = faults
        self._line = line
        self.identity = identity

    def source(self, files: Mapping[str, bytes], faults: Mapping[str, Fault] | None = None) -> TrustSource:
        own = director_metadata(HERE.device)  # who asks is told by its certificate: nobody else's is served
        self._files.clear()
        self._files.update({name: body for name, body in files.items() if name.startswith((own, "image/"))})
        self._faults.clear()
        self._faults.update(faults or {})
        return HttpsSource(self._line, self.identity, limits=_limits(faults))


@contextmanager
def carried_by(kind: str, folder: Path) -> Iterator[Carrier]:
    """One of `https`, `folder`, `mqtt`, with nothing to bring yet."""
    if kind == "folder":
        yield FolderCarrier(folder / "carried")
    elif kind == "mqtt":
        yield RequestsCarrier()
    else:
        authority = Authority()
        files, faults = dict[str, bytes](), dict[str, Fault]()
        (folder / "server").mkdir()
        with serving(files, faults, authority, folder / "server", https_path) as url:
            store = IdentityFiles(folder / "device", {})
            pending = store.pending_key("enrolment")
            membership = replace(MEMBERSHIP, device_id=HERE.device, controller_url=url)
            identity = store.take_up(pending, authority.issued(pending.request_der, membership))
            yield HttpsCarrier(files, faults, ControllerHttps(SystemClock()), identity)


class Device:
    """One device with its trust."""

    def __init__(
        self, fleet: SignedFleet, folder: Path, *, check: TrustChecker | None = None, memory: TrustMemory | None = None
    ) -> None:
        self.clock = SettableClock(int(fleet.now.timestamp()))
        enrolled_at_s = int(fleet.now.timestamp())
        self.files = TrustFiles(folder, replace(MEMBERSHIP, device_id=HERE.device, enrolled_at_s=enrolled_at_s))
        if memory is None:
            self.files.pin(Roots(image=fleet.image_root(), director=fleet.director_root()))
        self.memory = memory or self.files
        self.check = check or ThreadChecker()
        self.restart()

    def restart(self) -> None:
        """The daemon begins anew: what is on the disk is all that it knows."""
        self.trusting = Trusting(self.memory, self.check, self.clock, HERE)

    async def look(self, source: TrustSource) -> Looked:
        return await self.trusting.look(source)

    async def takes(self, source: TrustSource) -> dict[str, bytes]:
        """Looks, and takes all that may be taken; by path."""
        looked = await self.trusting.look(source)
        assert looked.refused == (), [one.sentence for one in looked.refused]
        taken = [await self.trusting.take(one, source) for one in looked.agreed]
        return {one.agreed.target.path: one.body for one in taken}

    async def take(self, path: str, source: TrustSource) -> TrustedTarget:
        looked = await self.trusting.look(source)
        (agreed,) = (one for one in looked.agreed if one.target.path == path)
        return await self.trusting.take(agreed, source)


def nothing_held(fleet: SignedFleet, floors: Floors | None = None) -> HeldTrust:
    return HeldTrust(
        image=HeldRepository(pinned=fleet.image_root()),
        director=HeldRepository(pinned=fleet.director_root()),
        floors=floors or Floors(),
    )


class FixedSource:
    """Fulfils `ports.trust.TrustSource` from memory, without limits."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files

    async def fetch(self, name: str, at_most: int) -> bytes:
        body = self._files.get(name)
        if body is None:
            raise Refusal(reason=Reason.ABSENT, about=name).error()
        return body


class FakeOffers:
    """Fulfils `ports.trust.RootOffers` from the files of both repositories, the director's of whichever device."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = {
            name if name.startswith("image/") else f"director/metadata/{name.rpartition('/')[2]}": body
            for name, body in files.items()
        }
        self.says: dict[str, RootName] = {}
        """In place of what is there, by repository."""
        self.fails: HomebredError | None = None
        self.asked = 0

    async def offer(self) -> Offer | None:
        self.asked += 1
        if self.fails is not None:
            raise self.fails
        if not {f"{part}/metadata/1.root.json" for part in (IMAGE, DIRECTOR)} <= self.files.keys():
            return None
        return Offer(image=self.newest(IMAGE), director=self.newest(DIRECTOR))

    async def root(self, repository: str, version: int) -> bytes:
        body = self.files.get(f"{repository}/metadata/{version}.root.json")
        if body is None:
            raise NotFoundError("there is no such root")
        return body

    def newest(self, repository: str) -> RootName:
        """Of a repository that is there."""
        if repository in self.says:
            return self.says[repository]
        folder = f"{repository}/metadata/"
        found = [name[len(folder) :] for name in self.files if name.startswith(folder) and name.endswith(".root.json")]
        version = max(int(name.partition(".")[0]) for name in found)
        return RootName(version=version, digest=digest_of(self.files[f"{folder}{version}.root.json"]))


class MemoryPins:
    """Fulfils `ports.trust.RootPins` without a disk."""

    def __init__(self) -> None:
        self.roots: Roots | None = None

    def pinned(self) -> Roots | None:
        return self.roots

    def pin(self, roots: Roots) -> None:
        if self.roots not in {None, roots}:
            raise StateError("other roots than these are pinned", hint="enrol it again")
        self.roots = roots
