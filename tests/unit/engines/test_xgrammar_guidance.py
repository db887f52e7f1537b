from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from homebred_engines.api import GenerateOptions, Tool, UnsupportedOptionError
from homebred_engines.xgrammar_guidance import Guidance, guidance_for

TOOLS = GenerateOptions(tools=(Tool(name="ring", parameters='{"properties": {"room": {}}}'), Tool(name="wait")))
BEGINNINGS = [f'<tool_call>{{"name": "{name}", "arguments": ' for name in ("ring", "wait")]


def format_of(options: GenerateOptions) -> dict[str, Any]:
    guidance = guidance_for(options)
    assert guidance.json_schema is None
    tag = json.loads(guidance.structural_tag or "")
    assert tag.keys() == {"type", "format"}
    return dict(tag["format"])


def test_free_text_is_not_guided_and_a_schema_is_all_of_it() -> None:
    assert guidance_for(GenerateOptions()) == guidance_for(replace(TOOLS, tool_choice="none")) == Guidance()
    schema = '{"type": "object"}'
    for options in (GenerateOptions(), replace(TOOLS, tool_choice="none")):
        assert guidance_for(replace(options, json_schema=schema)) == Guidance(json_schema=schema)


def test_left_to_the_model_the_marker_leads_to_one_call_and_the_end() -> None:
    form = format_of(TOOLS)
    assert (form["type"], form["triggers"], form["stop_after_first"]) == ("triggered_tags", ["<tool_call>"], True)
    assert [tag["begin"] for tag in form["tags"]] == BEGINNINGS
    assert {tag["end"] for tag in form["tags"]} == {"}</tool_call>"}


def test_a_call_that_must_be_made_is_the_only_choice() -> None:
    assert [each["begin"] for each in format_of(replace(TOOLS, tool_choice="required"))["elements"]] == BEGINNINGS
    assert [each["begin"] for each in format_of(replace(TOOLS, tool_choice="wait"))["elements"]] == BEGINNINGS[1:]


def test_with_a_schema_an_answer_is_an_instance_or_a_call() -> None:
    first, *calls = format_of(replace(TOOLS, json_schema="{}"))["elements"]
    assert first == {"type": "json_schema", "json_schema": {}}
    assert [each["begin"] for each in calls] == BEGINNINGS


def test_parameters_that_the_decoder_would_not_follow_are_refused_as_the_tools() -> None:
    tool = Tool(name="ring", parameters='{"properties": {"room": {"$ref": "#"}}}')
    with pytest.raises(UnsupportedOptionError) as refusal:
        guidance_for(GenerateOptions(tools=(tool,)))
    assert refusal.value.option == "tools"
