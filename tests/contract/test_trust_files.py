"""What a device trusts, on the disk: whole or not at all, floors first, and damage is told and never begun anew."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from tests.support import trust_scenarios
from tests.support.other_user import STRANGER, needs_root
from tests.support.trust_scenarios import ENROLLED_AT_S, MEMBER, OWN, files_in, keep, number_of, pin, trust_of
from tests.support.trust_stage import MemoryTrust

from homebred_daemon.adapters.trust.files import FOLDER, TrustFiles
from homebred_daemon.core.trust_floors import Floors
from homebred_daemon.errors import StateError
from homebred_daemon.ports.trust import Roots, TrustMemory

AFTER = replace(MEMBER, enrolled_at_s=7)
OTHER = Roots(image=b"another", director=b"director")


def anew(folder: Path) -> TrustFiles:
    """What the device trusts once it was enrolled anew."""
    return TrustFiles(folder, AFTER)


def pinned_anew(folder: Path, _: TrustFiles) -> None:
    anew(folder).pin(OTHER)


def on_a_disk(folder: Path) -> TrustFiles:
    files = files_in(folder)
    pin(files)
    return files


def in_memory(folder: Path) -> TrustMemory:
    began = trust_of(0)
    floors = Floors(time_s=ENROLLED_AT_S, enrolled_at_s=ENROLLED_AT_S)
    image, director = (replace(one, files={}) for one in (began.image, began.director))
    return MemoryTrust(replace(began, image=image, director=director, floors=floors))


MEMORIES = pytest.mark.parametrize("made", [on_a_disk, in_memory])


@MEMORIES
def test_after_enrolment_both_roots_are_held_and_nothing_else(
    made: Callable[[Path], TrustMemory], tmp_path: Path
) -> None:
    held = made(tmp_path).held()
    assert (held.image.pinned, held.director.pinned) == (b"the image's root", b"the director's root")
    assert (held.image.files, held.director.files) == ({}, {})
    assert held.floors == Floors(time_s=ENROLLED_AT_S, enrolled_at_s=ENROLLED_AT_S)


@MEMORIES
def test_what_was_kept_is_held(made: Callable[[Path], TrustMemory], tmp_path: Path) -> None:
    memory = made(tmp_path)
    for number in (1, 2):
        keep(memory, number)
        assert memory.held() == trust_of(number)
    keep(memory, 2)
    assert memory.held() == trust_of(2)


@MEMORIES
def test_what_another_process_has_kept_since_is_not_overwritten(
    made: Callable[[Path], TrustMemory], tmp_path: Path
) -> None:
    memory = made(tmp_path)
    before = memory.held()
    keep(memory, 2)
    with pytest.raises(StateError, match="another program has changed"):
        memory.keep(trust_of(1), follows=before)
    assert memory.held() == trust_of(2)


def test_the_next_process_holds_the_same_and_one_generation_is_left(tmp_path: Path) -> None:
    files = on_a_disk(tmp_path)
    keep(files, 1)
    keep(files, 2)
    assert files_in(tmp_path).held() == trust_of(2)
    assert [entry.name for entry in (tmp_path / OWN / "generations").iterdir()] == ["000002"]


def test_what_holds_already_is_not_written_again(tmp_path: Path) -> None:
    files = on_a_disk(tmp_path)
    keep(files, 1)
    later = replace(trust_of(1), floors=replace(trust_of(1).floors, time_s=ENROLLED_AT_S + 99))
    files.keep(later, follows=files.held())
    assert files.held() == later
    assert [entry.name for entry in (tmp_path / OWN / "generations").iterdir()] == ["000001"]


def test_a_device_on_which_nothing_was_pinned_says_so(tmp_path: Path) -> None:
    assert files_in(tmp_path).pinned() is None
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(StateError, match="no signed releases are set up") as refused:
        files_in(tmp_path).held()
    assert "once the controller offers both" in refused.value.hint


def test_other_roots_never_replace_those_that_this_enrolment_has_pinned(tmp_path: Path) -> None:
    files = on_a_disk(tmp_path)
    keep(files, 5)
    assert files.pinned() == Roots(image=b"the image's root", director=b"the director's root")
    with pytest.raises(StateError, match="other roots") as refused:
        files.pin(OTHER)
    assert "homebred enroll" in refused.value.hint
    assert files.held() == trust_of(5)


def test_another_enrolment_trusts_nothing_of_the_one_before_and_may_forget_it(tmp_path: Path) -> None:
    before, after = on_a_disk(tmp_path), anew(tmp_path)
    keep(before, 5)
    assert after.pinned() is None
    after.pin(OTHER)
    assert before.held() == trust_of(5)
    held = after.held()
    assert (held.image.pinned, held.image.files, held.floors) == (b"another", {}, Floors(time_s=7, enrolled_at_s=7))
    (tmp_path / FOLDER / ".new-of-a-kill").mkdir()
    after.forget_others()
    assert sorted(entry.name for entry in (tmp_path / FOLDER).iterdir()) == ["clinic-east-1f2e3d4c.7", "lock"]
    assert before.pinned() is None
    assert anew(tmp_path).held() == held


def test_a_name_that_leaves_its_folder_is_never_written(tmp_path: Path) -> None:
    files = on_a_disk(tmp_path)
    held = files.held()
    for name in ("../x.json", "root_history/../../x.json", "/etc/x.json", "x"):
        with pytest.raises(StateError, match="no name"):
            files.keep(replace(held, image=replace(held.image, files={name: b""})), follows=held)
    assert files.held() == held


def flipped_floor(folder: Path) -> None:
    path = folder / "floors.json"
    path.write_text(path.read_text().replace('"stop_epoch": 3', '"stop_epoch": 1'))


def no_floors(folder: Path) -> None:
    (folder / "floors.json").unlink()


def empty_floors(folder: Path) -> None:
    (folder / "floors.json").write_bytes(b"")


def floors_of_no_meaning(folder: Path) -> None:
    (folder / "floors.json").write_text("[" * 100_000)


def huge_floors(folder: Path) -> None:
    (folder / "floors.json").write_bytes(b" " * 5_000_000)


def floors_of_another_schema(folder: Path) -> None:
    path = folder / "floors.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": 2}))


def floors_of_another_enrolment(folder: Path) -> None:
    other = anew(folder.parent.parent)
    other.pin(OTHER)
    shutil.copy(folder.parent / AFTER.enrolment / "floors.json", folder / "floors.json")


def no_pinned_roots(folder: Path) -> None:
    (folder / "pinned.json").unlink()


def damaged_pinned_roots(folder: Path) -> None:
    (folder / "pinned.json").write_text("{}")


def pointer_to_elsewhere(folder: Path) -> None:
    (folder / "current").write_text("../../etc")


def pointer_to_nothing(folder: Path) -> None:
    (folder / "current").write_text("000099\n")


DAMAGES = [
    flipped_floor,
    no_floors,
    empty_floors,
    floors_of_no_meaning,
    huge_floors,
    floors_of_another_schema,
    floors_of_another_enrolment,
    no_pinned_roots,
    damaged_pinned_roots,
    pointer_to_elsewhere,
    pointer_to_nothing,
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damage_is_told_with_what_to_do_and_is_never_a_fresh_start(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    files = files_in(tmp_path)
    pin(files)
    keep(files, 3)
    damage(tmp_path / OWN)
    for attempt in (files.held, lambda: files.keep(trust_of(4), follows=trust_of(3))):
        with pytest.raises(StateError) as refused:
            attempt()
        assert "homebred enroll" in refused.value.hint
    after = anew(tmp_path)
    after.pin(OTHER)
    after.forget_others()
    assert anew(tmp_path).held().floors == Floors(time_s=7, enrolled_at_s=7)


def test_metadata_that_is_lost_is_fetched_anew_and_floors_still_hold(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    pin(files)
    keep(files, 3)
    (tmp_path / OWN / "generations/000001/image/timestamp.json").unlink()
    held = files.held()
    assert "timestamp.json" not in held.image.files
    assert held.floors == trust_of(3).floors


@needs_root
def test_what_root_makes_belongs_to_whoever_owns_the_state_folder(tmp_path: Path) -> None:
    state_dir = tmp_path / "state"
    state_dir.mkdir()
    os.chown(state_dir, STRANGER, STRANGER)
    keep(on_a_disk(state_dir), 1)
    assert {path.stat().st_uid for path in state_dir.rglob("*")} == {STRANGER}
    assert stat.S_IMODE((state_dir / FOLDER).stat().st_mode) == 0o700


def killed_before(number: int, root: Path, act: Callable[[TrustFiles], None]) -> bool:
    """Acts in a child that is killed before its n-th call on files below the folder; whether it survived."""
    child = os.fork()
    if not child:
        left = number

        def hook(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal left
            place = arguments[0] if arguments else None
            if isinstance(place, str | Path) and str(place).startswith(str(root)):
                left -= 1
                if not left:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        act(files_in(root))
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_kill_before_any_step_leaves_the_old_trust_or_the_new_one_and_floors_that_never_fell(
    tmp_path: Path,
    thorough: bool,  # noqa: FBT001 - a fixture
) -> None:
    template = tmp_path / "template"
    keep(on_a_disk(template), 1)
    number, survived, left = 0, False, set()
    while not survived:
        number += 1 if thorough else 2  # power cuts and failing disks are gone through at every step
        root = tmp_path / str(number)
        shutil.copytree(template, root)
        survived = killed_before(number, root, lambda files: keep(files, 2))
        held = files_in(root).held()
        left.add((number_of(held), held.floors.stop_epoch))
        trust_scenarios.check(root, ["kept 1"])
    assert number > 25
    assert left == {(1, 1), (1, 2), (2, 2)}


def test_a_kill_while_another_enrolment_pins_leaves_the_old_one_as_it_was_and_the_new_one_whole_or_not_there(
    tmp_path: Path,
) -> None:
    template = tmp_path / "template"
    keep(on_a_disk(template), 3)
    number, survived, left = 0, False, set()
    while not survived:
        number += 1
        root = tmp_path / str(number)
        shutil.copytree(template, root)
        survived = killed_before(number, root, partial(pinned_anew, root))
        assert files_in(root).held() == trust_of(3)
        left.add(anew(root).pinned())
        anew(root).pin(OTHER)
        anew(root).forget_others()
        assert anew(root).held().image.pinned == b"another"
        assert sorted(entry.name for entry in (root / FOLDER).iterdir()) == ["clinic-east-1f2e3d4c.7", "lock"]
    assert number > 10
    assert left == {None, OTHER}
