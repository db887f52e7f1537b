from __future__ import annotations

import copy
import functools
import time
import tracemalloc
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.release_manifests import (
    BASE,
    SMALL,
    WHOLE,
    any_json,
    digest,
    file_document,
    manifests,
    small_with,
    written,
)

from homebred_protocol.digests import digest_of, digest_of_listing
from homebred_protocol.documents.fields import DocumentError
from homebred_protocol.documents.release import canonical_bytes, digest_of_release, document_of, inputs_of, read_release
from homebred_protocol.documents.release_values import FRAME_BYTES, ReleaseManifest
from homebred_protocol.targets import MAX_TARGET_BYTES


def problems_of(body: bytes) -> str:
    with pytest.raises(DocumentError) as caught:
        read_release(body)
    assert caught.value.problems
    return "\n".join(problem.sentence() for problem in caught.value.problems)


@pytest.mark.parametrize("document", [SMALL, WHOLE])
def test_a_manifest_is_read_whole_and_written_as_it_was(document: dict[str, Any]) -> None:
    manifest = read_release(written(document))
    assert document_of(manifest) == document
    assert canonical_bytes(manifest) == written(document)
    assert digest_of_release(manifest) == digest_of(written(document))


@given(manifests())
def test_any_manifest_comes_back_from_its_bytes(manifest: ReleaseManifest) -> None:
    assert read_release(canonical_bytes(manifest)) == manifest


@given(any_json())
def test_any_document_is_a_manifest_or_an_error_that_says_why(document: Any) -> None:
    body = written(document) if _can_be_written(document) else b"\xff"
    problems_of(body)


def _can_be_written(document: Any) -> bool:
    try:
        written(document)
    except (UnicodeEncodeError, ValueError):
        return False
    return True


PLACES = [
    *(SMALL.keys() | WHOLE.keys()),
    *(f"files/0/{key}" for key in ("path", "length", "digest", "frames")),
    *(f"gate/golden/0/{key}" for key in ("workflow", "path", "scorer", "minimum_ppm")),
    *("base/digest", "base/form", "base/length", "lineage/parents", "lineage/generation"),
    *("constraints/engine", "constraints/base_digest", "gate/golden", "unknown", "gate/unknown"),
]


@given(st.sampled_from(sorted(PLACES)), any_json() | st.just(...))
def test_a_manifest_with_anything_anywhere_is_one_or_an_error_that_says_why(place: str, value: Any) -> None:
    if value is ... and place.endswith("unknown"):
        return
    document = small_with(place, value)
    if not _can_be_written(document):
        return
    try:
        manifest = read_release(written(document))
    except DocumentError as error:
        told = [problem.what and problem.hint for problem in error.problems]
    else:
        told = []
        assert document_of(manifest) == document
    assert all(told)


@given(st.integers(0, len(written(SMALL)) - 1), st.integers(0, 255))
def test_a_changed_byte_is_another_manifest_or_none(place: int, value: int) -> None:
    body = bytearray(written(SMALL))
    body[place] = value
    try:
        manifest = read_release(bytes(body))
    except DocumentError:
        return
    assert canonical_bytes(manifest) == bytes(body)


@pytest.mark.parametrize(
    ("place", "value", "complaint"),
    [
        ("version", 2, "version: is 2; this product reads 1"),
        ("version", True, "version: is True"),
        ("kind", "policy", "kind: is 'policy'; this product reads 'release'"),
        ("frame_bytes", 1, "frame_bytes: is 1; this product reads 4194304"),
        ("family", "../x", "family: is '../x'"),
        ("id", "intake/7", "id: is 'intake/7'"),
        ("number", 0, "number: is 0"),
        ("title", "", "title: is ''"),
        ("files", [], "files: lists no file, or too many"),
        ("files/0/path", "../x", "files[0].path: is '../x'"),
        ("files/1/path", "golden/intake.jsonl", "are too much alike"),
        ("specialist", "other.toml", "specialist: is 'other.toml'; name one of the release's files"),
        ("base/form", "zip", "base.form: is 'zip'"),
        ("base/digest", digest("another"), "constraints.base_digest: is not that of the base"),
        ("lineage", ..., "lineage: is missing"),
        ("lineage/parents", ["../x"], "lineage.parents: holds what is no specialist's id"),
        ("lineage/parents", ["a"] * 2, "one twice or too many"),
        ("lineage/generation", ..., "lineage.generation: is missing"),
        ("constraints", ..., "constraints: is missing"),
        ("constraints/engine", ..., "constraints.engine: is missing"),
        ("gate", ..., "gate: is missing"),
        ("gate/golden", [], "gate.golden: is empty"),
        ("gate/golden", [SMALL["gate"]["golden"][0]] * 2, "or names one twice"),
        ("gate/golden/0/workflow", "other", "gate.golden[0].workflow: is 'other'; name one of the release's workflows"),
        ("gate/golden/0/path", "x.jsonl", "gate.golden[0].path: is 'x.jsonl'; name one of the release's files"),
        ("gate/golden/0/scorer", "judge", "gate.golden[0].scorer: is 'judge'; write one of: exact"),
        ("gate/golden/0/scorer", ..., "gate.golden[0].scorer: is missing"),
        ("gate/golden/0/minimum_ppm", 1_000_001, "gate.golden[0].minimum_ppm: is 1000001"),
        ("gate/shadow", {"outcomes": 19, "longest_s": 60}, "gate.shadow.outcomes: is 19; write 20 to 2,000"),
        ("gate/shadow", {"outcomes": 20, "longest_s": 604_801}, "gate.shadow.longest_s: is 604801"),
        ("gate/shadow", {"outcomes": 20, "longest_s": 60, "share": 1}, "gate.shadow.share: is not a known key"),
        ("workflows", [], "workflows: names no workflow"),
        ("workflows", ["b", "a"], "workflows: is not sorted"),
        ("workflows", ["in take"], "workflows: names 'in take'"),
        ("licence", ..., "licence: is missing"),
        ("classes", ["patient"], "sites: is empty, and the release inherits patient"),
        ("sites", ["Clinic"], "sites: names 'Clinic'"),
        ("recipe", {}, "recipe.inputs: holds none"),
        (
            "recipe",
            {"engine": "e", "form": "file", "inputs": [digest("x")], "arguments": {}},
            "name what the release brings",
        ),
        ("recipe", ..., "spells out what is left out, or leaves out what is spelt out"),
        ("signature", "x", "signature: is not a known key"),
    ],
)
def test_what_is_wrong_with_a_manifest_is_named(place: str, value: Any, complaint: str) -> None:
    document = small_with(place, value) if place in SMALL or "/" in place else {**SMALL, place: value}
    assert complaint in problems_of(written(document))


