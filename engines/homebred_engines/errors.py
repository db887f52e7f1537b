"""What can go wrong in an engine or its worker: what, why, what next. Standard library only.

EngineError                      what, why, what next; `facts` survive the wire
├── ModelRefusedError            the file is not a model that this engine can load, found before loading it
├── ModelConflictError           the worker already serves another model
├── ModelNotLoadedError          there is no model yet, or no more
├── AdapterRefusedError          the adapter cannot be served on this model, found before loading it
├── AdapterNotLoadedError        the model is served without it
├── InvalidRequestError          a value outside its range, or text that is not what it claims to be
├── UnsupportedOptionError       an option that this engine cannot honour; refused, never ignored
├── ContextExceededError         the prompt is longer than one slot's context
├── QueueFullError               too many are waiting; says when to try again
└── EngineFailedError            the engine or its process broke
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

Fact = int | float | str


class EngineError(Exception):
    """The engine could not do what was asked."""

    code: ClassVar[str] = "engine_error"
    default_hint: ClassVar[str] = "See the worker's log."

    def __init__(self, why: str, *, hint: str = "", facts: Mapping[str, Fact] | None = None) -> None:
        self.why = why
        self.hint = hint or self.default_hint
        self.facts = dict(facts or {})  # a subclass's further constructor arguments, by name
        super().__init__(f"{self.what} {self.why} {self.hint}")

    @property
    def what(self) -> str:
        """The class's sentence."""
        return (type(self).__doc__ or "").partition("\n")[0]


class ModelRefusedError(EngineError):
    """The model file was refused before loading."""

    code = "model_refused"
    default_hint = "Fetch the file again and compare its digest, or choose another model."


class ModelConflictError(EngineError):
    """This worker already serves another model."""

    code = "model_conflict"
    default_hint = "Unload it first, or start another worker: one worker serves one base model."


class ModelNotLoadedError(EngineError):
    """This worker has no model."""

    code = "model_not_loaded"
    default_hint = "Load a model first."


class AdapterRefusedError(EngineError):
    """The adapter was refused before loading."""

    code = "adapter_refused"
    default_hint = "Choose an adapter that was made for this base model, or fetch its file again."

    def __init__(self, why: str, *, adapter: str = "", hint: str = "") -> None:
        super().__init__(why, hint=hint, facts={"adapter": adapter} if adapter else None)
        self.adapter = adapter  # its digest


class AdapterNotLoadedError(EngineError):
    """The model is served without this adapter."""

    code = "adapter_not_loaded"
    default_hint = "Have it served first, or ask the base model alone."


class InvalidRequestError(EngineError):
    """The request is not valid."""

    code = "invalid_request"
    default_hint = "Correct the value and ask again."


class UnsupportedOptionError(EngineError):
    """This engine cannot honour an option of the request."""

    code = "unsupported_option"
    default_hint = "Leave the option out, or choose an engine whose capabilities name it."

    def __init__(self, why: str, *, option: str = "", hint: str = "") -> None:
        super().__init__(why, hint=hint, facts={"option": option} if option else None)
        self.option = option  # of GenerateOptions; empty: it is none of them


class ContextExceededError(EngineError):
    """The prompt does not fit the context of one slot."""

    code = "context_exceeded"
    default_hint = "Shorten the prompt, or load the model with a larger context."

    def __init__(self, why: str, *, prompt_tokens: int, context_tokens: int, hint: str = "") -> None:
        super().__init__(why, hint=hint, facts={"prompt_tokens": prompt_tokens, "context_tokens": context_tokens})
        self.prompt_tokens = prompt_tokens
        self.context_tokens = context_tokens


class QueueFullError(EngineError):
    """The engine's queue is full."""

    code = "queue_full"
    default_hint = "Ask again after `retry_after_s`."

    def __init__(self, why: str, *, retry_after_s: float, hint: str = "") -> None:
        super().__init__(why, hint=hint, facts={"retry_after_s": retry_after_s})
        self.retry_after_s = retry_after_s  # when a place is likely to be free


class EngineFailedError(EngineError):
    """The engine failed."""

    code = "engine_failed"
    default_hint = "Start the worker again; if it fails again, read the last lines it wrote."

    def __init__(self, why: str, *, exit_code: int = 0, last_lines: str = "", hint: str = "") -> None:
        super().__init__(why, hint=hint, facts={"exit_code": exit_code, "last_lines": last_lines})
        self.exit_code = exit_code  # of the process; negative: the signal that ended it; 0: it lives, or ended in order
        self.last_lines = last_lines  # that it wrote to standard error
