from __future__ import annotations

from typing import Any

import pytest
from tests.support.release_manifests import file_document, hexadecimal

from homebred_protocol.documents.fields import Fields
from homebred_protocol.documents.release_files import MAX_FILES, files_of, frame_count, path_problem, set_problem
from homebred_protocol.documents.release_values import FRAME_BYTES


def complaints_of(files: object) -> str:
    fields = Fields({"files": files})
    files_of(fields)
    return "\n".join(problem.sentence() for problem in fields.problems)


def file_with(**changes: Any) -> dict[str, Any]:
    return {**file_document("a"), **changes}


@pytest.mark.parametrize("path", ["specialist.toml", "golden/größe 1.jsonl", "a/b/c/d/e/f/g/h/i", "x" * 200])
def test_a_path_below_the_folder_is_one(path: str) -> None:
    assert path_problem(path) == ""


@pytest.mark.parametrize(
    "path",
    [
        *(
            "",
            "/",
            "/etc/passwd",
            "a//b",
            "a/",
            ".",
            "..",
            "a/../b",
            "./a",
            ".hidden",
            "a/.git/b",
            "a\\b",
            "a\nb",
            "a\0",
        ),
        *("a/b/c/d/e/f/g/h/i/j", "x" * 201, "/".join(["x" * 100] * 6), "\ud800", "a\u202eb"),
    ],
)
def test_a_path_that_may_lead_elsewhere_is_none(path: str) -> None:
    assert path_problem(path)


@pytest.mark.parametrize(
    ("paths", "problem"),
    [
        (("a", "b/c", "b/d"), ""),
        (("b", "a"), "not sorted"),
        (("a", "a"), "a and a are too much alike"),
        (("A", "a"), "A and a are too much alike"),
        (("a", "a/b"), "a is a file and a folder"),
        (("A", "a/b"), "a is a file and a folder"),
        (("a/b", "a/b/c/d"), "a/b is a file and a folder"),
        (tuple(f"{number:04}/x" for number in range(501)), "more than 1,000 files and folders"),
    ],
)
def test_paths_that_cannot_stand_in_one_folder_are_refused(paths: tuple[str, ...], problem: str) -> None:
    assert problem in set_problem(paths)
    assert bool(problem) == bool(set_problem(paths))


@pytest.mark.parametrize(
    ("length", "frames"), [(0, 0), (1, 1), (FRAME_BYTES, 1), (FRAME_BYTES + 1, 2), (10 * FRAME_BYTES - 1, 10)]
)
def test_a_file_is_cut_into_frames_the_last_one_shorter(length: int, frames: int) -> None:
    assert frame_count(length) == frames
    assert complaints_of([file_document("a", length)]) == ""


@pytest.mark.parametrize(
    ("file", "complaint"),
    [
        (file_with(path="../a"), "files[0].path: is '../a': a part of it is empty or begins with a dot"),
        (file_with(path=7), "files[0].path: is an integer"),
        (file_with(length=-1), "files[0].length: is -1"),
        (file_with(length=FRAME_BYTES + 1), "lists 1 digests, and 4,194,305 bytes are 2 frames"),
        (file_with(frames=[]), "lists 0 digests, and 100 bytes are 1 frames"),
        (file_with(frames=["A" * 64]), "holds what is no SHA-256"),
        (file_with(frames=[hexadecimal("other")]), "is not the digest of the file, whose one frame it is"),
        (file_with(length=0, frames=[]), "the digest is not that of an empty file"),
        (file_with(digest="sha256:0"), "files[0].digest: is 'sha256:0'"),
        (file_with(mode=0o755), "files[0].mode: is not a known key"),
        ("specialist.toml", "files[0]: is a string"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(file: object, complaint: str) -> None:
    assert complaint in complaints_of([file])


def test_one_digest_stands_for_the_same_bytes_everywhere() -> None:
    twin = file_document("b", of="a")
    assert complaints_of([file_document("a"), twin]) == ""
    assert "a and b have one digest and different bytes" in complaints_of([file_document("a"), {**twin, "length": 99}])


@pytest.mark.parametrize("files", [[], None, [file_document(f"f{n:04}") for n in range(MAX_FILES + 1)]])
def test_a_release_has_files_and_not_too_many(files: object) -> None:
    assert "lists no file, or too many" in complaints_of(files)


def test_of_very_many_wrong_files_few_are_told() -> None:
    assert complaints_of([{}] * MAX_FILES).count("\n") < 40
