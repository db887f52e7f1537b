"""What llama.cpp itself expects behind some tokens, with an adapter or without."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import xllamacpp

_LETTER = 97


class TokenOdds:
    """A model and one adapter, which is applied only where a question names it."""

    def __init__(self, model: Path, adapter: Path) -> None:
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(model)
        parameters.n_ctx, parameters.n_parallel = 512, 1
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
        parameters.verbosity = 1
        parameters.api_keys = ["nobody-else"]
        parameters.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 0.0)]
        with tempfile.TemporaryDirectory(prefix="x") as folder:
            parameters.hostnames = [str(Path(folder) / "s.sock")]  # no port
            self._server = xllamacpp.Server(parameters)

    def next_logprobs(self, tokens: list[int], vocabulary: int, *, adapted: bool) -> np.ndarray:
        """Log-probability of every token of the vocabulary behind these."""
        body = {
            "prompt": tokens,
            "max_tokens": 1,
            "logprobs": vocabulary,
            "lora": [{"id": 0, "scale": 1}] if adapted else [],
            "logit_bias": [[_LETTER, 1000]],  # what comes must be text; the odds are those before this
            "cache_prompt": False,
        }
        answer = self._server.handle_completions(body)
        found = answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        assert len(found) == vocabulary
        logprobs = np.empty(vocabulary)
        for each in found:
            logprobs[each["id"]] = each["logprob"]
        return logprobs
