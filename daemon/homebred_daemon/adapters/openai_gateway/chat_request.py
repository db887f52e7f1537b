"""The body of POST /v1/chat/completions as a task document: OpenAI's messages, tools and formats in our words."""

from __future__ import annotations

from typing import Any

from homebred_daemon.adapters.openai_gateway.parameters import Parameters
from homebred_protocol.documents.fields import Fields

_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}
_UNTOLD = ("name", "refusal", "annotations", "audio", "function_call")
"""What clients send along empty, of an answer that they repeat."""
ANY_OBJECT = {"type": "object"}
"""What JSON mode asks for."""


def chat_document(parameters: Parameters, local_tools: frozenset[str]) -> dict[str, Any]:
    """The content of the task; problems are left with the parameters.

    Args:
        parameters: the body.
        local_tools: names of the tools that run on this device.
    """
    fields = parameters.fields
    tools = [_tool(entry, local_tools) for entry in fields.listed("tools")]
    for name in sorted(local_tools - {tool["name"] for tool in tools}):
        fields.complain(("homebred", "local_tools"), f"names {name!r}, which is no tool of this request", "remove it")
    return {
        "messages": [_message(entry) for entry in fields.listed("messages")],
        "tools": tools or None,
        "tool_choice": _tool_choice(fields),
        "response_schema": _response_schema(fields),
    }


def _message(entry: Fields) -> dict[str, Any]:
    role = entry.choice("role", tuple(_ROLES)) or "user"
    calls = [_tool_call(call) for call in entry.listed("tool_calls")]
    said = {"role": _ROLES[role], "content": _content(entry), "tool_call_id": entry.text("tool_call_id")}
    for name in _UNTOLD:
        if entry.raw(name):
            entry.complain((name,), "is not supported", "leave it out: engines here are not told of it")
    entry.finish()
    return said | {"tool_calls": calls} if calls else said


def _content(entry: Fields) -> str | None:
    """The text of a message, its parts joined."""
    if not isinstance(entry.raw("content"), list):
        return entry.text("content")
    texts = []
    for part in entry.listed("content"):
        kind = part.text("type", required=True)
        if kind == "text":
            texts.append(part.text("text", required=True) or "")
            part.finish()
        else:
            part.complain(("type",), f"is {kind!r}", "send text, and documents or pictures in homebred.attachments")
    return "\n".join(texts)


def _tool_call(call: Fields) -> dict[str, Any]:
    call.choice("type", ("function",), "function")
    function = call.table("function") or Fields({}, (*call.path, "function"), call.problems)
    said = {
        "id": call.text("id", required=True) or "",
        "name": function.text("name", required=True) or "",
        "arguments": function.text("arguments", required=True) or "",
    }
    function.finish()
    call.finish()
    return said


def _tool(entry: Fields, local_tools: frozenset[str]) -> dict[str, Any]:
    entry.choice("type", ("function",), "function")
    function = entry.table("function") or Fields({}, (*entry.path, "function"), entry.problems)
    name = function.text("name", required=True) or ""
    said = {"name": name, "description": function.text("description"), "parameters": function.raw("parameters")}
    function.boolean("strict")  # either way: arguments that do not fit never reach the caller
    function.finish()
    entry.finish()
    return said | {"runs_here": name in local_tools}


def _tool_choice(fields: Fields) -> str | None:
    if not isinstance(fields.raw("tool_choice"), dict):
        return fields.choice("tool_choice", ("none", "auto", "required"))
    named = fields.table("tool_choice")
    function = named.table("function") if named is not None else None
    if named is None or function is None or named.choice("type", ("function",)) is None:
        hint = 'write "none", "auto", "required" or {"type": "function", "function": {"name": …}}'
        fields.complain(("tool_choice",), "is not supported", hint)
        return None
    name = function.text("name", required=True)
    function.finish()
    named.finish()
    return name


def _response_schema(fields: Fields) -> Any:
    wanted = fields.table("response_format")
    if wanted is None:
        return None
    kind = wanted.choice("type", ("text", "json_object", "json_schema"), "text")
    inner = wanted.table("json_schema")
    schema = None if inner is None else _named_schema(inner)
    wanted.finish()
    match kind:
        case "json_schema" if inner is None:
            wanted.complain(("json_schema",), "is missing", 'write {"name": …, "schema": …}')
        case "json_schema":
            return schema
        case "json_object":
            return ANY_OBJECT
    return None


def _named_schema(inner: Fields) -> Any:
    inner.text("name", required=True)
    inner.text("description")
    inner.boolean("strict")  # either way: an answer fits its schema, or it is none
    schema = inner.raw("schema")
    if not isinstance(schema, dict):
        inner.complain(("schema",), "is no object", 'write a JSON Schema such as {"type": "object"}')
    inner.finish()
    return schema
