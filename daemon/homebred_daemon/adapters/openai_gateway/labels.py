"""What a caller says of its task beside OpenAI's own parameters: `homebred` in the body, X-Homebred-… in the head.

Both say the same things, each in one place only. It checks names, not values: those are the task document's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from homebred_daemon.adapters.openai_gateway.failures import ParameterError
from homebred_daemon.adapters.openai_gateway.http_connection import Request

KEY: Final = "homebred"
HEADER_PREFIX: Final = "x-homebred-"


def _listed(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _flag(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]


LABELS: Final[Mapping[str, Callable[[str], Any]]] = MappingProxyType(
    {
        "task_id": str,
        "workflow": str,
        "kind": str,
        "data_classes": _listed,
        "allows_escalation": _flag,
        "minimum_margin": float,
        "expected_calls": int,
        "deadline_s": float,
        "requires": _listed,
        "context_tokens": int,
        "session_id": str,
        "rejects": str,
        "local_tools": _listed,
    }
)
"""What can be said, and how the text of a header says it."""
CONTENT: Final = ("attachments", "constraints")
"""What only a body has room for."""


def labels_of(request: Request, body: Mapping[str, Any]) -> dict[str, Any]:
    """All that is said of the task.

    Raises:
        ParameterError: a name that nobody knows (a misspelt label would declassify a task), or one said twice.
    """
    within = body.get(KEY) or {}
    if not isinstance(within, dict):
        raise ParameterError(f"{KEY} is no object", hint='write labels: {"workflow": "intake"}', parameter=KEY)
    for name in within.keys() - LABELS.keys() - set(CONTENT):
        raise _unknown(f"{KEY}.{name}")
    labels = {name: value for name, value in within.items() if value is not None}
    for header, text in request.headers:
        if header.startswith(HEADER_PREFIX):
            name = header.removeprefix(HEADER_PREFIX).replace("-", "_")
            if name in labels:
                raise ParameterError(
                    f"{name} is said twice", hint=f"say it in {KEY} or once in a header", parameter=name
                )
            labels[name] = _read(header, name, text)
    return labels


def _read(header: str, name: str, text: str) -> Any:
    if name not in LABELS:
        raise _unknown(header)
    try:
        return LABELS[name](text)
    except (ValueError, KeyError):
        raise ParameterError(
            f"{header} cannot be read", hint="see docs/gateway.md for its form", parameter=header
        ) from None


def _unknown(name: str) -> ParameterError:
    return ParameterError(f"{name} is no label", hint=f"known are {', '.join((*LABELS, *CONTENT))}", parameter=name)
