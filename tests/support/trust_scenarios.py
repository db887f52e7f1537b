"""What a device trusts being pinned and taken up, look after look, and what must hold of its files after any fault."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from tests.support.fleet_authority import MEMBERSHIP

from homebred_daemon.adapters.trust.files import FOLDER, TrustFiles
from homebred_daemon.core.trust_floors import Floors, RepositoryFloors, Taken
from homebred_daemon.errors import StateError
from homebred_daemon.ports.trust import HeldRepository, HeldTrust, Roots, TrustMemory

IMAGE_ROOT, DIRECTOR_ROOT = b"the image's root", b"the director's root"
ENROLLED_AT_S = 1_796_000_000
MEMBER = replace(MEMBERSHIP, enrolled_at_s=ENROLLED_AT_S)
OWN = Path(FOLDER) / MEMBER.enrolment
"""Its folder, below the state folder."""
LINE = "models/qa/intake"


def files_in(state_dir: Path) -> TrustFiles:
    return TrustFiles(state_dir, MEMBER)


def pin(files: TrustFiles) -> None:
    files.pin(Roots(image=IMAGE_ROOT, director=DIRECTOR_ROOT))


def keep(files: TrustMemory, number: int) -> None:
    """Takes up what is trusted after so many looks."""
    files.keep(trust_of(number), follows=files.held())


def trust_of(number: int) -> HeldTrust:
    """What is trusted after so many looks."""
    body, versions = str(number).encode(), {"timestamp": number}
    parts = {"timestamp.json": body, "targets.json": body, f"root_history/{number}.root.json": body}
    return HeldTrust(
        image=HeldRepository(pinned=IMAGE_ROOT, files=parts),
        director=HeldRepository(pinned=DIRECTOR_ROOT, files=parts),
        floors=Floors(
            image=RepositoryFloors(keys="i", versions=versions),
            director=RepositoryFloors(keys="d", versions=versions),
            lines={LINE: Taken(number=number, digest="sha256:" + "a" * 64)},
            stop_epoch=number,
            time_s=ENROLLED_AT_S + number,
            enrolled_at_s=ENROLLED_AT_S,
        ),
    )


def act(root: Path, tell: Callable[[str], None]) -> None:
    """Enrolment, and three looks."""
    files = files_in(root)
    pin(files)
    tell("kept 0")
    for number in (1, 2, 3):
        keep(files, number)
        tell(f"kept {number}")


def check(root: Path, told: Sequence[str]) -> None:
    """The last trust that was kept, or the next; floors as high as it or the next; and everything goes on."""
    files = files_in(root)
    acknowledged = int(told[-1].split()[1]) if told else -1
    if acknowledged < 0:
        with suppress(StateError):
            files.held()
        pin(files)
    held = files.held()
    number = number_of(held)
    floor = held.floors.stop_epoch
    assert number in {max(acknowledged, 0), acknowledged + 1}
    assert floor in {number, number + 1}
    assert floor == 0 or held.floors == trust_of(floor).floors
    assert number == 0 or held == replace(trust_of(number), floors=held.floors)
    pin(files)
    assert files.held() == held, "the same roots once more changed something"
    keep(files, 9)
    assert files_in(root).held() == trust_of(9)
    assert len(list((root / OWN / "generations").iterdir())) == 1


def number_of(held: HeldTrust) -> int:
    return int(held.image.files.get("timestamp.json", b"0"))
