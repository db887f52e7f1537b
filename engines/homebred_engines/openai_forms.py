"""Conversations and tools as OpenAI's chat completions write them, for whoever asks a server in its words. Pure."""

from __future__ import annotations

import json

from homebred_engines import api


def message_form(message: api.Message) -> dict[str, object]:
    """A turn, with what it asks of tools, or the call that it answers."""
    written: dict[str, object] = {"role": message.role, "content": message.content}
    if message.tool_call_id:
        written["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        written["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    return written


def parameters_form(tool: api.Tool) -> object:
    """A tool's parameters as the schema that every server wants, where it has none too."""
    return json.loads(tool.parameters) if tool.parameters else {"type": "object", "properties": {}}


def tool_form(tool: api.Tool) -> dict[str, object]:
    """A tool."""
    function = {"name": tool.name, "description": tool.description, "parameters": parameters_form(tool)}
    return {"type": "function", "function": function}


def choice_form(tool_choice: str) -> object:
    """Which tool is to be asked for."""
    if tool_choice in api.TOOL_CHOICES:
        return tool_choice
    return {"type": "function", "function": {"name": tool_choice}}
