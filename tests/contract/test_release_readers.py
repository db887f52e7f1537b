"""What was built is what a device reads: any folder of a breeder is refused in words, or no device refuses it."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.power_cuts import scratch_folder

from homebred_daemon.adapters.blob_folders import listing_of_folder
from homebred_daemon.adapters.specialist_folder import read_folder
from homebred_fleet.adapters.release_building import build_release
from homebred_fleet.adapters.release_folder import ReleaseFolder
from homebred_fleet.adapters.release_stage import BLOBS
from homebred_fleet.errors import RequestError
from homebred_protocol.digests import digest_of_listing

Files = dict[str, bytes]
INSIDE = ("a", "c.bin", "sub/x", "sub/deep/y", ".hidden", "sub/.x", "ü", "A", "a/z", "a\x1b", "x" * 240)
"""Names in a model's folder; the last ones are none, or do not go together."""
EXAMPLE = '[[prompt.examples]]\ninput = "A"\noutput = "x"'
WRONG_ROWS = (
    {"input": "A", "expected": "copied"},
    {"input": "", "expected": "of nothing"},
    {"input": "e"},
    {"input": "f", "expected": {"x": 1}},
)


def mostly(sound: str, *wrong: str) -> st.SearchStrategy[str]:
    """One of a few words, the first one as a rule."""
    return st.integers(0, 7 + len(wrong)).map(lambda drawn: wrong[drawn - 8] if drawn > 7 else sound)


@st.composite
def folders(draw: st.DrawFn) -> Files:
    """A specialist's folder with its release plan, as somebody may have written it."""
    form = draw(st.sampled_from(("file", "folder")))
    golden = draw(mostly("golden/w.jsonl", "golden.jsonl", "model/w.jsonl", "../w.jsonl", ".w.jsonl", "w.json"))
    title = draw(mostly("Reads a note", "x" * 300, "two\nlines", "") | st.text(max_size=9))
    specialist = f"""version = 1
id = {json.dumps(draw(mostly("intake", "in.take-2", "intake-", "In")))}
title = {json.dumps(title)}
engine = "{draw(mostly("echo", "llamacpp", "other"))}"
[base]
{form} = "model"
[prompt]
response_schema = {json.dumps(draw(mostly('{"type": "object"}', "", "[]", "{")))}
{draw(mostly("", "[[prompt.examples]]", EXAMPLE))}
[workflows.{draw(mostly("w", "v"))}]
golden = "{golden}"
scorer = "{draw(mostly("exact", "json_fields", "judge"))}"
"""
    plan = f"""version = 1
family = "clinic"
number = 1
licence = {json.dumps(draw(mostly("Apache-2.0", "", "y" * 300)))}
classes = {draw(mostly('["public"]', '["patient"]', "[]"))}
[gate.golden.w]
minimum_ppm = {draw(mostly("900_000", "0.9", "-1"))}
"""
    rows = [{"input": "one", "expected": "a"}, *draw(st.sets(st.integers(0, 31), max_size=2).map(further_rows))]
    inside = draw(st.sets(st.sampled_from(INSIDE[:7]), min_size=1, max_size=4)) | {draw(mostly("b", *INSIDE[7:]))}
    files = {"specialist.toml": specialist.encode(), "release.toml": plan.encode()}
    files |= {f"model/{name}": name.encode() for name in inside} if form == "folder" else {"model": b"{}"}
    return files | {golden: "".join(json.dumps(row) + "\n" for row in rows).encode()}


def further_rows(numbers: set[int]) -> list[Mapping[str, object]]:
    """Of each eight numbers one is a row that no golden set may have."""
    return [
        WRONG_ROWS[number // 8] if number % 8 == 0 else {"input": str(number), "expected": "b"} for number in numbers
    ]


def ended(files: Files) -> str:
    """Builds a release of the files, and has a device's readers read what was built."""
    with scratch_folder() as scratch:
        source = scratch / "inner" / "source"
        for path, body in files.items():
            try:
                (source / path).parent.mkdir(parents=True, exist_ok=True)
                (source / path).write_bytes(body)
            except OSError:
                return "no such folder"  # a file and a folder of one name
        try:
            build_release(source, scratch / "out")
        except RequestError as error:
            return "refused" if error.message and error.hint else "refused without a word"
        read_on_a_device(scratch / "out", scratch / "device")
        return "built"


def read_on_a_device(release: Path, there: Path) -> None:
    manifest, _ = ReleaseFolder(release).manifest()
    for file in manifest.files:
        (there / file.path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(release / BLOBS / file.digest.removeprefix("sha256:"), there / file.path)
    taken = read_folder(there).manifest
    assert (taken.id, taken.title, taken.engine) == (manifest.id, manifest.title, manifest.constraints.engine)
    if taken.base.folder:
        listing = listing_of_folder(there / taken.base.folder, "reading", lambda *_: None)
        assert digest_of_listing(listing) == manifest.constraints.base_digest


@given(folders())
def test_a_folder_is_refused_in_words_or_what_is_built_of_it_no_devices_reader_refuses(files: Files) -> None:
    assert ended(files) in {"refused", "built", "no such folder"}


def test_of_such_folders_many_can_be_built_and_many_cannot() -> None:
    tally: Counter[str] = Counter()

    @settings(max_examples=60, database=None, derandomize=True)
    @given(folders())
    def count(files: Files) -> None:
        tally[ended(files)] += 1

    count()
    assert tally["built"] > 5
    assert tally["refused"] > 5
