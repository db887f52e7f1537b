from __future__ import annotations

from homebred_daemon.core.attached_content import Attachment
from homebred_daemon.ports.review import ReviewContent
from homebred_daemon.services.reviews.review_bodies import body_of, content_of
from homebred_engines.api import Message, Tool, ToolCall


def test_what_a_person_will_see_comes_back_whole() -> None:
    content = ReviewContent(
        messages=(
            Message(role="user", content="Grüße \x00 🙂"),
            Message(role="assistant", content="", tool_calls=(ToolCall(id="a", name="ring", arguments="{}"),)),
            Message(role="tool", content="rung", tool_call_id="a"),
        ),
        response_schema='{"type": "object"}',
        tools=(Tool(name="ring", description="rings", parameters='{"type": "object"}'),),
        attachments=(Attachment(name="a.wav", media_type="audio/wav", data=bytes(range(256))),),
    )
    assert content_of(body_of(content)) == content
