"""What a model's calls of tools must withstand before a caller hears of them, and how they come home from a cloud.

No tool is ever called here: a caller's program does that. Whether a text fits a JSON Schema is the checker's to say.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from homebred_daemon.core.pseudonyms import Pseudonyms
from homebred_engines.api import GenerateOptions, ToolCall

ANY_OBJECT: Final = '{"type": "object"}'


def misfit(calls: Sequence[ToolCall], options: GenerateOptions, problem: Callable[[str, str], str]) -> str:
    """Why the calls are not ones that the caller can make, made where they must be; empty: they are.

    Args:
        calls: the model's.
        options: what was asked of it.
        problem: why a text is no instance of a schema; empty: it is one.
    """
    schemas = {tool.name: tool.parameters or ANY_OBJECT for tool in options.tools}
    if options.tool_choice in schemas:
        schemas = {options.tool_choice: schemas[options.tool_choice]}
    if not calls:
        return (
            ""
            if options.tool_choice in ("auto", "none")
            else f"one of these tools must be called: {', '.join(schemas)}"
        )
    if options.tool_choice == "none":
        return "no tool may be called"
    for call in calls:
        if call.name not in schemas:
            return f"there is no tool {call.name} to call"
        if found := problem(call.arguments, schemas[call.name]):
            return f"the arguments of {call.name}: {found}"
    return ""


def with_ids(calls: Sequence[ToolCall], route_id: str) -> tuple[ToolCall, ...]:
    """The calls with ids that no other call has."""
    return tuple(replace(call, id=f"call_{route_id}_{number}") for number, call in enumerate(calls))


def restored(calls: Sequence[ToolCall], pseudonyms: Pseudonyms, *, local_tools: frozenset[str]) -> Restored:
    """A cloud model's calls with names as the caller gave them, and values put back for tools that run here.

    For all others a value is withheld: what a tool elsewhere is given has left the house.

    Raises:
        TokenError: a token was never issued, or was altered.
        ValueError: arguments are no JSON, or hold half of a surrogate pair.
    """
    home = Restored()
    for call in calls:
        name = pseudonyms.name(call.name)
        arguments = home.document(call.arguments, pseudonyms, may_show=name in local_tools)
        home.calls += (ToolCall(id=call.id, name=name, arguments=arguments),)
    return home


class Restored:
    """What has come home in JSON: calls, and an answer that must fit a schema."""

    def __init__(self) -> None:
        self.calls: tuple[ToolCall, ...] = ()
        self.withheld = 0
        """How many values were not put back."""

    def document(self, text: str, pseudonyms: Pseudonyms, *, may_show: bool) -> str:
        """JSON text with its tokens replaced, in what it means: no escape hides a link, no value ends a string.

        Raises as `restored` does.
        """
        whole = json.dumps(self.filled(json.loads(text), pseudonyms, may_show=may_show), ensure_ascii=False)
        whole.encode()  # half of a surrogate pair is no text: nobody could pass it on
        return whole

    def filled(self, value: Any, pseudonyms: Pseudonyms, *, may_show: bool) -> Any:
        """A JSON value with its tokens replaced."""
        match value:
            case str():
                restorer = pseudonyms.restorer(may_show=may_show)
                text = restorer.feed(value) + restorer.finish()
                self.withheld += restorer.withheld
                return text
            case dict():
                return {
                    self.filled(name, pseudonyms, may_show=may_show): self.filled(held, pseudonyms, may_show=may_show)
                    for name, held in value.items()
                }
            case list():
                return [self.filled(held, pseudonyms, may_show=may_show) for held in value]
            case _:
                return value
