"""What can be assigned to a site, and what is said of what cannot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from homebred_daemon.adapters.detectors.gazetteer_file import read_gazetteer
from homebred_daemon.document_files import built_in_policy, policy_from
from homebred_daemon.errors import ConfigurationError
from homebred_fleet.core.site_documents import MAX_BYTES, MAX_PROBLEMS, MAX_TEXTS, problems_of

ENTRY = {"text": "Ada Nilsson", "class": "patient", "aliases": ["Nilsson, A."]}
GOOD = (json.dumps(ENTRY) + "\n\n").encode()


def gazetteer(**changes: object) -> bytes:
    return json.dumps({**ENTRY, **changes}).encode()


@pytest.mark.parametrize(("kind", "body"), [("policy", b""), ("policy", built_in_policy()), ("gazetteer", GOOD)])
def test_what_a_device_takes_is_taken(kind: str, body: bytes) -> None:
    assert problems_of(kind, body) == []


@pytest.mark.parametrize(
    ("kind", "body", "problem"),
    [
        ("policy", b"version = 2", "version: is 2"),
        ("policy", b"default_flor = 1", "default_flor: is not a known key"),
        ("policy", b"version =", "not valid TOML: Invalid value (at end of document)"),
        ("policy", b"a = 1\nb = \xff", "line 2 is not UTF-8"),
        ("policy", b"a = " + b"[" * 10_000, "not valid TOML"),
        ("policy", b"#" * (MAX_BYTES["policy"] + 1), "larger than"),
        ("gazetteer", b"\n", "it is empty"),
        ("gazetteer", b"Ada Nilsson", "line 1: it is no JSON object"),
        ("gazetteer", GOOD + b"[1]", "line 3: it is not an object"),
        ("gazetteer", gazetteer(extra=1), "line 1: it is not an object"),
        ("gazetteer", gazetteer(**{"class": "Patient"}), "`class` is no class name"),
        ("gazetteer", gazetteer(aliases="x"), "`aliases` is not a list"),
        ("gazetteer", gazetteer(text="x" * 201), "of 1 to 200 characters"),
        ("gazetteer", gazetteer(aliases=[""]), "of 1 to 200 characters"),
        ("gazetteer", b"[" * 100_000, "no JSON object"),
    ],
)
def test_what_a_device_would_refuse_is_refused(kind: str, body: bytes, problem: str) -> None:
    assert problem in "; ".join(problems_of(kind, body))


def test_no_fault_of_a_gazetteer_tells_a_name() -> None:
    for body in (b"Nilsson", gazetteer(aliases=[1]), gazetteer(**{"class": "Nilsson"}), gazetteer(Nilsson=1)):
        assert "Nilsson" not in "; ".join(problems_of("gazetteer", body))


def test_many_faults_are_counted() -> None:
    assert problems_of("gazetteer", b"x\n" * 50)[MAX_PROBLEMS:] == ["and 30 more"]
    assert "texts and aliases" in problems_of("gazetteer", gazetteer(aliases=["a"] * MAX_TEXTS))[0]


@pytest.mark.parametrize("body", [GOOD, b"x", gazetteer(aliases=[1]), gazetteer(text=2), gazetteer(extra=1)])
def test_the_device_says_the_same_of_a_gazetteer(body: bytes, tmp_path: Path) -> None:
    file = tmp_path / "names.jsonl"
    file.write_bytes(body)
    refused = False
    try:
        read_gazetteer(file)
    except ConfigurationError:
        refused = True
    assert refused == bool(problems_of("gazetteer", body))


@pytest.mark.parametrize("body", [b"", b"version = 2", b"x", b"default_floor = 2.0"])
def test_the_device_says_the_same_of_a_policy(body: bytes) -> None:
    assert (policy_from("it", body).value is None) == bool(problems_of("policy", body))
