"""A checked task document's content as the values that engines, context and detection work with."""

from __future__ import annotations

import binascii
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from homebred_daemon.core.attached_content import Attachment
from homebred_daemon.core.constraints import UNCONSTRAINED, Constraints
from homebred_daemon.errors import RequestError
from homebred_engines import api
from homebred_protocol.documents.task import Task


def turns_of(document: Mapping[str, Any]) -> tuple[api.Message, ...]:
    """The conversation; a text alone is the user's one turn. Raises InvalidRequestError for an unknown role."""
    messages = document.get("messages") or [{"role": "user", "content": document.get("text") or ""}]
    return tuple(
        api.Message(
            role=message["role"],
            content=message.get("content") or "",
            tool_calls=tuple(api.ToolCall(**call) for call in message.get("tool_calls") or ()),
            tool_call_id=message.get("tool_call_id") or "",
        )
        for message in messages
    )


def tools_of(document: Mapping[str, Any]) -> tuple[api.Tool, ...]:
    """The tools. Raises InvalidRequestError for a name that no tool may have."""
    return tuple(
        api.Tool(
            name=tool["name"],
            description=tool.get("description") or "",
            parameters=_json_text(tool.get("parameters")),
        )
        for tool in document.get("tools") or ()
    )


def local_tools_of(document: Mapping[str, Any]) -> frozenset[str]:
    """Names of the tools that run on this device."""
    return frozenset(tool["name"] for tool in document.get("tools") or () if tool.get("runs_here"))


def schema_of(document: Mapping[str, Any]) -> str:
    """What the answer must fit, as JSON text; empty: anything."""
    return _json_text(document.get("response_schema"))


def constraints_of(document: Mapping[str, Any]) -> Constraints:
    """What the answer's text must keep to."""
    said = document.get("constraints")
    if said is None:
        return UNCONSTRAINED
    return Constraints(
        matches=said.get("matches") or "",
        contains=tuple(said.get("contains") or ()),
        excludes=tuple(said.get("excludes") or ()),
        max_characters=said.get("max_characters"),
    )


def requiring(task: Task, requires: frozenset[str]) -> Task:
    """The task, which also needs this of whoever answers it."""
    more = sorted(requires.difference(task.requires))
    return replace(task, requires=(*task.requires, *more)) if more else task


def attachments_of(document: Mapping[str, Any]) -> tuple[Attachment, ...]:
    """The attachments, each a text or in base64. Raises RequestError for what is no base64."""
    try:
        return tuple(
            Attachment(
                name=one.get("name") or "",
                media_type=one.get("media_type") or "",
                data=(one.get("text") or "").encode() or binascii.a2b_base64(one.get("data") or "", strict_mode=True),
            )
            for one in document.get("attachments") or ()
        )
    except ValueError as error:
        raise RequestError(f"the data of an attachment is no base64: {error}", hint="send it in base64") from None


def _json_text(value: object) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False)
