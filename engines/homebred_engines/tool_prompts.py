"""Tools as text, for models and engines that have none of their own: told in the prompt, asked for in one form. Pure.

The form is one that many open models were taught, and plain enough for the others:

    <tool_call>{"name": "ring", "arguments": {"room": "hall"}}</tool_call>
    <tool_response>{"name": "ring", "content": "done"}</tool_response>

A call ends an answer, so there is one in it at most. Whether a call's arguments fit their schema is not looked at here:
an engine guides its output along `call_forms`, and whoever cannot must check what comes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from homebred_engines.api import (
    EngineFailedError,
    Finished,
    FinishReason,
    GenerateOptions,
    Message,
    Tool,
    ToolCall,
    Usage,
)

CALL_BEGIN = "<tool_call>"
CALL_END = "</tool_call>"
_RESULT_BEGIN, _RESULT_END = "<tool_response>", "</tool_response>"
_NO_PARAMETERS = {"type": "object", "properties": {}, "additionalProperties": False}
_HOW = (
    f'To call one, write {CALL_BEGIN}{{"name": its name, "arguments": an object}}{CALL_END} and nothing after it; its'
    f" result comes back between {_RESULT_BEGIN} and {_RESULT_END}."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallForm:
    """What may follow CALL_BEGIN to call one tool: `begin`, an instance of the schema, `end`, and then nothing."""

    name: str
    """Of the tool."""
    begin: str
    schema: dict[str, object]
    """JSON Schema of its arguments; its references start from its own root."""
    end: str


def asks_for_tools(options: GenerateOptions) -> bool:
    """Whether the answer may be a call."""
    return bool(options.tools) and options.tool_choice != "none"


def call_forms(options: GenerateOptions) -> tuple[CallForm, ...]:
    """The calls that may be made, in the order of the tools."""
    return tuple(
        CallForm(
            name=tool.name,
            begin=f'{{"name": {json.dumps(tool.name)}, "arguments": ',
            schema=_parameters(tool),
            end="}" + CALL_END,
        )
        for tool in _callable(options)
    )


def messages_with_tools(messages: Sequence[Message], options: GenerateOptions) -> tuple[Message, ...]:
    """The conversation for a chat template that knows text alone: no tools, no calls, no role `tool`.

    The tools stand at the end of the system message. Results that follow one another make one turn of the user, so that
    turns keep alternating.
    """
    names = {call.id: call.name for message in messages for call in message.tool_calls}
    turns: list[Message] = []
    previous = ""
    for message in messages:
        if message.role == "tool" == previous:
            turns[-1] = replace(turns[-1], content=f"{turns[-1].content}\n{_result(message, names)}")
        elif message.role == "tool":
            turns.append(Message(role="user", content=_result(message, names)))
        else:
            turns.append(Message(role=message.role, content=_with_calls(message)))
        previous = message.role
    if not asks_for_tools(options):
        return tuple(turns)
    told = _told(options)
    if turns and turns[0].role == "system":
        return (replace(turns[0], content=f"{turns[0].content}\n\n{told}"), *turns[1:])
    return (Message(role="system", content=told), *turns)


def written_call(call: ToolCall) -> str:
    """A call as text."""
    return f'{CALL_BEGIN}{{"name": {json.dumps(call.name)}, "arguments": {call.arguments}}}{CALL_END}'


def call_schema(options: GenerateOptions) -> str:
    """JSON Schema of the call that must be made, for engines that a schema alone can guide; empty: there is none.

    It is the form without its marks. Parameters with references have none: those start from the root of their own.
    """
    forms = call_forms(options)
    if options.tool_choice == "auto" or not forms or any('"$ref"' in json.dumps(form.schema) for form in forms):
        return ""
    calls = [
        {
            "type": "object",
            "properties": {"name": {"const": form.name}, "arguments": form.schema},
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for form in forms
    ]
    return _json(calls[0] if len(calls) == 1 else {"anyOf": calls})


def call_in(text: str, forms: Iterable[CallForm]) -> tuple[ToolCall, ...]:
    """The call that a JSON text is, of one of the forms; spacing is free."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return ()
    if not isinstance(document, dict) or document.keys() != {"name", "arguments"}:
        return ()
    name, arguments = document["name"], document["arguments"]
    if name not in [form.name for form in forms] or not isinstance(arguments, dict):
        return ()
    return (ToolCall(id="call_0", name=name, arguments=_json(arguments)),)


