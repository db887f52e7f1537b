from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import pytest
from tests.support.directions import FakeDirections, PaperImage, WordDirector
from tests.support.release_files_stage import MANIFEST

from homebred_fleet.core.director import Assigned
from homebred_fleet.errors import ConflictError, RequestError, StateError
from homebred_fleet.services.bundling import MOST_DEVICES, Bundling
from homebred_fleet.services.directing import Directing
from homebred_protocol.documents.release import canonical_bytes
from homebred_protocol.targets import Kind, Target

NOW_S = 1_800_000_000
MONTH_S = 30 * 86_400
A, B = "clinic-00000001", "clinic-00000002"
RELEASE = Target(kind=Kind.RELEASE, group="qa", name="intake", number=7)
POLICY = Target(kind=Kind.POLICY, group="clinic", name="main", number=1)
LENGTHS = {file.digest: file.length for file in MANIFEST.files}


@dataclass
class Controller:
    """Fulfils `ports.bundling.SignedSources` and `BlobLengths` over what a test says."""

    directions: FakeDirections = field(default_factory=FakeDirections)
    image: PaperImage = field(default_factory=PaperImage)
    manifest: bytes | None = field(default_factory=lambda: canonical_bytes(MANIFEST))
    lengths: dict[str, int] = field(default_factory=lambda: dict(LENGTHS))
    ends_s: int = NOW_S + 10 * MONTH_S
    publications: list[bytes] = field(default_factory=lambda: [b"1"])

    def __post_init__(self) -> None:
        self.director = WordDirector()
        self.directing = Directing(self.directions, self.image, self.director, now_s=lambda: NOW_S)
        self.bundling = Bundling(self.directing, self, self, now_s=lambda: NOW_S)
        for device in (A, B):
            self.directions.targets[device] = [self.image.put(RELEASE)]

    def image_metadata(self) -> Mapping[str, bytes]:
        newest = self.publications.pop(0) if len(self.publications) > 1 else self.publications[0]
        return {"1.root.json": b"root", "timestamp.json": newest}

    def director_roots(self) -> Mapping[str, bytes]:
        return {"1.root.json": b"a root of the director"}

    def expires_at_s(self, targets: Iterable[Assigned]) -> int:
        return self.ends_s

    def target(self, assigned: Assigned) -> bytes | None:
        return self.manifest if assigned.path == RELEASE.path else b"version = 1\n"

    def length_of(self, digest: str) -> int | None:
        return self.lengths.get(digest)


def test_a_bundle_has_all_that_each_device_needs_and_every_file_once() -> None:
    controller = Controller()
    controller.directions.targets[B] = [RELEASE, controller.image.put(POLICY)]
    bundle = controller.bundling.make([(A, "east"), (B, "west")], MONTH_S)
    assert [(one.device, one.site, one.expires_at_s) for one in bundle.devices] == [
        (A, "east", NOW_S + MONTH_S),
        (B, "west", NOW_S + MONTH_S),
    ]
    assert sorted(bundle.signed) == sorted(
        [
            "image/metadata/1.root.json",
            "image/metadata/timestamp.json",
            *(
                f"director/{device}/metadata/{name}"
                for device in (A, B)
                for name in ("1.root.json", "timestamp.json", f"{NOW_S}.snapshot.json", f"{NOW_S}.targets.json")
            ),
        ]
    )
    assert [one.path for one in bundle.targets] == [RELEASE.path, POLICY.path]
    assert bundle.blobs == LENGTHS
    assert bundle.expires_at_s == NOW_S + 10 * MONTH_S


def test_what_people_have_signed_must_hold_when_it_is_carried() -> None:
    controller = Controller(ends_s=NOW_S)
    with pytest.raises(ConflictError, match="has expired"):
        controller.bundling.check([A])
    Controller(ends_s=NOW_S + 1).bundling.check([A])


def test_what_is_carried_is_always_signed_anew_and_what_is_signed_online_goes_on_above_it() -> None:
    controller = Controller()
    directing = controller.directing
    directing.metadata(A, "timestamp.json")
    versions = [controller.bundling.make([(A, "east")], MONTH_S).devices[0].version for _ in range(2)]
    directing.metadata(A, "timestamp.json")
    kept = controller.directions.kept[A].standing
    assert [NOW_S, *versions, kept.version] == [NOW_S, NOW_S + 1, NOW_S + 2, NOW_S + 3]
    assert kept.expires_at_s == NOW_S + 86_400
    assert controller.bundling.make([(A, "east")], MONTH_S).devices[0].version == NOW_S + 4
    assert [wanted.life_s for wanted in controller.director.signed] == [86_400, MONTH_S, MONTH_S, 86_400, MONTH_S]


def test_while_the_fleet_is_stopped_nothing_is_carried() -> None:
    controller = Controller()
    controller.directions.stopped = True
    for act in (
        lambda: controller.bundling.check([A]),
        lambda: controller.bundling.make([(A, "east")], MONTH_S),
    ):
        with pytest.raises(ConflictError, match="stopped"):
            act()
    assert controller.director.signed == []


def test_what_could_not_be_brought_is_told_before_anything_is_signed() -> None:
    controller = Controller()
    controller.bundling.check([A, B])
    del controller.lengths[MANIFEST.files[0].digest]
    controller.lengths[MANIFEST.files[1].digest] += 1
    with pytest.raises(ConflictError, match="2 of 3 files"):
        controller.bundling.check([A])
    controller.manifest = None
    with pytest.raises(StateError, match="not there"):
        controller.bundling.check([A])
    controller.manifest = b"{}"
    with pytest.raises(StateError, match="no release"):
        controller.bundling.check([A])
    controller.directions.targets = {A: []}
    with pytest.raises(RequestError, match="nothing is assigned"):
        controller.bundling.check([A])
    with pytest.raises(RequestError, match="more than"):
        controller.bundling.check([A] * (MOST_DEVICES + 1))
    assert controller.director.signed == []


def test_files_of_two_publications_are_never_carried_together() -> None:
    controller = Controller(publications=[b"1", b"2"])
    with pytest.raises(ConflictError, match="published just now"):
        controller.bundling.make([(A, "east")], MONTH_S)
    assert replace(controller, publications=[b"2"]).bundling.make([(A, "east")], MONTH_S).blobs == LENGTHS
