from __future__ import annotations

from dataclasses import dataclass, field

from tests.support.directions import FakeDirections, PaperImage, WordDirector, words
from typing_extensions import override

from homebred_fleet.core.director import LIFE_S
from homebred_fleet.ports.director import DeviceMetadata
from homebred_fleet.services.directing import Directing
from homebred_protocol.targets import Kind, Target

NOW_S = 1_800_000_000
A, B = "clinic-00000001", "clinic-00000002"


def release(number: int) -> Target:
    return Target(kind=Kind.RELEASE, group="qa", name="intake", number=number)


@dataclass
class Desk:
    directions: FakeDirections = field(default_factory=FakeDirections)
    image: PaperImage = field(default_factory=PaperImage)
    director: WordDirector = field(default_factory=WordDirector)
    now_s: int = NOW_S

    def ask(self, name: str, device: str = A) -> bytes | None:
        return Directing(self.directions, self.image, self.director, now_s=lambda: self.now_s).metadata(device, name)

    def version(self, device: str = A) -> int:
        return self.directions.kept[device].standing.version


def test_a_device_is_told_what_it_should_run_in_files_that_belong_together() -> None:
    desk = Desk()
    desk.directions.targets[A] = [desk.image.put(release(7))]
    assert desk.ask("timestamp.json") == f"{NOW_S} timestamp {A}".encode()
    assert desk.ask(f"{NOW_S}.snapshot.json") == f"{NOW_S} snapshot {A}".encode()
    assert desk.ask(f"{NOW_S}.targets.json") == f"{NOW_S} targets {A}".encode()
    (wanted,) = desk.director.signed
    assert [one.path for one in wanted.targets] == ["models/qa/intake/7.json"]


def test_it_is_signed_anew_when_something_changes_or_half_of_its_life_is_over_and_never_under_an_old_version() -> None:
    desk = Desk()
    desk.ask("timestamp.json")
    desk.now_s += LIFE_S // 2 - 1
    desk.ask("timestamp.json")
    assert (len(desk.director.signed), desk.version()) == (1, NOW_S)
    desk.now_s += 2
    desk.ask("timestamp.json")
    assert (len(desk.director.signed), desk.version()) == (2, desk.now_s)
    desk.directions.targets[A] = [desk.image.put(release(7))]
    desk.now_s -= 100  # the clock was put back
    before = desk.version()
    desk.ask("timestamp.json")
    assert (len(desk.director.signed), desk.version()) == (3, before + 1)


def test_a_stop_is_signed_at_once() -> None:
    desk = Desk()
    desk.ask("timestamp.json")
    desk.directions.stopped, desk.directions.stop_epoch = True, 4
    desk.ask("timestamp.json")
    assert [(wanted.stopped, wanted.stop_epoch) for wanted in desk.director.signed] == [(False, 0), (True, 4)]


def test_what_the_image_repository_does_not_hold_any_more_is_left_out() -> None:
    desk = Desk()
    desk.directions.targets[A] = [desk.image.put(release(7)), release(8)]
    desk.ask("timestamp.json")
    desk.image.held.clear()
    desk.ask("timestamp.json")
    assert [[one.path for one in wanted.targets] for wanted in desk.director.signed] == [
        ["models/qa/intake/7.json"],
        [],
    ]


def test_each_device_has_its_own_and_other_names_are_nobodys() -> None:
    desk = Desk()
    desk.ask("timestamp.json", B)
    for name in (f"{NOW_S}.snapshot.json", "root.json", "1.snapshot.json", "timestamp.json/..", f"{NOW_S}.root.json"):
        assert desk.ask(name) is None
    assert desk.ask(f"{NOW_S}.snapshot.json", B) is not None


def test_of_two_who_sign_at_once_the_one_that_was_kept_is_told() -> None:
    class Racing(FakeDirections):
        @override
        def keep(self, device: str, signed: DeviceMetadata) -> bool:
            super().keep(device, words(signed.standing, "of the other one"))
            return super().keep(device, signed)

    assert Desk(directions=Racing()).ask("timestamp.json") == f"{NOW_S} timestamp of the other one".encode()
