"""Which tool the echo engine asks for: told by the prompt or by the options, like everything that it does."""

from __future__ import annotations

import json

from homebred_engines import api
from homebred_engines.json_instance import smallest_instance


def tool_calls(text: str, last_role: str, options: api.GenerateOptions) -> tuple[api.ToolCall, ...]:
    """The call that `NAME {…}` is, where a tool has that name; with a tool that must be asked for, the smallest one.

    Once a tool has answered, `auto` asks for none: a conversation comes to its end.
    """
    if not options.tools or options.tool_choice == "none":
        return ()
    by_name = {tool.name: tool for tool in options.tools}
    name, _, arguments = text.strip().partition(" ")
    if name in by_name and options.tool_choice in ("auto", "required", name) and last_role == "user":
        return (api.ToolCall(id="call_0", name=name, arguments=arguments or "{}"),)
    if options.tool_choice == "auto":
        return ()
    tool = by_name.get(options.tool_choice, options.tools[0])
    schema = json.loads(tool.parameters or '{"type": "object"}')
    return (api.ToolCall(id="call_0", name=tool.name, arguments=json.dumps(smallest_instance(schema))),)
