"""A model that TensorRT-LLM has loaded, and the adapters that requests may name on it."""

from __future__ import annotations

from collections.abc import Sequence

from homebred_engines import api
from homebred_engines.trtllm_library import Adapter, LoadedLlm
from homebred_engines.trtllm_plan import Plan
from homebred_engines.trtllm_steps import StepCount


class Serving:
    """One loaded model. Its construction and `close` block for long: call them in a thread."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.llm = LoadedLlm(plan.llm)
        self.counted = StepCount(self.llm)
        self._numbers: dict[str, int] = {}
        """By digest: the library knows an adapter by its number, and keeps it by that while the model is loaded."""

    def takes(self, plan: Plan) -> bool:
        """Whether this can be served without loading anything again: there is room for its adapters."""
        return plan.llm == self.plan.llm

    def take(self, plan: Plan) -> None:
        """Serves its adapters from now on, and no others."""
        self.plan = plan

    def adapter(self, digest: str) -> Adapter | None:
        """The one that a request names; None: it names none. Raises AdapterNotLoadedError."""
        if not digest:
            return None
        found = next((each for each in self.plan.adapters if each.digest == digest), None)
        if found is None:
            raise api.AdapterNotLoadedError(f"{digest} was asked for.")
        number = self._numbers.setdefault(digest, len(self._numbers) + 1)
        return Adapter(name=digest, number=number, path=found.path)

    def close(self) -> None:
        """Frees the model."""
        self.counted.stop()
        self.llm.close()


def digests(adapters: Sequence[api.Adapter]) -> tuple[str, ...]:
    """As stats name them."""
    return tuple(sorted(adapter.digest for adapter in adapters))