@pytest.mark.parametrize(
    ("place", "value"),
    [("gate/maximum_memory_bytes", 0), ("constraints/engine_version", ""), ("base", None), ("classes", None)],
)
def test_one_release_has_one_text_alone(place: str, value: Any) -> None:
    assert problems_of(written(small_with(place, value)))


def test_a_text_that_is_not_canonical_is_no_manifest() -> None:
    body = written(SMALL)
    assert "is not written canonically" in problems_of(body + b"\n")
    assert "a key twice" in problems_of(body.replace(b'"classes":', b'"classes":[],"classes":'))
    assert "more than 1,048,576 bytes" in problems_of(b" " * (MAX_TARGET_BYTES + 1))


def test_a_recipe_builds_of_files_of_folders_and_of_the_base_that_the_release_brings() -> None:
    files = [file_document("model/a"), file_document("model/sub/b", 5), file_document("specialist.toml")]
    document = copy.deepcopy(SMALL) | {"files": sorted([*SMALL["files"][:1], *files], key=lambda file: file["path"])}
    manifest = read_release(written(document))
    listing = digest_of_listing([("a", files[0]["digest"], 100), ("sub/b", files[1]["digest"], 5)])
    assert {listing, BASE, files[2]["digest"]} < inputs_of(manifest.files, manifest.base)
    recipe = {"engine": "trtllm", "form": "folder", "inputs": [listing, BASE], "arguments": {"slots": 4}}
    made = read_release(written(document | {"recipe": recipe})).recipe
    assert made is not None
    assert made.makes == "base"
    of_adapter = read_release(written(document | {"recipe": recipe | {"makes": "adapter"}})).recipe
    assert of_adapter is not None
    assert of_adapter.makes == "adapter"
    assert "spells out what is left out" in problems_of(written(document | {"recipe": recipe | {"makes": "base"}}))
    assert "recipe.makes" in problems_of(written(document | {"recipe": recipe | {"makes": "both"}}))


def test_a_model_of_twenty_gigabytes_has_room_in_a_manifest() -> None:
    files = [*SMALL["files"], file_document("x.gguf", 20 * 10**9)]
    body = written(SMALL | {"files": files})
    assert len(body) < MAX_TARGET_BYTES / 2
    assert len(read_release(body).files[2].frames) == -(-20 * 10**9 // FRAME_BYTES)


@functools.cache
def hostile_bodies() -> dict[str, bytes]:
    chance = Random(7)
    room = MAX_TARGET_BYTES - len(written(SMALL)) - 100
    return {
        "one file of empty frames": written(small_with("files/0/frames", [""] * (room // 3))),
        "empty objects for files": written(small_with("files", [{}] * 2_900)),
        "many keys": written(SMALL | {f"k{n}": 0 for n in range(40)}),
        "lists in lists": b"[" * (MAX_TARGET_BYTES // 2) + b"]" * (MAX_TARGET_BYTES // 2),
        "integers": written(small_with("classes", [0] * (room // 2))),
        "texts": written(small_with("sites", ["x"] * (room // 4))),
        "a long text": written(small_with("title", "\u00fc" * (room // 2))),
        "a long path": written(small_with("files/0/path", "a/" * (room // 2))),
        "noise": chance.randbytes(MAX_TARGET_BYTES),
        "digits": b"9" * MAX_TARGET_BYTES,
    }


@pytest.mark.parametrize("name", hostile_bodies())
def test_a_hostile_manifest_of_the_full_size_costs_little(name: str) -> None:
    body = hostile_bodies()[name]
    tracemalloc.start()
    begun_s = time.thread_time()
    problems_of(body)
    took_s = time.thread_time() - begun_s
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 48 * 1024 * 1024
    assert took_s < 5  # a tenth of a second as a rule; the watch on memory alone makes ten of it
