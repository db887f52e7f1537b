"""The folder that is carried: written over whatever was there, gone on with after any break, never over other files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from tests.support.bounded_disks import fill, make_room, small_disk

from homebred_fleet.adapters.bundle_folder import README, BundleFolder
from homebred_fleet.errors import ControllerUnreachableError, RequestError
from homebred_protocol.digests import digest_of

BODY = bytes(range(256)) * 5000
DIGEST = digest_of(BODY)
HEX = DIGEST.removeprefix("sha256:")


class Controller:
    """Gives one blob, in pieces of so many bytes, breaking off as a test says."""

    def __init__(self, body: bytes = BODY) -> None:
        self.body = body
        self.asked: list[int] = []
        self.breaks_at = len(body)

    def fetch(self, digest: str, begin: int) -> Iterable[bytes]:
        assert digest == DIGEST
        self.asked.append(begin)
        at = begin
        while at < len(self.body):
            if at >= self.breaks_at:
                raise ControllerUnreachableError("it broke off")
            piece = self.body[at : min(at + 100_000, self.breaks_at)]
            at += len(piece)
            yield piece


def begun(folder: Path) -> BundleFolder:
    made = BundleFolder(folder)
    made.begin()
    return made


def keep(folder: BundleFolder, controller: Controller) -> int:
    """How many bytes were told as done."""
    told: list[int] = []
    folder.keep_blob(DIGEST, len(BODY), controller.fetch, told.append)
    return sum(told)


def test_a_bundle_is_there_whole_once_it_has_finished(tmp_path: Path) -> None:
    folder = begun(tmp_path / "stick")
    assert keep(folder, Controller()) == len(BODY)
    folder.keep_signed("image/metadata/timestamp.json", b"signed")
    assert not (tmp_path / "stick" / README).exists()
    folder.finish("read me")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    written = {str(path.relative_to(tmp_path / "stick")): path.read_bytes() for path in files}
    assert written == {
        README: b"read me",
        f"blobs/sha256/{HEX}": BODY,
        "trust/image/metadata/timestamp.json": b"signed",
    }


def test_what_broke_off_is_gone_on_with_and_what_is_there_is_not_fetched(tmp_path: Path) -> None:
    controller = Controller()
    controller.breaks_at = 300_000
    with pytest.raises(ControllerUnreachableError):
        keep(begun(tmp_path), controller)
    controller.breaks_at = len(BODY)
    assert keep(begun(tmp_path), controller) == len(BODY)
    assert keep(begun(tmp_path), controller) == len(BODY)
    assert controller.asked == [0, 300_000]


@pytest.mark.parametrize("left", [b"other bytes", BODY[:-1] + b"x", BODY + b"more"])
@pytest.mark.parametrize("name", [HEX, f"{HEX}.part"])
def test_what_is_there_and_damaged_is_fetched_anew(tmp_path: Path, left: bytes, name: str) -> None:
    folder, controller = begun(tmp_path), Controller()
    (tmp_path / "blobs" / "sha256" / name).write_bytes(left)
    keep(folder, controller)
    assert (tmp_path / "blobs" / "sha256" / HEX).read_bytes() == BODY
    assert controller.asked[-1] in {0, len(left)}
    assert len(controller.asked) <= 2


@pytest.mark.parametrize("given", [BODY[:-5], BODY + b"x", b"y" * len(BODY)])
def test_other_bytes_than_the_digests_are_never_kept(tmp_path: Path, given: bytes) -> None:
    with pytest.raises(RequestError, match="other bytes"):
        keep(begun(tmp_path), Controller(given))
    assert list((tmp_path / "blobs" / "sha256").iterdir()) == []


def test_what_another_bundle_left_goes_and_nobody_elses_files_do(tmp_path: Path) -> None:
    folder = begun(tmp_path)
    folder.keep_signed("director/kiosk-9/metadata/timestamp.json", b"old")
    (tmp_path / "blobs" / "sha256" / ("0" * 64)).write_bytes(b"of another site")
    folder.finish("read me")
    again = begun(tmp_path)
    again.forget_all_but([DIGEST])
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []
    (tmp_path / "holidays.jpg").write_bytes(b"mine")
    with pytest.raises(RequestError, match=r"holidays\.jpg"):
        BundleFolder(tmp_path)
    assert (tmp_path / "holidays.jpg").read_bytes() == b"mine"


def test_a_folder_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "stick").mkdir()
    (tmp_path / "stick" / "trust").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RequestError, match="link"):
        BundleFolder(tmp_path / "stick")


def test_a_file_in_the_folders_place_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "stick").write_bytes(b"a file")
    with pytest.raises(RequestError, match="cannot be written"):
        BundleFolder(tmp_path / "stick")


def test_a_stick_that_is_too_small_is_refused_before_and_one_that_fills_up_is_gone_on_with(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", megabytes=24) as disk:
        folder, controller = begun(disk / "stick"), Controller()
        with pytest.raises(RequestError, match="bytes free"):
            folder.require_room({DIGEST: 30 * 1024 * 1024}, 0)
        folder.require_room({DIGEST: len(BODY)}, 1000)
        fill(disk)
        with pytest.raises(RequestError, match="cannot be written"):
            keep(folder, controller)
        make_room(disk)
        keep(folder, controller)
        folder.finish("read me")
        assert (disk / "stick" / "blobs" / "sha256" / HEX).read_bytes() == BODY
