"""Every wire format by the name that settings give it."""

from __future__ import annotations

from collections.abc import Mapping

from homebred_daemon.adapters.cloud.anthropic_messages import AnthropicMessages
from homebred_daemon.adapters.cloud.openai_chat import OpenAiChat
from homebred_daemon.adapters.cloud.openai_responses import OpenAiResponses
from homebred_daemon.adapters.cloud.wire_format import WireFormat

WIRE_FORMATS: Mapping[str, WireFormat] = {
    "openai_chat": OpenAiChat(),
    "openai_responses": OpenAiResponses(),
    "anthropic_messages": AnthropicMessages(),
}
