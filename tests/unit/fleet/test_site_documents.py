"""What can be assigned to a site, and what is said of what cannot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from homebred_daemon.adapters.detectors.gazetteer_file import read_gazetteer
from homebred_daemon.document_files import built_in_policy, policy_from
from homebred_daemon.errors import ConfigurationError
from homebred_fleet.core.site_documents import MAX_PROBLEMS, MAX_TEXTS, problems_of, problems_of_list
from homebred_protocol.documents.gazetteer_manifest import MAX_LIST_BYTES, GazetteerManifest, gazetteer_manifest
from homebred_protocol.targets import Kind

ENTRY = {"text": "Ada Nilsson", "class": "patient", "aliases": ["Nilsson, A."]}
GOOD = (json.dumps(ENTRY) + "\n\n").encode()


def gazetteer(**changes: object) -> bytes:
    return json.dumps({**ENTRY, **changes}).encode()


MANIFEST = gazetteer_manifest(GazetteerManifest(digest="sha256:" + "a" * 64, length=7))


@pytest.mark.parametrize(
    ("kind", "body"),
    [(Kind.POLICY, b""), (Kind.POLICY, built_in_policy()), (Kind.GAZETTEER, MANIFEST), (Kind.RELEASE, b"anything")],
)
def test_what_a_device_takes_is_taken(kind: Kind, body: bytes) -> None:
    assert problems_of(kind, body) == []
    assert problems_of_list(GOOD) == []


@pytest.mark.parametrize(
    ("kind", "body", "problem"),
    [
        (Kind.POLICY, b"version = 2", "version: is 2"),
        (Kind.POLICY, b"default_flor = 1", "default_flor: is not a known key"),
        (Kind.POLICY, b"version =", "not the TOML of a policy; see `homebred policy default`: Invalid value"),
        (Kind.POLICY, b"a = 1\nb = \xff", "line 2 is not UTF-8"),
        (Kind.POLICY, b"a = " + b"[" * 10_000, "not the TOML"),
        (Kind.GAZETTEER, b"version = 1\nlength = 7", "digest: is missing"),
        (Kind.GAZETTEER, GOOD, "not the TOML of a manifest; make it with `homebred-fleet gazetteer add`"),
    ],
)
def test_what_a_device_would_refuse_is_not_signed(kind: Kind, body: bytes, problem: str) -> None:
    assert problem in "; ".join(problems_of(kind, body))


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"\n", "it is empty"),
        (b"Ada Nilsson", "line 1: it is no JSON object"),
        (GOOD + b"[1]", "line 3: it is not an object"),
        (gazetteer(extra=1), "line 1: it is not an object"),
        (gazetteer(**{"class": "Patient"}), "`class` is no class name"),
        (gazetteer(aliases="x"), "`aliases` is not a list"),
        (gazetteer(text="x" * 201), "of 1 to 200 characters"),
        (gazetteer(aliases=[""]), "of 1 to 200 characters"),
        (b"[" * 100_000, "no JSON object"),
        (b"{}\n\xff", "line 2 is not UTF-8"),
        (b" " * (MAX_LIST_BYTES + 1), "larger than"),
    ],
)
def test_a_list_that_a_device_would_refuse_is_refused(body: bytes, problem: str) -> None:
    assert problem in "; ".join(problems_of_list(body))


def test_no_fault_of_a_gazetteer_tells_a_name() -> None:
    for body in (b"Nilsson", gazetteer(aliases=[1]), gazetteer(**{"class": "Nilsson"}), gazetteer(Nilsson=1)):
        assert "Nilsson" not in "; ".join(problems_of_list(body))


def test_many_faults_are_counted() -> None:
    assert problems_of_list(b"x\n" * 50)[MAX_PROBLEMS:] == ["and 30 more"]
    assert "texts and aliases" in problems_of_list(gazetteer(aliases=["a"] * MAX_TEXTS))[0]


@pytest.mark.parametrize("body", [GOOD, b"x", gazetteer(aliases=[1]), gazetteer(text=2), gazetteer(extra=1)])
def test_the_device_says_the_same_of_a_gazetteer(body: bytes, tmp_path: Path) -> None:
    file = tmp_path / "names.jsonl"
    file.write_bytes(body)
    refused = False
    try:
        read_gazetteer(file)
    except ConfigurationError:
        refused = True
    assert refused == bool(problems_of_list(body))


@pytest.mark.parametrize("body", [b"", b"version = 2", b"x", b"default_floor = 2.0"])
def test_the_device_says_the_same_of_a_policy(body: bytes) -> None:
    assert (policy_from("it", body).value is None) == bool(problems_of(Kind.POLICY, body))