class AnswerReading:
    """An answer as it comes: which text of it may be shown, where a stop string ends it, and the call that it makes.

    Text that may yet turn out to be the beginning of a call or of a stop string is kept back. Stop strings are looked
    for in text alone: inside a call they would leave half of one.
    """

    def __init__(self, options: GenerateOptions) -> None:
        self.stopped = False
        """Whether a stop string has ended it: what comes after it does not count."""
        self._forms = call_forms(options)
        self._calls_stand_alone = bool(options.json_schema)  # a JSON answer may quote the marker
        marks = [*([CALL_BEGIN] if self._forms else []), *options.stop]
        self._marks = re.compile("|".join(map(re.escape, marks))) if marks else None
        self._beginnings = {mark[:length] for mark in marks for length in range(1, len(mark))}
        self._longest = max(map(len, marks), default=0)
        self._kept = ""
        self._has_shown = False
        self._call: str | None = None

    def feed(self, text: str) -> str:
        """What of the answer can be shown now."""
        if self._marks is None or self.stopped:
            return "" if self.stopped else text
        if self._call is not None:
            self._call += text
            return ""
        return self._shown(self._kept + text, goes_on=True)

    def finish(self, *, is_truncated: bool) -> str:
        """The text that was kept back, at the end of the answer; cut short, a beginning of the marker is none."""
        if self._forms and is_truncated and CALL_BEGIN.startswith(self._kept):
            return ""
        return self._shown(self._kept, goes_on=False) if self._kept and not self.stopped else ""

    @property
    def is_call(self) -> bool:
        """Whether a call has begun; at the answer's end it may be cut short."""
        return self._call is not None

    def calls(self) -> tuple[ToolCall, ...]:
        """The call, where it is whole; its id is unique in this answer alone."""
        return () if self._call is None else call_in(self._call.strip().removesuffix(CALL_END), self._forms)

    def finished(self, reason: FinishReason, usage: Usage) -> Finished:
        """The last event of an engine that guides its output: a call that the token limit cut short is none.

        Raises EngineFailedError for one that ended half-way all the same.
        """
        if reason is not FinishReason.STOP or not self.is_call:
            return Finished(reason=reason, usage=usage)
        calls = self.calls()
        if not calls:
            raise EngineFailedError("The engine ended a call of a tool half-way, though it was guided.")
        return Finished(reason=FinishReason.TOOL_CALLS, usage=usage, tool_calls=calls)

    def _shown(self, text: str, *, goes_on: bool) -> str:
        """The text up to the first mark, or to where one may be beginning."""
        self._kept = self._beginning_at_end(text) if goes_on else ""
        end = len(text) - len(self._kept)
        mark = self._first_mark(text, before=end)
        if mark is not None:
            end, self._kept = mark.start(), ""
            if mark[0] == CALL_BEGIN and self._forms:
                self._call = text[mark.end() :]
            else:
                self.stopped = True
        self._has_shown = self._has_shown or end > 0
        return text[:end]

    def _beginning_at_end(self, text: str) -> str:
        ends = (text[start:] for start in range(max(0, len(text) - self._longest), len(text)))
        return next((end for end in ends if end in self._beginnings), "")

    def _first_mark(self, text: str, *, before: int) -> re.Match[str] | None:
        for mark in self._marks.finditer(text) if self._marks else ():
            is_quoted = mark[0] == CALL_BEGIN and self._calls_stand_alone and (self._has_shown or text[: mark.start()])
            if mark.start() < before and not is_quoted:
                return mark
        return None


def _callable(options: GenerateOptions) -> Iterable[Tool]:
    if not asks_for_tools(options):
        return ()
    named = [tool for tool in options.tools if tool.name == options.tool_choice]
    return named or options.tools


def _parameters(tool: Tool) -> dict[str, object]:
    return {**json.loads(tool.parameters), "type": "object"} if tool.parameters else dict(_NO_PARAMETERS)


def _told(options: GenerateOptions) -> str:
    when = "Call one when it helps; else answer in words." if options.tool_choice == "auto" else "Call one now."
    return "\n".join(["Tools that you can call:", *map(_description, _callable(options)), _HOW, when])


def _description(tool: Tool) -> str:
    told = {"name": tool.name, "description": tool.description, "parameters": _parameters(tool)}
    return _json({key: value for key, value in told.items() if value})


def _with_calls(message: Message) -> str:
    return "\n".join([*([message.content] if message.content else []), *map(written_call, message.tool_calls)])


def _result(message: Message, names: dict[str, str]) -> str:
    name = names.get(message.tool_call_id, message.tool_call_id)
    return _RESULT_BEGIN + _json({"name": name, "content": message.content}) + _RESULT_END


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
