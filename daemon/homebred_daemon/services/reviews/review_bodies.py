"""What a person sees of a task, as the bytes that are sealed, and back."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import asdict
from typing import Any

from homebred_daemon.core.attached_content import Attachment
from homebred_daemon.ports.review import ReviewContent
from homebred_engines import api


def body_of(content: ReviewContent) -> bytes:
    """A content as JSON."""
    body = {
        "messages": [asdict(message) for message in content.messages],
        "response_schema": content.response_schema,
        "attachments": [
            {"name": one.name, "media_type": one.media_type, "data": b64encode(one.data).decode()}
            for one in content.attachments
        ],
        "tools": [asdict(tool) for tool in content.tools],
    }
    return json.dumps(body, ensure_ascii=False).encode()


def content_of(body: bytes) -> ReviewContent:
    """The content again."""
    record = json.loads(body)
    return ReviewContent(
        messages=tuple(map(_message, record["messages"])),
        response_schema=record["response_schema"],
        attachments=tuple(Attachment(**one | {"data": b64decode(one["data"])}) for one in record["attachments"]),
        tools=tuple(api.Tool(**tool) for tool in record["tools"]),
    )


def _message(record: dict[str, Any]) -> api.Message:
    calls = tuple(api.ToolCall(**call) for call in record["tool_calls"])
    return api.Message(**record | {"tool_calls": calls})
