"""The body of POST /v1/completions as a task document: the prompt is the one text of the task."""

from __future__ import annotations

from typing import Any

from homebred_daemon.adapters.openai_gateway.parameters import Parameters


def completion_document(parameters: Parameters, local_tools: frozenset[str]) -> dict[str, Any]:
    """The content of the task; problems are left with the parameters. A completion is asked without tools."""
    if local_tools:
        parameters.fields.complain(("homebred", "local_tools"), "is there without tools", "leave it out")
    fields = parameters.fields
    prompt = fields.raw("prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        (prompt,) = prompt
    if not isinstance(prompt, str):
        fields.complain(("prompt",), "is no text", "send one text: engines here take no tokens, and one task at a time")
    return {"text": prompt}
