"""What guides an output, as NVIDIA's engines hand it to xgrammar: a JSON Schema, or a structural tag. Pure.

A structural tag says how text and calls of tools may follow one another. Its formats are those of xgrammar 0.1.25,
which TensorRT-LLM 1.2 requires; TensorRT Edge-LLM 0.11 has 0.2.1, which takes the same. Whether a decoder follows the
schemas in them is looked at in `guided_schema.py`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from homebred_engines.api import GenerateOptions
from homebred_engines.guided_schema import guidable
from homebred_engines.tool_prompts import CALL_BEGIN, asks_for_tools, call_forms


@dataclass(frozen=True, slots=True, kw_only=True)
class Guidance:
    """What an output must be; at most one of the two is set, and with none it may be anything."""

    json_schema: str | None = None
    structural_tag: str | None = None


def guidance_for(options: GenerateOptions) -> Guidance:
    """Raises UnsupportedOptionError for a schema that the decoder would not follow."""
    answer = guidable(options.parsed_schema()) if options.json_schema else None
    if asks_for_tools(options):
        return Guidance(structural_tag=json.dumps({"type": "structural_tag", "format": _with_calls(options, answer)}))
    return Guidance(json_schema=None if answer is None else json.dumps(answer))


def _with_calls(options: GenerateOptions, answer: dict[str, Any] | None) -> dict[str, Any]:
    calls = [
        {
            "type": "tag",
            "begin": CALL_BEGIN + form.begin,
            "content": _json(guidable(form.schema, option="tools")),
            "end": form.end,
        }
        for form in call_forms(options)
    ]
    if options.tool_choice != "auto":
        return {"type": "or", "elements": calls}
    if answer is not None:
        return {"type": "or", "elements": [_json(answer), *calls]}
    # The marker of a call never stands in text: after it, one of the calls is the only way on, and then the end.
    return {
        "type": "triggered_tags",
        "triggers": [CALL_BEGIN],
        "tags": calls,
        "at_least_one": False,
        "stop_after_first": True,
    }


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": schema}
