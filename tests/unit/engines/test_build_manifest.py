from __future__ import annotations

import json
from pathlib import Path

import pytest

from homebred_engines.api import ModelRefusedError
from homebred_engines.build_manifest import FILE_NAME, BuildManifest, parse, read_build, written

DIGEST = "sha256:" + "a" * 64
MANIFEST = BuildManifest(
    engine="edgellm",
    engine_version="0.11.0",
    gpu_architecture="sm_87",
    source_digest=DIGEST,
    adapter_source_digest="",
    files={"engine/llm.engine": DIGEST},
    built_at_utc="2026-11-30T12:00:00+00:00",
)


def test_what_is_written_is_read_and_written_alike() -> None:
    assert parse(written(MANIFEST)) == MANIFEST
    assert written(parse(written(MANIFEST))) == written(MANIFEST)


def changed(**values: object) -> bytes:
    document = json.loads(written(MANIFEST)) | values
    return json.dumps({key: value for key, value in document.items() if value is not None}).encode()


def test_a_build_for_any_gpu_says_so_by_an_empty_architecture() -> None:
    assert parse(changed(gpu_architecture="", adapter_source_digest=DIGEST)).gpu_architecture == ""


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"{", "is no JSON object"),
        (b"[]", "is no JSON object"),
        (changed(version=2), "is not of version 1"),
        (changed(engine=None), "holds other keys than"),
        (changed(more=1), "holds other keys than"),
        (changed(engine=7), "a value of another kind"),
        (changed(files=[]), "a value of another kind"),
        (changed(gpu_architecture="sm87"), "names the GPU architecture 'sm87'"),
        (changed(source_digest=""), "names the digest ''"),
        (changed(adapter_source_digest="md5:0"), "names the digest 'md5:0'"),
        (changed(files={"x": 7}), "names the digest 7"),
        (changed(built_at_utc="yesterday"), "gives 'yesterday'"),
        (changed(built_at_utc="2026-11-30T12:00:00"), "as the time of the build"),
    ],
)
def test_what_is_no_manifest_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse(content)
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(ModelRefusedError, match=why):
        read_build(tmp_path)


def test_a_folder_that_says_nothing_of_its_build_is_none(tmp_path: Path) -> None:
    assert read_build(tmp_path) is None


def test_one_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(ModelRefusedError, match="cannot be read"):
        read_build(tmp_path)
