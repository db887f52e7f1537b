from __future__ import annotations

import json
from dataclasses import replace

import pytest

from homebred_engines.package_facts import ClassFacts, drift, read_facts, shipped_facts, write_facts

RECORDED = ClassFacts(
    places=("package",),
    source="docs",
    kind="class",
    attributes=("text",),
    methods={"ask": {"prompt": None, "limit": "32", "name": "'auto'"}},
)


def with_ask(**ask: str | None) -> ClassFacts:
    return replace(RECORDED, methods={"ask": ask})


@pytest.mark.parametrize(
    ("found", "sentences"),
    [
        (RECORDED, []),
        (replace(RECORDED, attributes=("more", "text")), []),
        (with_ask(prompt=None, limit="32", name='"auto"', more="None"), []),
        (None, ["Engine is in none of package"]),
        (replace(RECORDED, kind="dataclass"), ["Engine was a class and is a dataclass"]),
        (replace(RECORDED, attributes=()), ["Engine.text is gone"]),
        (replace(RECORDED, methods={}), ["Engine.ask is gone"]),
        (replace(RECORDED, keyword_only=True), ["Engine takes its fields by name alone"]),
        (with_ask(prompt=None, name="'auto'"), ["Engine.ask: limit is gone"]),
        (with_ask(prompt=None, limit="64", name="'auto'"), ["Engine.ask: limit was 32 by default and is 64"]),
        (with_ask(prompt=None, limit=None, name="'auto'"), ["Engine.ask: limit has no default any more"]),
        (
            with_ask(prompt=None, limit="32", name="'auto'", device=None),
            ["Engine.ask: device is new and must be given"],
        ),
    ],
)
def test_drift_is_what_breaks_a_caller_and_is_named(found: ClassFacts | None, sentences: list[str]) -> None:
    assert drift({"Engine": RECORDED}, {"Engine": found}) == sentences


def test_a_method_that_takes_any_keyword_lost_none() -> None:
    found = replace(RECORDED, methods={"ask": {"prompt": None, "**options": None}})
    assert drift({"Engine": RECORDED}, {"Engine": found}) == []


def test_a_default_that_no_source_states_cannot_drift() -> None:
    recorded = replace(RECORDED, fields={"size": "…"})
    assert drift({"Engine": recorded}, {"Engine": replace(RECORDED, fields={"size": "3"})}) == []
    assert drift({"Engine": recorded}, {"Engine": RECORDED}) == ["Engine: size is gone"]


def test_the_shipped_facts_are_whole_and_say_where_they_are_from() -> None:
    facts = shipped_facts("tensorrt_llm-1.2.1.json")
    assert read_facts(write_facts(facts)) == facts
    assert (facts.distribution, facts.version) == ("tensorrt-llm", "1.2.1")
    assert "58fb435e" in facts.sources["rendered"]
    assert "never executed" in facts.written
    assert facts.classes["SamplingParams"].fields["max_tokens"] == "32"
    assert {each.source for each in facts.classes.values()} == {"rendered", "raw"}
    assert drift(facts.classes, facts.classes) == []


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"format": "other"},
        {"format": "homebred-package-facts", "sources": {}, "classes": {"A": {"kind": "class", "source": "s"}}},
    ],
    ids=str,
)
def test_a_file_that_holds_no_facts_is_refused(document: object) -> None:
    with pytest.raises(ValueError, match=r"format|A has no known"):
        read_facts(json.dumps(document))
