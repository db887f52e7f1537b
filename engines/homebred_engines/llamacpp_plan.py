"""What llama.cpp is to be started with: files checked, defaults filled in, memory counted. It starts nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from homebred_engines import api
from homebred_engines.gguf_adapter import read_gguf_adapter, refuse_foreign
from homebred_engines.gguf_file import GgufFacts, read_gguf
from homebred_engines.machine_memory import available_bytes
from homebred_engines.model_room import refuse_oversized, served_context

_DEFAULT_SLOTS = 4
_CONTEXT_STEP = 256  # llama.cpp rounds a slot's context up to this


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """What one server is started with."""

    model_path: str
    """A checked GGUF file."""
    context_tokens: int
    """Of one slot."""
    slots: int
    """Generations side by side."""
    threads: int
    """Compute threads."""
    has_chat_template: bool
    """Whether the model brings one; else ChatML is used, and said so."""
    embeddings: bool = False
    """To embed texts, and do nothing else."""
    adapters: tuple[api.Adapter, ...] = ()
    """Checked GGUF files, in the order of their numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A server that may be started, and what it takes."""

    options: ServerOptions
    facts: GgufFacts
    base_digest: str
    budget_bytes: int
    """What weights, adapters and caches may take."""
    adapter_bytes: int = 0
    """Of all adapters' files."""

    @property
    def own_bytes(self) -> int:
        """What a server has for itself; the base's weights are one for all, as they are mapped from their file."""
        caches = self.facts.kv_bytes_per_token * self.options.context_tokens * self.options.slots
        return caches + self.adapter_bytes

    def fits_beside(self, *others: Plan) -> bool:
        """Whether all these servers may stand at once, on the way from one to the other."""
        return self.facts.file_bytes + self.own_bytes + sum(other.own_bytes for other in others) <= self.budget_bytes


def plan_load(options: api.LoadOptions) -> Plan:
    """Raises ModelRefusedError, AdapterRefusedError, InvalidRequestError."""
    facts = read_gguf(Path(options.model_path))
    wanted = served_context(options.context_tokens, trained_tokens=facts.context_tokens)
    bare = Plan(
        options=ServerOptions(
            model_path=options.model_path,
            context_tokens=-(-wanted // _CONTEXT_STEP) * _CONTEXT_STEP,
            slots=options.slots or _DEFAULT_SLOTS,
            threads=options.threads or max(1, len(os.sched_getaffinity(0)) - 1),
            has_chat_template=facts.has_chat_template,
            embeddings=options.embeddings,
        ),
        facts=facts,
        base_digest=options.model_digest,
        budget_bytes=options.memory_budget_bytes or available_bytes(),
    )
    return with_adapters(bare, options.adapters)


def with_adapters(plan: Plan, adapters: Sequence[api.Adapter]) -> Plan:
    """The same with these adapters and no others. Raises AdapterRefusedError, ModelRefusedError."""
    adapter_bytes = sum(_checked_bytes(adapter, plan) for adapter in adapters)
    refuse_oversized(
        plan.facts,
        context_tokens=plan.options.context_tokens,
        slots=plan.options.slots,
        adapter_bytes=adapter_bytes,
        memory_budget_bytes=plan.budget_bytes,
    )
    return replace(plan, options=replace(plan.options, adapters=tuple(adapters)), adapter_bytes=adapter_bytes)


def _checked_bytes(adapter: api.Adapter, plan: Plan) -> int:
    """The adapter's size, once it is known to fit the base."""
    try:
        facts = read_gguf_adapter(Path(adapter.path))
        refuse_foreign(facts, plan.facts, plan.base_digest)
    except api.AdapterRefusedError as error:
        raise api.AdapterRefusedError(error.why, adapter=adapter.digest, hint=error.hint) from None
    return facts.file_bytes
