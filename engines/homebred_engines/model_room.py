"""Whether a model fits the memory that it may take, and a prompt its context. Pure.

What a model's files say of its size is the readers' to find.
"""

from __future__ import annotations

from typing import Protocol

from homebred_engines.api import ContextExceededError, InvalidRequestError, ModelRefusedError

DEFAULT_CONTEXT_TOKENS = 2048


class SizedModel(Protocol):
    """What a reader of model files finds of a model's size."""

    @property
    def file_bytes(self) -> int:
        """Of the weights."""
        ...

    @property
    def kv_bytes_per_token(self) -> int:
        """What one token of context costs in the cache."""
        ...


def refuse_oversized(
    model: SizedModel, *, context_tokens: int, slots: int, memory_budget_bytes: int, adapter_bytes: int = 0
) -> None:
    """Raises ModelRefusedError when weights, adapters and caches do not fit; engines add working buffers to them."""
    needed = model.file_bytes + adapter_bytes + model.kv_bytes_per_token * context_tokens * slots
    if needed > memory_budget_bytes:
        adapters = f", {adapter_bytes / 1e6:.0f} MB of adapters" if adapter_bytes else ""
        raise ModelRefusedError(
            f"It needs about {needed / 1e6:.0f} MB ({model.file_bytes / 1e6:.0f} MB of weights{adapters} and {slots}"
            f" caches of {context_tokens} tokens), and {memory_budget_bytes / 1e6:.0f} MB may be used.",
            hint="Choose a smaller model, fewer adapters, less context or fewer slots, or raise the memory budget.",
        )


def served_context(asked_tokens: int, *, trained_tokens: int) -> int:
    """The context of one slot. Raises InvalidRequestError where more is asked than the model was trained for."""
    if asked_tokens > trained_tokens:
        raise InvalidRequestError(
            f"A context of {asked_tokens} tokens was asked of a model trained for {trained_tokens}."
        )
    return asked_tokens or min(DEFAULT_CONTEXT_TOKENS, trained_tokens)


def answer_room(prompt_tokens: int, *, context_tokens: int) -> int:
    """Tokens that an answer may have. Raises ContextExceededError where that is none."""
    if prompt_tokens >= context_tokens:
        raise ContextExceededError(
            f"It has {prompt_tokens} tokens, the slot {context_tokens}.",
            prompt_tokens=prompt_tokens,
            context_tokens=context_tokens,
        )
    return context_tokens - prompt_tokens
