"""The client library: an application's calls to the daemon on this device, typed and thin.

    from homebred_protocol.client import Client, Task

    with Client() as client:
        answer = client.ask(Task("two teas please", workflow="order.normalise", data_classes=("public",)))
        print("a person will answer" if answer.needs_review else answer.text)

`AsyncClient` does the same in asyncio; `Control` and `AsyncControl` are for those who look after a device or answer its
reviews. docs/client.md tells the rest. grpc is imported when the first of these four names is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from homebred_protocol.client.connecting import DEFAULT_SOCKET
from homebred_protocol.client.errors import (
    CallError,
    ConflictError,
    ConnectionLostError,
    DaemonUnreachableError,
    DeadlineError,
    DrainingError,
    EngineUnavailableError,
    FailedError,
    NeedsReviewError,
    NotFoundError,
    NotPermittedError,
    OverloadedError,
    RequestError,
    UnattestedError,
    UnreadError,
    UnsupportedError,
)
from homebred_protocol.client.values import (
    Answer,
    Attachment,
    Constraints,
    Decision,
    DryRun,
    Embeddings,
    Event,
    Fallback,
    Message,
    Outcome,
    OutgoingContext,
    Problem,
    Retracted,
    Review,
    ReviewState,
    Runtime,
    Status,
    Task,
    Tool,
    ToolCall,
    Verdict,
)

if TYPE_CHECKING:
    from homebred_protocol.client.asynchronous import AsyncClient, AsyncStream
    from homebred_protocol.client.asynchronous_control import AsyncControl
    from homebred_protocol.client.blocking import Client, Stream
    from homebred_protocol.client.control import Control

_AT_FIRST_USE = {
    "AsyncClient": "asynchronous",
    "AsyncControl": "asynchronous_control",
    "AsyncStream": "asynchronous",
    "Client": "blocking",
    "Control": "control",
    "Stream": "blocking",
}

__all__ = [
    "DEFAULT_SOCKET",
    "Answer",
    "AsyncClient",
    "AsyncControl",
    "AsyncStream",
    "Attachment",
    "CallError",
    "Client",
    "ConflictError",
    "ConnectionLostError",
    "Constraints",
    "Control",
    "DaemonUnreachableError",
    "DeadlineError",
    "Decision",
    "DrainingError",
    "DryRun",
    "Embeddings",
    "EngineUnavailableError",
    "Event",
    "FailedError",
    "Fallback",
    "Message",
    "NeedsReviewError",
    "NotFoundError",
    "NotPermittedError",
    "Outcome",
    "OutgoingContext",
    "OverloadedError",
    "Problem",
    "RequestError",
    "Retracted",
    "Review",
    "ReviewState",
    "Runtime",
    "Status",
    "Stream",
    "Task",
    "Tool",
    "ToolCall",
    "UnattestedError",
    "UnreadError",
    "UnsupportedError",
    "Verdict",
]


def __getattr__(name: str) -> Any:
    """Imports the calling parts when they are first used."""
    if name not in _AT_FIRST_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_AT_FIRST_USE[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
