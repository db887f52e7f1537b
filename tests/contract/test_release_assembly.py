"""Folders of releases, put together of verified files: other names of the same bytes, and nothing stays behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from homebred_daemon.adapters.release_assembly import AssemblyFolder
from homebred_daemon.errors import StateError, UnwritableError


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, Path]:
    found = {}
    for number, path in enumerate(("specialist.toml", "adapter/weights/1.bin", "golden/w.jsonl")):
        source = tmp_path / f"held-{number}"
        source.write_bytes(path.encode())
        found[path] = source
    return found


def test_each_file_is_another_name_of_the_bytes_that_are_here(tmp_path: Path, sources: dict[str, Path]) -> None:
    folder = AssemblyFolder(tmp_path / "assembled").assemble("abc", sources)
    for path, source in sources.items():
        assert (folder / path).samefile(source)


def test_what_a_kill_left_of_a_folder_is_made_anew(tmp_path: Path, sources: dict[str, Path]) -> None:
    half = tmp_path / "assembled" / "abc"
    half.mkdir(parents=True)
    (half / "stranger").write_bytes(b"?")
    folder = AssemblyFolder(tmp_path / "assembled").assemble("abc", sources)
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == set(sources)


def test_folders_go_where_nobody_needs_them_and_their_bytes_stay(tmp_path: Path, sources: dict[str, Path]) -> None:
    assembly = AssemblyFolder(tmp_path / "assembled")
    assembly.remove("never there")
    assembly.remove_all_but(frozenset())
    for name in ("one", "two", "three"):
        assembly.assemble(name, sources)
    assembly.remove("one")
    assembly.remove_all_but(frozenset({"three"}))
    assert [path.name for path in (tmp_path / "assembled").iterdir()] == ["three"]
    assert all(source.read_bytes() for source in sources.values())


def test_a_file_that_is_gone_meanwhile_is_an_error_that_is_tried_again(
    tmp_path: Path, sources: dict[str, Path]
) -> None:
    sources["golden/w.jsonl"].unlink()
    with pytest.raises(StateError, match="is gone"):
        AssemblyFolder(tmp_path / "assembled").assemble("abc", sources)


def test_a_folder_that_cannot_be_written_is_an_error_that_says_what_to_do(
    tmp_path: Path, sources: dict[str, Path]
) -> None:
    (tmp_path / "assembled").write_bytes(b"no folder")
    with pytest.raises(UnwritableError) as caught:
        AssemblyFolder(tmp_path / "assembled").assemble("abc", sources)
    assert "free disk space" in caught.value.hint
