"""What TensorRT-LLM is to be loaded with: checkpoint and adapters checked, memory counted. It loads nothing.

Room for adapters is set aside when a model is loaded; within it, they come and go without loading anything again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from homebred_engines import api
from homebred_engines.checkpoint import CheckpointFacts, read_checkpoint
from homebred_engines.model_room import refuse_oversized, served_context
from homebred_engines.peft_adapter import PeftAdapter, read_peft_adapter, refuse_other_checkpoint
from homebred_engines.trtllm_cache import cache_room
from homebred_engines.trtllm_library import AdapterRoom, LlmPlan

_DEFAULT_SLOTS = 4
_LEAST_RANK = 16
_LEAST_ADAPTERS = 8
MODULES = {
    "q_proj": "attn_q",
    "k_proj": "attn_k",
    "v_proj": "attn_v",
    "o_proj": "attn_dense",
    "gate_proj": "mlp_h_to_4h",
    "up_proj": "mlp_gate",
    "down_proj": "mlp_4h_to_h",
}
"""Linear layers in transformers' names and TensorRT-LLM's (`get_default_trtllm_modules_to_hf_modules`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A model that may be loaded, and what is served on it."""

    llm: LlmPlan
    facts: CheckpointFacts
    budget_bytes: int
    """What weights, adapters and caches may take."""
    adapters: tuple[api.Adapter, ...] = ()
    """Checked PEFT folders."""


def plan_load(options: api.LoadOptions, *, free_bytes: int) -> Plan:
    """Checks checkpoint and adapters against options and what is free of the device.

    Raises ModelRefusedError, AdapterRefusedError, InvalidRequestError, UnsupportedOptionError.
    """
    if options.embeddings:
        raise api.UnsupportedOptionError("trtllm makes no embeddings.", option="embeddings")
    facts = read_checkpoint(Path(options.model_path))
    context_tokens = served_context(options.context_tokens, trained_tokens=facts.context_tokens)
    slots = options.slots or _DEFAULT_SLOTS
    budget_bytes = min(options.memory_budget_bytes or free_bytes, free_bytes)
    refuse_oversized(facts, context_tokens=context_tokens, slots=slots, memory_budget_bytes=budget_bytes)
    cache = cache_room(
        facts, context_tokens=context_tokens, slots=slots, budget_bytes=budget_bytes, free_bytes=free_bytes
    )
    llm = LlmPlan(model_path=options.model_path, slots=slots, context_tokens=context_tokens, cache=cache)
    return with_adapters(Plan(llm=llm, facts=facts, budget_bytes=budget_bytes), options.adapters)


def with_adapters(plan: Plan, adapters: Sequence[api.Adapter]) -> Plan:
    """The same with these adapters and no others, and the same room where they fit it.

    Raises AdapterRefusedError, ModelRefusedError.
    """
    found = [_checked(adapter, plan) for adapter in adapters]
    refuse_oversized(
        plan.facts,
        context_tokens=plan.llm.context_tokens,
        slots=plan.llm.slots,
        adapter_bytes=sum(each.weights_path.stat().st_size for each in found),
        memory_budget_bytes=plan.budget_bytes,
    )
    room = plan.llm.adapters if _fit(plan.llm.adapters, found) else room_for(found)
    return replace(plan, llm=replace(plan.llm, adapters=room), adapters=tuple(adapters))


def room_for(adapters: Sequence[PeftAdapter]) -> AdapterRoom | None:
    """Room for these, and for more of their kind."""
    if not adapters:
        return None
    return AdapterRoom(
        adapters=max(_LEAST_ADAPTERS, len(adapters)),
        max_rank=max(_LEAST_RANK, *(adapter.rank for adapter in adapters)),
        modules=tuple(MODULES.values()),
    )


def _fit(room: AdapterRoom | None, adapters: Sequence[PeftAdapter]) -> bool:
    if room is None:
        return not adapters
    return len(adapters) <= room.adapters and all(adapter.rank <= room.max_rank for adapter in adapters)


def _checked(adapter: api.Adapter, plan: Plan) -> PeftAdapter:
    try:
        read = read_peft_adapter(Path(adapter.path))
        refuse_other_checkpoint(read, Path(plan.llm.model_path))
    except api.AdapterRefusedError as error:
        raise api.AdapterRefusedError(error.why, adapter=adapter.digest, hint=error.hint) from None
    return read
