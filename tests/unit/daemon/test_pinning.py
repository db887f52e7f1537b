"""Both roots of an enrolment: which are pinned, that they are pinned once, and what is refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.support.fake_device_identities import FakeIdentities
from tests.support.manual_clock import ManualClock
from tests.support.recorded_journal import RecordedJournal
from tests.support.signed_repositories import SignedFleet
from tests.support.trust_stage import NOW_S, FakeOffers, MemoryPins, ThreadChecker

from homebred_daemon.core.pinning import Compared, Offer, RootName, offer_of, root_name, versions
from homebred_daemon.errors import ControllerUnreachableError, ControllerUntrustedError, StateError, UntrustedError
from homebred_daemon.ports.trust import Roots
from homebred_daemon.services.releases.pinning import Pinning, offered_roots
from homebred_protocol.digests import digest_of

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def test_an_offer_is_read_and_a_controller_without_both_repositories_offers_nothing() -> None:
    one, other = {"version": 3, "digest": A}, {"version": 1, "digest": B}
    offer = Offer(image=RootName(version=3, digest=A), director=RootName(version=1, digest=B))
    assert offer_of({"image_root": one, "director_root": other, "site": "x"}) == offer
    for said in ({}, {"image_root": one}, {"image_root": one, "director_root": None}):
        assert offer_of(said) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": 0, "digest": A},
        {"version": True, "digest": A},
        {"version": 10**9, "digest": A},
        {"version": 1, "digest": "sha256:x"},
        {"version": 1, "digest": 5},
        {"digest": A},
        "1",
        [],
    ],
)
def test_an_offer_that_makes_no_sense_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="of a root"):
        offer_of({"image_root": wrong, "director_root": {"version": 1, "digest": A}})


def test_the_newest_root_is_asked_for_alone_or_all_where_a_digest_was_compared() -> None:
    newest = RootName(version=3, digest=A)
    assert list(versions(newest, "")) == list(versions(newest, A)) == [3]
    assert list(versions(newest, B)) == [3, 2, 1]
    assert len(list(versions(RootName(version=1000, digest=A), B))) == 256


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"signed": 1}', b'{"signed": {"_type": "targets", "version": 1}}', b"[" * 10_000],
)
def test_what_is_no_root_has_no_name(body: bytes) -> None:
    with pytest.raises(ValueError, match="it is no"):
        root_name(body)


def gathered(offers: FakeOffers, compared: Compared | None = None) -> Roots | None:
    return asyncio.run(
        offered_roots(offers, ThreadChecker(), device="kiosk-1", now_s=NOW_S, compared=compared or Compared())
    )


@pytest.fixture
def fleet() -> SignedFleet:
    made = SignedFleet(now_s=NOW_S)
    made.image.rotate("timestamp")
    made.image.rotate("timestamp")
    return made


def test_the_newest_roots_are_pinned(fleet: SignedFleet) -> None:
    roots = gathered(FakeOffers(fleet.files))
    assert roots is not None
    assert (root_name(roots.image).version, root_name(roots.director).version) == (3, 1)


def test_a_root_that_has_expired_is_pinned_all_the_same(fleet: SignedFleet) -> None:
    late = offered_roots(FakeOffers(fleet.files), ThreadChecker(), device="kiosk-1", now_s=NOW_S + 10**9)
    assert asyncio.run(late) is not None


@pytest.mark.parametrize("version", [1, 2, 3])
def test_the_root_whose_digest_a_person_has_compared_is_pinned_however_old(fleet: SignedFleet, version: int) -> None:
    body = fleet.files[f"image/metadata/{version}.root.json"]
    roots = gathered(FakeOffers(fleet.files), Compared(image=digest_of(body)))
    assert roots is not None
    assert roots.image == body


@pytest.mark.parametrize("compared", [Compared(image=A), Compared(director=A)])
def test_where_no_root_has_the_digest_that_was_compared_nothing_is_pinned(
    fleet: SignedFleet, compared: Compared
) -> None:
    with pytest.raises(ControllerUntrustedError, match="none of the newest 256 roots") as refused:
        gathered(FakeOffers(fleet.files), compared)
    assert "repository roots" in refused.value.hint


def test_who_has_compared_digests_does_not_get_away_with_no_roots() -> None:
    assert gathered(FakeOffers({})) is None
    with pytest.raises(ControllerUntrustedError, match="offers no signed repositories"):
        gathered(FakeOffers({}), Compared(image=A))


def the_other_repositorys(files: dict[str, bytes]) -> None:
    files["image/metadata/3.root.json"], files["director/metadata/1.root.json"] = (
        files["director/metadata/1.root.json"],
        files["image/metadata/3.root.json"],
    )


def the_same_for_both(files: dict[str, bytes]) -> None:
    files["director/metadata/1.root.json"] = files["image/metadata/1.root.json"]


def another_version(files: dict[str, bytes]) -> None:
    files["image/metadata/3.root.json"] = files["image/metadata/2.root.json"]


def damaged(files: dict[str, bytes]) -> None:
    said = json.loads(files["image/metadata/3.root.json"])
    said["signatures"][0]["sig"] = said["signatures"][1]["sig"] = "00"
    files["image/metadata/3.root.json"] = json.dumps(said).encode()


def cut(files: dict[str, bytes]) -> None:
    files["image/metadata/3.root.json"] = files["image/metadata/3.root.json"][:-100]


@pytest.mark.parametrize("spoil", [the_other_repositorys, the_same_for_both, another_version, damaged, cut])
def test_what_is_no_root_of_its_repository_is_not_pinned(
    fleet: SignedFleet, spoil: Callable[[dict[str, bytes]], None]
) -> None:
    files = FakeOffers(fleet.files).files
    spoil(files)
    with pytest.raises(UntrustedError) as refused:
        gathered(FakeOffers(files))
    assert refused.value.hint


def test_another_root_than_was_named_is_not_pinned(fleet: SignedFleet) -> None:
    offers = FakeOffers(fleet.files)
    offers.says = {"image": RootName(version=2, digest=A)}
    with pytest.raises(ControllerUntrustedError, match="another root 2"):
        gathered(offers)


class Stage:
    """A running daemon's part."""

    def __init__(self, files: dict[str, bytes]) -> None:
        clock = ManualClock()
        self.identities = FakeIdentities(clock)
        self.pins = MemoryPins()
        self.offers = FakeOffers(files)
        self.journal = RecordedJournal()
        held = self.identities.held
        assert held is not None
        self.pinning = Pinning(
            lambda: held, self.identities, self.pins, self.offers, ThreadChecker(), clock=clock, journal=self.journal
        )

    def ready(self) -> bool:
        return asyncio.run(self.pinning.ready())


