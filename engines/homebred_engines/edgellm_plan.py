"""What TensorRT Edge-LLM is to be loaded with: folder and adapters checked, memory counted. It loads nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from homebred_engines import api
from homebred_engines.edgellm_adapter import adapter_bytes
from homebred_engines.edgellm_bundle import BundleFacts, read_bundle, refuse_foreign
from homebred_engines.edgellm_library import RuntimePlan
from homebred_engines.machine_memory import available_bytes
from homebred_engines.model_room import DEFAULT_CONTEXT_TOKENS, refuse_oversized


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A runtime that may be loaded, and what it takes."""

    bundle: BundleFacts
    runtime: RuntimePlan
    slots: int
    """Generations side by side."""
    context_tokens: int
    """Of one slot."""
    budget_bytes: int
    """What engine, adapters and caches may take."""
    adapter_bytes: int = 0
    """Of all adapters' files."""

    @property
    def needed_bytes(self) -> int:
        """Caches are made for all that the engine was built for, whatever is asked of it."""
        caches = self.bundle.kv_bytes_per_token * self.bundle.capacity_tokens * self.bundle.rows
        return self.bundle.file_bytes + caches + self.adapter_bytes

    def fits_beside(self, *others: Plan) -> bool:
        """Whether all these may stand at once, on the way from one to the other."""
        return self.needed_bytes + sum(other.needed_bytes for other in others) <= self.budget_bytes


def plan_load(options: api.LoadOptions, *, gpu_architecture: str, engine_version: str) -> Plan:
    """Raises ModelRefusedError, AdapterRefusedError, InvalidRequestError, UnsupportedOptionError."""
    if options.embeddings:
        raise api.UnsupportedOptionError("edgellm makes no embeddings.", option="embeddings")
    bundle = read_bundle(Path(options.model_path))
    refuse_foreign(bundle, gpu_architecture=gpu_architecture, engine_version=engine_version)
    if options.slots > bundle.rows or options.context_tokens > bundle.capacity_tokens:
        raise api.InvalidRequestError(
            f"{options.slots or bundle.rows} generations of {options.context_tokens or 'any'} tokens were asked of an"
            f" engine built for {bundle.rows} of {bundle.capacity_tokens}.",
            hint="Lower engine.slots or the context, or build the engine for more.",
        )
    bare = Plan(
        bundle=bundle,
        runtime=RuntimePlan(engine_folder=options.model_path, adapters={}),
        slots=options.slots or bundle.rows,
        context_tokens=options.context_tokens or min(DEFAULT_CONTEXT_TOKENS, bundle.capacity_tokens),
        budget_bytes=options.memory_budget_bytes or available_bytes(),
    )
    return with_adapters(bare, options.adapters)


def with_adapters(plan: Plan, adapters: Sequence[api.Adapter]) -> Plan:
    """The same with these adapters and no others. Raises AdapterRefusedError, ModelRefusedError."""
    size = sum(_checked_bytes(adapter, plan.bundle) for adapter in adapters)
    refuse_oversized(
        plan.bundle,
        context_tokens=plan.bundle.capacity_tokens,
        slots=plan.bundle.rows,
        adapter_bytes=size,
        memory_budget_bytes=plan.budget_bytes,
    )
    paths = {adapter.digest: adapter.path for adapter in adapters}
    return replace(plan, runtime=replace(plan.runtime, adapters=paths), adapter_bytes=size)


def _checked_bytes(adapter: api.Adapter, bundle: BundleFacts) -> int:
    """The adapter's size, once it is known to fit the engine."""
    try:
        return adapter_bytes(Path(adapter.path), bundle)
    except api.AdapterRefusedError as error:
        raise api.AdapterRefusedError(error.why, adapter=adapter.digest, hint=error.hint) from None
