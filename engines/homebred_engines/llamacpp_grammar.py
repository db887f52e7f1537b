"""What guides llama.cpp's output, as grammars of llguidance's Lark dialect. Whether one guides is proven elsewhere.

No output that a grammar here allows begins with UNGUIDED, which is how the proof tells a guided engine from another.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from homebred_engines.api import GenerateOptions
from homebred_engines.tool_prompts import CALL_BEGIN, CallForm, asks_for_tools, call_forms

UNGUIDED = "~"
_HEAD = "%llguidance {}"
# With white space left free a small model wanders in it, up to its token limit: `{"a": 1, "b": [2, 3]}`.
_SPACING = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
_ANY = r"(.|\n)*"
_SAID = f"[^{UNGUIDED}]{_ANY}"
# The marker of a call never stands in text: after it, one of the calls is the only way on.
_TEXT = f"/{_SAID}/ & ~/{_ANY}{CALL_BEGIN}{_ANY}/"


@dataclass(frozen=True, slots=True)
class Grammar:
    """What an output must be."""

    lark: str
    option: str
    """Of the request, which asks for it."""


def grammar_for(options: GenerateOptions) -> Grammar | None:
    """The grammar of what may be answered; None: anything."""
    if options.tools:
        return Grammar(_with_tools(options), option="tools")
    if options.json_schema:
        return Grammar(_grammar(start=_json(options.parsed_schema())), option="json_schema")
    return None


def _with_tools(options: GenerateOptions) -> str:
    answer = {"answer": _json(options.parsed_schema())} if options.json_schema else {"answer": "TEXT", "TEXT": _TEXT}
    if not asks_for_tools(options):
        return _grammar(start="answer", **answer)
    call = {"marker": json.dumps(CALL_BEGIN), "call": " | ".join(map(_call, call_forms(options)))}
    if options.tool_choice != "auto":
        return _grammar(start="marker call", **call)
    if options.json_schema:
        return _grammar(start="answer | marker call", **answer, **call)
    # A lazy lexeme ends at the first marker, wherever in the text that is.
    before = {"before[lazy]": f"/({_SAID})?{CALL_BEGIN}/"}
    return _grammar(start="answer | before call", **answer, **before, call=call["call"])


def _grammar(**rules: str) -> str:
    return "\n".join([_HEAD, *(f"{name}: {rule}" for name, rule in rules.items())])


def _call(form: CallForm) -> str:
    return f"{json.dumps(form.begin)} {_json(form.schema)} {json.dumps(form.end)}"


def _json(schema: dict[str, object]) -> str:
    return "%json " + json.dumps({**schema, "x-guidance": _SPACING})