def test_a_daemon_pins_what_is_offered_once_and_asks_nobody_from_then_on(fleet: SignedFleet) -> None:
    stage = Stage({})
    assert not stage.ready()
    stage.offers.files.update(FakeOffers(fleet.files).files)
    assert stage.ready()
    assert stage.pins.roots is not None
    (entry,) = stage.journal.entries
    assert entry.event.name == "roots_pinned"
    assert entry.fields["image_root"] == root_name(stage.pins.roots.image).digest
    asked = stage.offers.asked
    other = SignedFleet(now_s=NOW_S)
    stage.offers.files = FakeOffers(other.files).files
    before = stage.pins.roots
    assert stage.ready()
    assert (stage.pins.roots, stage.offers.asked) == (before, asked)


def test_a_daemon_whose_device_was_enrolled_anew_or_has_left_pins_nothing(fleet: SignedFleet) -> None:
    stage = Stage(dict(fleet.files))
    held = stage.identities.held
    assert held is not None
    for now in (replace(held, membership=replace(held.membership, enrolled_at_s=99)), None):
        stage.identities.held = now
        with pytest.raises(StateError, match="enrolled anew, or has left") as refused:
            stage.ready()
        assert "restart" in refused.value.hint
    assert stage.pins.roots is None


def test_a_controller_that_is_away_is_asked_again(fleet: SignedFleet) -> None:
    stage = Stage(dict(fleet.files))
    stage.offers.fails = ControllerUnreachableError("away")
    with pytest.raises(ControllerUnreachableError):
        stage.ready()
    stage.offers.fails = None
    assert stage.ready()
