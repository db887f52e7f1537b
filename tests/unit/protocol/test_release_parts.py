from __future__ import annotations

from typing import Any

import pytest

from homebred_protocol.documents import release_parts as parts
from homebred_protocol.documents.fields import Fields
from homebred_protocol.documents.release_values import Constraints, Provenance, ReleaseBase, Shadow

DIGEST = "sha256:" + "0" * 64


def complaints_of(fields: Fields) -> str:
    return "\n".join(problem.sentence() for problem in fields.problems)


@pytest.mark.parametrize("text", ["", " ", "two\nlines", "bell\a", "x" * (parts.MAX_TEXT + 1), "\u202e"])
def test_a_text_is_one_printable_line(text: str) -> None:
    fields = Fields({"title": text})
    assert parts.text_of(fields, "title") == ""
    assert "title: is" in complaints_of(fields)


def test_an_absent_text_is_empty_and_missing_only_where_it_is_required() -> None:
    fields = Fields({})
    assert parts.text_of(fields, "title") == ""
    assert fields.problems == []
    parts.text_of(fields, "title", required=True)
    assert "title: is missing" in complaints_of(fields)


@pytest.mark.parametrize(
    ("family", "specialist", "number", "complaint"),
    [
        ("clinic", "intake.v2", 2**53 - 1, ""),
        ("Clinic", "intake", 1, "family: is 'Clinic'"),
        ("clinic/..", "intake", 1, "family: is 'clinic/..'"),
        ("clinic", "intake-", 1, "id: is 'intake-'"),
        ("clinic", "../intake", 1, "id: is '../intake'"),
        ("", "", 1, "family: is ''"),
    ],
)
def test_a_name_is_one_that_a_target_can_have(family: str, specialist: str, number: int, complaint: str) -> None:
    fields = Fields({})
    parts.check_name(fields, family=family, specialist=specialist, number=number)
    assert complaint in complaints_of(fields)
    assert bool(complaint) == bool(fields.problems)


@pytest.mark.parametrize(
    ("shadow", "complaint"),
    [
        ({"outcomes": 20, "longest_s": 604_800}, ""),
        ({"outcomes": 2001, "longest_s": 60}, "shadow.outcomes: is 2001; write 20 to 2,000"),
        ({"outcomes": 20, "longest_s": 59}, "shadow.longest_s: is 59; write 60 to 604,800"),
        ({"outcomes": 20}, "shadow.longest_s: is missing"),
    ],
)
def test_a_shadow_is_long_enough_to_tell_something_and_comes_to_an_end(shadow: dict[str, int], complaint: str) -> None:
    fields = Fields({"shadow": shadow})
    found = parts.shadow_of(fields)
    assert complaint in complaints_of(fields)
    if not complaint:
        assert found == Shadow(**shadow)


def test_a_gate_that_says_nothing_of_a_shadow_has_none() -> None:
    assert parts.shadow_of(Fields({})) is None


@pytest.mark.parametrize(
    ("number", "complaint"), [(0, "number: is 0"), (2**53, "number: is too large"), (None, "missing")]
)
def test_a_number_counts_from_1_and_every_reader_holds_it(number: int | None, complaint: str) -> None:
    fields = Fields({"number": number})
    parts.number_of(fields)
    assert complaint in complaints_of(fields)


@pytest.mark.parametrize(
    ("classes", "complaint"),
    [
        (["patient", "ward_3"], ""),
        (["Patient"], "names 'Patient'"),
        (["public", "patient"], "is not sorted"),
        (["patient", "patient"], "is not sorted, or names something twice"),
        ([f"c{n:02}" for n in range(33)], "holds 33 names"),
        ("patient", "write a list of strings"),
    ],
)
def test_classes_are_a_short_sorted_list_of_labels(classes: object, complaint: str) -> None:
    fields = Fields({"classes": classes})
    parts.classes_of(fields)
    assert complaint in complaints_of(fields)


@pytest.mark.parametrize(
    ("classes", "sites", "complaint"),
    [
        (("public",), [], ""),
        ((), [], ""),
        (("patient",), ["clinic-east"], ""),
        (("patient", "public"), [], "sites: is empty, and the release inherits patient"),
        (("trade_secret",), [], "inherits trade_secret"),
        (("ward_names",), [], "inherits ward_names"),
        ((), ["Clinic East"], "names 'Clinic East'"),
        ((), ["west", "east"], "is not sorted"),
    ],
)
def test_what_comes_from_protected_data_is_bound_to_sites(
    classes: tuple[str, ...], sites: list[str], complaint: str
) -> None:
    fields = Fields({"sites": sites})
    parts.sites_of(fields, classes)
    assert complaint in complaints_of(fields)
    assert bool(complaint) == bool(fields.problems)


