from __future__ import annotations

from dataclasses import replace

from homebred_engines.api import GenerateOptions, Tool
from homebred_engines.llamacpp_grammar import grammar_for

TOOLS = GenerateOptions(tools=(Tool(name="ring", parameters='{"properties": {}}'), Tool(name="wait")))


def rules(options: GenerateOptions) -> dict[str, str]:
    grammar = grammar_for(options)
    assert grammar is not None
    head, *lines = grammar.lark.splitlines()
    assert head == "%llguidance {}"
    return dict(line.split(": ", 1) for line in lines)


def test_free_text_is_not_guided() -> None:
    assert grammar_for(GenerateOptions()) is None


def test_a_schema_alone_is_the_whole_grammar() -> None:
    options = GenerateOptions(json_schema='{"type": "object"}')
    assert [*rules(options)] == ["start"]
    assert rules(options)["start"].startswith('%json {"type": "object", "x-guidance": ')
    grammar = grammar_for(options)
    assert grammar is not None
    assert grammar.option == "json_schema"


def test_what_may_begin_an_answer_follows_the_choice() -> None:
    starts = {
        choice: rules(replace(TOOLS, tool_choice=choice))["start"] for choice in ("auto", "none", "required", "ring")
    }
    assert starts == {
        "auto": "answer | before call",
        "none": "answer",
        "required": "marker call",
        "ring": "marker call",
    }
    assert rules(replace(TOOLS, json_schema="{}"))["start"] == "answer | marker call"


def test_each_tool_that_may_be_called_has_its_alternative() -> None:
    assert rules(TOOLS)["call"].count("%json") == 2
    assert rules(replace(TOOLS, tool_choice="wait"))["call"].count("%json") == 1
