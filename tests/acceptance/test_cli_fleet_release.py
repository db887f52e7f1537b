"""What a breeder types: `homebred-fleet release`, without a controller, and what it prints."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.support.command_line import Ended, fleet_here, homebred_fleet
from tests.support.release_sources import PLAN, contents, write_source

from homebred_protocol.digests import digest_of
from homebred_protocol.documents.release import read_release

TARGET = "models/clinic/intake/7.json"


def release(*arguments: str | Path) -> Ended:
    return fleet_here("release", *arguments, environ={})


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_source(tmp_path / "intake")


def test_a_release_is_built_and_what_comes_next_is_said(source: Path, tmp_path: Path) -> None:
    (source / "notes.txt").write_text("for people")
    done = homebred_fleet("release", "build", source, "-o", tmp_path / "out")
    assert (done.status, done.err) == (0, "")
    body = (tmp_path / "out" / "manifest.json").read_bytes()
    assert done.out.splitlines() == [
        f"built: {TARGET}, 6 files, {read_release(body).total_bytes} bytes, in {tmp_path / 'out'}",
        f"manifest: {digest_of(body)}",
        "left out, as nothing names it: notes.txt",
        "next: have the manifest signed under that name; until then no device takes it",
    ]


def test_with_json_both_commands_print_one_document(source: Path, tmp_path: Path) -> None:
    (built,) = release("build", source, "--out", tmp_path / "out", "--json").lines
    body = (tmp_path / "out" / "manifest.json").read_bytes()
    total_bytes = read_release(body).total_bytes
    assert built == {
        "target": TARGET,
        "digest": digest_of(body),
        "folder": str(tmp_path / "out"),
        "files": 6,
        "bytes": total_bytes,
        "left_out": [],
    }
    (shown,) = release("show", tmp_path / "out", "--verify", "--json").lines
    assert shown == {
        "target": TARGET,
        "digest": digest_of(body),
        "bytes": total_bytes,
        "blobs": {"whole": True, "missing": [], "damaged": [], "strangers": []},
        "manifest": json.loads(body),
    }
    (alone,) = release("show", tmp_path / "out" / "manifest.json", "--json").lines
    assert alone == shown | {"blobs": None}


def test_a_release_is_shown_for_people(source: Path, tmp_path: Path) -> None:
    release("build", source, "-o", tmp_path / "out")
    shown = release("show", tmp_path / "out")
    assert (shown.status, shown.err) == (0, "")
    words = [" ".join(line.split()) for line in shown.out.splitlines()]
    for line in (
        f"release {TARGET}",
        "engine llamacpp",
        "processor aarch64",
        "lineage generation 1, of intake.0",
        "classes patient",
        "sites clinic-east",
        "intake.extract json_equal 0.900 1500 ms golden/intake.extract.jsonl",
        "intake notes of clinic-east LicenseRef-consent",
    ):
        assert line in words
    assert "all there" in shown.out


def test_what_is_missing_is_named_and_the_answer_is_no(source: Path, tmp_path: Path) -> None:
    release("build", source, "-o", tmp_path / "out")
    (gone, *_) = (tmp_path / "out" / "blobs" / "sha256").iterdir()
    gone.unlink()
    shown = release("show", tmp_path / "out")
    assert shown.status == 1
    assert f"missing: sha256:{gone.name}; damaged: none" in shown.out
    (document,) = release("show", tmp_path / "out", "--json").lines
    assert document["blobs"]["missing"] == [f"sha256:{gone.name}"]


def test_what_cannot_be_built_is_said_in_words_with_what_to_do(source: Path, tmp_path: Path) -> None:
    (source / "release.toml").write_text(PLAN.replace("900_000", "0.9"))
    done = release("build", source, "-o", tmp_path / "out")
    assert (done.status, done.out) == (2, "")
    place = f'{source}/release.toml: gate.golden."intake.extract".minimum_ppm'
    assert done.err == (
        f"error: {source} cannot be released: {place}: is a number; write an integer\n"
        "next:  correct this and build again\n"
    )
    (error,) = release("build", source, "-o", tmp_path / "out", "--json").lines
    assert error["error"]["code"] == "bad_request"
    assert sorted(contents(tmp_path)) == sorted(f"intake/{path}" for path in contents(source))


def test_a_folder_without_a_plan_is_told_what_to_write(source: Path, tmp_path: Path) -> None:
    (source / "release.toml").unlink()
    done = release("build", source, "-o", tmp_path / "out")
    assert done.status == 2
    assert "next:  write one: docs/releases.md has an example" in done.err


def test_the_example_of_the_documentation_can_be_built(source: Path, tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "releases.md").read_text(encoding="utf-8")
    example = page.partition("```toml\n")[2].partition("```")[0]
    shutil.copytree(source, tmp_path / "example")
    (tmp_path / "example" / "release.toml").write_text(example, encoding="utf-8")
    assert release("build", tmp_path / "example", "-o", tmp_path / "out").status == 0
