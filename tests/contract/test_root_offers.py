"""One suite for whoever offers roots, and one for whatever pins them: what is real, and the fakes of other tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.scripted_controller import TOKEN, Controller, Script, controller
from tests.support.signed_repositories import SignedFleet
from tests.support.trust_scenarios import MEMBER
from tests.support.trust_stage import NOW_S, FakeOffers, MemoryPins

from homebred_daemon.adapters.fleet_https import ControllerHttps
from homebred_daemon.adapters.identity_files import IdentityFiles
from homebred_daemon.adapters.system_clock import SystemClock
from homebred_daemon.adapters.trust.files import TrustFiles
from homebred_daemon.adapters.trust.offers import RootsOverHttps
from homebred_daemon.core.pinning import Offer
from homebred_daemon.errors import ControllerUnreachableError, FleetError, NotFoundError, StateError
from homebred_daemon.ports.identity import Identity
from homebred_daemon.ports.trust import RootOffers, RootPins, Roots

LINE = ControllerHttps(SystemClock())
Stand = Callable[[Mapping[str, bytes]], RootOffers]


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Controller]:
    with controller(tmp_path, Script()) as running:
        yield running


async def enrolled(there: Controller, folder: Path) -> Identity:
    files = IdentityFiles(folder / "device", {})
    pending = files.pending_key("enrolment")
    authorities = await LINE.trusted(there.url, there.authority.fingerprint)
    return files.take_up(pending, await LINE.enrol(there.url, authorities, TOKEN, pending))


def serve(there: Controller, files: Mapping[str, bytes], newest: Offer | None) -> None:
    there.script.signed = dict(files)
    there.script.offers = (
        {} if newest is None else {"image_root": asdict(newest.image), "director_root": asdict(newest.director)}
    )


@pytest.fixture(params=["fake", "https"])
async def stand(request: pytest.FixtureRequest, there: Controller, tmp_path: Path) -> Stand:
    if request.param == "fake":
        return FakeOffers
    identity = await enrolled(there, tmp_path)

    def over_https(files: Mapping[str, bytes]) -> RootOffers:
        fake = FakeOffers(files)
        newest = None if not files else Offer(image=fake.newest("image"), director=fake.newest("director"))
        serve(there, fake.files, newest)
        return RootsOverHttps.of_member(LINE, lambda: identity)

    return over_https


@pytest.fixture
def fleet() -> SignedFleet:
    made = SignedFleet(now_s=NOW_S)
    made.image.rotate("timestamp")
    return made


async def test_without_repositories_nothing_is_offered(stand: Stand) -> None:
    assert await stand({}).offer() is None


async def test_the_newest_roots_are_named_and_every_one_can_be_had(stand: Stand, fleet: SignedFleet) -> None:
    offers = stand(fleet.files)
    offer = await offers.offer()
    assert offer is not None
    assert (offer.image.version, offer.director.version) == (2, 1)
    assert await offers.root("image", 1) == fleet.image_root()
    assert await offers.root("director", 1) == fleet.director_root()
    with pytest.raises(NotFoundError):
        await offers.root("image", 3)


@pytest.mark.parametrize(
    "wrong", [{"version": 0, "digest": "sha256:" + "a" * 64}, {"version": 1, "digest": "x"}, "newest", []]
)
async def test_an_answer_that_makes_no_sense_is_told_as_such(there: Controller, tmp_path: Path, wrong: Any) -> None:
    identity = await enrolled(there, tmp_path)
    there.script.offers = {"image_root": wrong, "director_root": wrong}
    with pytest.raises(FleetError, match="about its roots cannot be used") as refused:
        await RootsOverHttps.of_member(LINE, lambda: identity).offer()
    assert "update homebred" in refused.value.hint


async def test_a_controller_that_is_away_is_unreachable(there: Controller, tmp_path: Path) -> None:
    identity = await enrolled(there, tmp_path)
    away = replace(identity, membership=replace(identity.membership, controller_url="https://127.0.0.1:1"))
    with pytest.raises(ControllerUnreachableError):
        await RootsOverHttps.of_member(LINE, lambda: away).offer()


def on_a_disk(folder: Path) -> RootPins:
    return TrustFiles(folder, MEMBER)


def in_memory(folder: Path) -> RootPins:
    return MemoryPins()


@pytest.mark.parametrize("made", [on_a_disk, in_memory])
def test_roots_are_pinned_once_and_for_good(made: Callable[[Path], RootPins], tmp_path: Path) -> None:
    pins, roots = made(tmp_path), Roots(image=b"image", director=b"director")
    assert pins.pinned() is None
    for _ in range(2):
        pins.pin(roots)
        assert pins.pinned() == roots
    with pytest.raises(StateError, match="other roots"):
        pins.pin(Roots(image=b"another", director=b"director"))
    assert pins.pinned() == roots
