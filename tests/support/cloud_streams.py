"""One answer as each provider streams it, by wire format: as its documentation has it, shortened."""

from __future__ import annotations

PIECES = ("Grüße, ", "⟦person:k7f2m9qd4⟧ ", "is 🙂")

OPENAI_CHAT = """\
data: {"id":"c1","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null}

data: {"id":"c1","choices":[{"index":0,"delta":{"content":"Grüße, "},"finish_reason":null}],"usage":null}

: keep-alive

data: {"id":"c1","choices":[{"index":0,"delta":{"content":"⟦person:k7f2m9qd4⟧ "},"finish_reason":null}],"usage":null}

data: {"id":"c1","choices":[{"index":0,"delta":{"content":"is \\ud83d\\ude42"},"finish_reason":null}],"usage":null}

data: {"id":"c1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}

data: {"id":"c1","choices":[],"usage":{"prompt_tokens":11,"completion_tokens":7,"total_tokens":18}}

data: [DONE]

"""

OPENAI_RESPONSES = """\
event: response.created
data: {"type":"response.created","sequence_number":0,"response":{"id":"r1","status":"in_progress","usage":null}}

event: response.output_item.added
data: {"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"type":"message"}}

event: response.output_text.delta
data: {"type":"response.output_text.delta","sequence_number":2,"delta":"Grüße, "}

event: response.output_text.delta
data: {"type":"response.output_text.delta","sequence_number":3,"delta":"⟦person:k7f2m9qd4⟧ "}

event: response.output_text.delta
data: {"type":"response.output_text.delta","sequence_number":4,"delta":"is 🙂"}

event: response.completed
data: {"type":"response.completed","sequence_number":5,"response":{"id":"r1","status":"completed",
data: "usage":{"input_tokens":11,"output_tokens":7,"total_tokens":18}}}

"""

ANTHROPIC_MESSAGES = """\
event: message_start
data: {"type":"message_start","message":{"id":"m1","content":[],"usage":{"input_tokens":11,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: ping
data: {"type":"ping"}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm."}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Grüße, "}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"⟦person:k7f2m9qd4⟧ "}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"is 🙂"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":7}}

event: message_stop
data: {"type":"message_stop"}

"""

STREAMS = {
    "openai_chat": OPENAI_CHAT,
    "openai_responses": OPENAI_RESPONSES,
    "anthropic_messages": ANTHROPIC_MESSAGES,
}
