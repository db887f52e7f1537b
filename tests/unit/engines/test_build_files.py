from __future__ import annotations

from pathlib import Path

from homebred_engines.build_files import digest_of_file, digest_of_files, digests_below, place, place_all
from homebred_protocol.digests import digest_of, digest_of_listing


def test_a_files_digest_is_that_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"1" * 3_000_000)
    assert digest_of_file(tmp_path / "x") == digest_of_file(tmp_path / "x", flushes=True) == digest_of(b"1" * 3_000_000)


def test_some_files_have_the_digest_of_a_folder_with_them_alone(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / name).write_text(name)
    listing = [("a", digest_of(b"a"), 1), ("b", digest_of(b"b"), 1)]
    assert digest_of_files([tmp_path / "b", tmp_path / "a"]) == digest_of_listing(listing)


def test_what_is_placed_is_the_file_and_not_a_link_to_its_name(tmp_path: Path) -> None:
    (tmp_path / "blob").write_text("weights")
    (tmp_path / "model").symlink_to("blob")
    place_all([tmp_path / "model"], tmp_path / "new")
    (tmp_path / "blob").unlink()
    placed = tmp_path / "new" / "model"
    assert not placed.is_symlink()
    assert placed.read_text() == "weights"


def test_where_no_link_can_be_made_it_is_copied(tmp_path: Path) -> None:
    shared = Path("/dev/shm")  # noqa: S108 - another file system, where there is one
    source = (shared if shared.is_dir() else tmp_path) / f"homebred-{tmp_path.name}"
    source.write_text("weights")
    try:
        place(source, tmp_path / "copy")
    finally:
        source.unlink()
    assert (tmp_path / "copy").read_text() == "weights"


def test_every_file_below_has_its_digest(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "x").write_text("1")
    (tmp_path / "a").write_text("2")
    assert digests_below(tmp_path) == {"a": digest_of(b"2"), "deep/x": digest_of(b"1")}
