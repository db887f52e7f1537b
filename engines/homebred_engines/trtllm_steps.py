"""Counts the steps that TensorRT-LLM's own statistics tell of, those that read prompts among them."""

from __future__ import annotations

import sys
import threading

from homebred_engines.api import EngineError
from homebred_engines.trtllm_library import LoadedLlm

_EVERY_S = 0.25


class StepCount:
    """Counts in a thread of its own, from its construction until `stop`. The statistics are read away by it."""

    def __init__(self, llm: LoadedLlm) -> None:
        self.steps = 0
        """Up to now."""
        self._llm = llm
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._count, name="statistics", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Returns once it asks no more; takes as long as it waits for a step at most."""
        self._stopping.set()
        self._thread.join()

    def _count(self) -> None:
        try:
            while not self._stopping.wait(_EVERY_S):
                self.steps += self._llm.iterations(timeout_s=_EVERY_S)
        except EngineError as error:
            sys.stderr.write(f"Steps are no longer counted: {error.why}\n")