def test_a_base_says_its_digest_its_form_and_its_length() -> None:
    fields = Fields({"digest": DIGEST, "form": "folder", "length": 12})
    assert parts.base_of(fields) == ReleaseBase(digest=DIGEST, form="folder", length=12)
    assert fields.problems == []
    fields = Fields({"digest": "md5:0", "form": "zip", "length": 0, "name": "x"})
    parts.base_of(fields)
    for complaint in ("digest: is 'md5:0'", "form: is 'zip'", "length: is 0", "name: is not a known key"):
        assert complaint in complaints_of(fields)
    fields = Fields({})
    parts.base_of(fields)
    for key in ("digest", "form", "length"):
        assert f"{key}: is missing" in complaints_of(fields)


def test_constraints_say_what_they_say_and_nothing_else() -> None:
    table = {"engine": "llamacpp", "engine_version": "1.2", "memory_bytes": 7, "tokenizer_digest": DIGEST}
    fields = Fields(table)
    assert parts.constraints_of(fields) == Constraints(
        engine="llamacpp", engine_version="1.2", memory_bytes=7, tokenizer_digest=DIGEST
    )
    assert fields.problems == []


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("engine", None, "engine: is missing"),
        ("engine", "../x", "engine: is '../x'"),
        ("engine_version", ">=1", "engine_version: is '>=1'; write numbers with dots"),
        ("architecture", "ARM 64", "architecture: is 'ARM 64'"),
        ("memory_bytes", 0, "memory_bytes: is 0"),
        ("base_digest", "x", "base_digest: is 'x'"),
        ("cuda", "12", "cuda: is not a known key"),
    ],
)
def test_a_wrong_constraint_is_named(key: str, value: Any, complaint: str) -> None:
    fields = Fields({"engine": "llamacpp", key: value})
    parts.constraints_of(fields)
    assert complaint in complaints_of(fields)


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ({"minimum_ppm": 1_000_000}, ""),
        ({"minimum_ppm": 0, "maximum_p95_ms": 1}, ""),
        ({}, "minimum_ppm: is missing"),
        ({"minimum_ppm": 1_000_001}, "minimum_ppm: is 1000001; write millionths"),
        ({"minimum_ppm": -1}, "minimum_ppm: is -1"),
        ({"minimum_ppm": 0.9}, "minimum_ppm: is a number; write an integer"),
        ({"minimum_ppm": 1, "maximum_p95_ms": 0}, "maximum_p95_ms: is 0"),
    ],
)
def test_thresholds_are_millionths_and_milliseconds(table: dict[str, Any], complaint: str) -> None:
    fields = Fields(table)
    parts.thresholds_of(fields)
    assert complaint in complaints_of(fields)
    assert bool(complaint) == bool(fields.problems)


def test_provenance_names_what_it_was_made_of_and_under_which_licence() -> None:
    fields = Fields(
        {"provenance": [{"name": "notes", "licence": "CC-BY-4.0", "digest": DIGEST}, {"name": "b", "licence": "MIT"}]}
    )
    assert parts.provenance_of(fields) == (
        Provenance(name="notes", licence="CC-BY-4.0", digest=DIGEST),
        Provenance(name="b", licence="MIT"),
    )
    assert fields.problems == []
    fields = Fields({"provenance": [{"name": "notes"}, {"licence": "MIT", "url": "x"}]})
    parts.provenance_of(fields)
    for complaint in (
        "provenance[0].licence: is missing",
        "provenance[1].name: is missing",
        "provenance[1].url: is not",
    ):
        assert complaint in complaints_of(fields)


def test_a_very_long_provenance_is_not_read_to_its_end() -> None:
    fields = Fields({"provenance": [{}] * 100_000})
    parts.provenance_of(fields)
    assert "write 256 at most" in complaints_of(fields)
    assert len(fields.problems) < 1_000


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"slots": 4, "type": "q4_1"}, ""),
        ({"Slots": 4}, "arguments.Slots: is no argument's name"),
        ({"--out": "x"}, "is no argument's name"),
        ({"slots": -1}, "arguments.slots: is -1"),
        ({"slots": True}, "arguments.slots: is a boolean"),
        ({"slots": 1.5}, "arguments.slots: is a number"),
        ({"slots": None}, "arguments.slots: is missing"),
        ({"type": "a\nb"}, "arguments.type: is 'a\\nb'"),
        ({f"a{n}": 1 for n in range(33)}, "holds too many arguments"),
    ],
)
def test_a_builds_arguments_are_few_words_and_whole_numbers(arguments: dict[str, Any], complaint: str) -> None:
    fields = Fields({"arguments": arguments})
    found = parts.arguments_of(fields)
    assert complaint in complaints_of(fields)
    assert (found == arguments) is not bool(complaint)
