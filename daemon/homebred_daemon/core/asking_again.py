"""What is asked of an engine, where it cannot be guided too, and again where its answer did not fit.

What an engine refuses to be guided by is told to it in words instead. Whether an answer fits is checked elsewhere, of
every engine alike: only then does it count.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from homebred_engines import api
from homebred_engines.tool_prompts import (
    AnswerReading,
    call_forms,
    call_in,
    call_schema,
    messages_with_tools,
    written_call,
)

MAX_ASKS: Final = 3
"""One, and at most two more with what was wrong before."""

TOLD_IN_WORDS: Final = frozenset({"json_schema", "tools"})
"""Options that an engine need not have: what they ask for can be told, and checked."""

MAX_COMPLAINT_CHARACTERS: Final = 400

_NOTHING = "(nothing)"
_FENCED = re.compile(r"\s*```[A-Za-z]*\n(.*?)\n?```\s*", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One generation as it is wanted, and what of it is told in words."""

    messages: tuple[api.Message, ...]
    options: api.GenerateOptions
    """What the answer must keep to, whoever sees to it."""
    in_words: frozenset[str] = frozenset()
    """Options that the engine does not get."""

    def without(self, option: str) -> Ask | None:
        """The same for an engine that refused an option; None: there is no other way to ask.

        It is told in words, or left out where only we wanted it: probabilities, which an engine need not have.
        """
        if option == "logprobs" and self.options.logprobs:
            return replace(self, options=replace(self.options, logprobs=False))
        return self._in_words_too(option)

    def _in_words_too(self, option: str) -> Ask | None:
        if option not in TOLD_IN_WORDS - self.in_words:
            return None
        # A call stands outside the schema of an answer: an engine that is guided by that one could not write it. A call
        # that must be made has a schema of its own, which may guide it yet.
        also = TOLD_IN_WORDS if option == "tools" and not call_schema(self.options) else {option}
        return replace(self, in_words=self.in_words | also)

    def again(self, said: str, calls: Sequence[api.ToolCall], complaint: str) -> Ask:
        """The same after an answer that did not fit, as the engine gave it."""
        answer = "\n".join([*([said] if said else []), *map(written_call, calls)]) or _NOTHING
        told = f"That does not fit: {complaint[:MAX_COMPLAINT_CHARACTERS]}. Try again."
        turns = (api.Message(role="assistant", content=answer), api.Message(role="user", content=told))
        return replace(self, messages=(*self.messages, *turns))

    def engine_messages(self) -> tuple[api.Message, ...]:
        """What the engine gets to read."""
        messages: Sequence[api.Message] = self.messages
        if "tools" in self.in_words:
            messages = messages_with_tools(messages, self.options)
        if "json_schema" in self.in_words and self.options.json_schema and not self._must_call:
            messages = _with_system(messages, _schema_in_words(self.options))
        return tuple(messages)

    def engine_options(self) -> api.GenerateOptions:
        """What the engine is held to."""
        options = self.options
        if "tools" in self.in_words:  # a stop string inside a call would leave half of one: they are looked for here
            schema = call_schema(options) if self._must_call else options.json_schema
            options = replace(options, tools=(), tool_choice="auto", stop=(), json_schema=schema)
        return replace(options, json_schema="") if "json_schema" in self.in_words else options

    def read(self, text: str, finished: api.Finished) -> Said:
        """An answer, with the call in it where tools were told in words."""
        is_json = self.in_words and (self._must_call or bool(self.options.json_schema))
        if is_json and (fenced := _FENCED.fullmatch(text)):
            text = fenced[1]
        if "tools" in self.in_words:
            return self._read_call(text, finished.reason)
        return Said(text=text, calls=finished.tool_calls, reason=finished.reason)

    def _read_call(self, text: str, reason: api.FinishReason) -> Said:
        calls = call_in(text, call_forms(self.options)) if self._must_call else ()
        if calls:
            return Said(text="", calls=calls, reason=api.FinishReason.TOOL_CALLS)
        reading = AnswerReading(self.options)
        shown = reading.feed(text) + reading.finish(is_truncated=reason is api.FinishReason.LENGTH)
        calls = reading.calls()
        reason = api.FinishReason.TOOL_CALLS if calls else reason
        return Said(text=shown, calls=calls, reason=reason, is_half_call=reading.is_call and not calls)

    @property
    def _must_call(self) -> bool:
        return self.options.tool_choice not in ("auto", "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """An answer as the engine meant it."""

    text: str
    calls: tuple[api.ToolCall, ...]
    reason: api.FinishReason
    is_half_call: bool = False
    """It began to call a tool, and did not end in the form for that."""


def is_asked_again(complaint: str, reason: api.FinishReason, *, asks: int, was_shown: bool) -> bool:
    """Whether to ask once more, after so many asks.

    What the caller has seen stands, and an answer that the token limit cut short would be cut short again.
    """
    return bool(complaint) and not was_shown and asks < MAX_ASKS and reason is not api.FinishReason.LENGTH


def summed(first: api.Usage, second: api.Usage) -> api.Usage:
    """What two generations took together."""
    return api.Usage(
        prompt_tokens=first.prompt_tokens + second.prompt_tokens,
        cached_tokens=first.cached_tokens + second.cached_tokens,
        completion_tokens=first.completion_tokens + second.completion_tokens,
        prompt_s=first.prompt_s + second.prompt_s,
        completion_s=first.completion_s + second.completion_s,
        queued_s=first.queued_s + second.queued_s,
    )


def _schema_in_words(options: api.GenerateOptions) -> str:
    unless = " unless you call a tool" if options.tools and options.tool_choice == "auto" else ""
    return f"Answer with nothing but JSON that fits this JSON Schema{unless}:\n{options.json_schema}"


def _with_system(messages: Sequence[api.Message], told: str) -> tuple[api.Message, ...]:
    if messages and messages[0].role == "system":
        return (replace(messages[0], content=f"{messages[0].content}\n\n{told}"), *messages[1:])
    return (api.Message(role="system", content=told), *messages)
