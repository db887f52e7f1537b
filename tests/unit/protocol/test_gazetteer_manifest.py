from __future__ import annotations

import tomllib
from typing import Any

import pytest

from homebred_protocol.documents.fields import DocumentError
from homebred_protocol.documents.gazetteer_manifest import (
    MAX_LIST_BYTES,
    GazetteerManifest,
    gazetteer_manifest,
    read_gazetteer_manifest,
)

DIGEST = "sha256:" + "a" * 64
WRITTEN: dict[str, Any] = {"version": 1, "digest": DIGEST, "length": 7}


@pytest.mark.parametrize("length", [1, MAX_LIST_BYTES])
def test_what_is_written_is_read_again(length: int) -> None:
    manifest = GazetteerManifest(digest=DIGEST, length=length)
    assert read_gazetteer_manifest(tomllib.loads(gazetteer_manifest(manifest).decode())) == manifest


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": 2},
        {"version": None},
        {"digest": "a" * 64},
        {"digest": DIGEST + "a"},
        {"digest": DIGEST + "\n"},
        {"digest": None},
        {"length": 0},
        {"length": MAX_LIST_BYTES + 1},
        {"length": True},
        {"length": None},
        {"names": ["Ada"]},
    ],
)
def test_what_is_not_written_so_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(DocumentError):
        read_gazetteer_manifest(WRITTEN | wrong)


@pytest.mark.parametrize("document", [None, [], "list", 7])
def test_what_is_no_table_is_refused(document: object) -> None:
    with pytest.raises(DocumentError):
        read_gazetteer_manifest(document)
