"""How tokens are chosen, in the figures that TensorRT Edge-LLM takes once for a whole batch. Pure.

Its own defaults are zeros, which it refuses or reads as greedy, so each figure is always given: where nothing is asked
for, the ones that its server takes.
"""

from __future__ import annotations

from homebred_engines.api import GenerateOptions
from homebred_engines.edgellm_batches import Shared

TEMPERATURE, TOP_P, TOP_K = 0.7, 0.9, 50
"""Where nothing is asked for."""
WHOLE_NUCLEUS = 0.999999
"""With all candidates kept as well, a nucleus of 1 would be greedy or refused."""


def shared_by(options: GenerateOptions) -> Shared:
    """What a request may only share with requests that ask for the same."""
    if options.temperature == 0:
        temperature, top_p, top_k = 0.0, 1.0, 1
    else:
        temperature = TEMPERATURE if options.temperature is None else options.temperature
        top_k = TOP_K if options.top_k is None else options.top_k
        top_p = TOP_P if options.top_p is None else options.top_p
        if not top_k:
            top_p = min(top_p, WHOLE_NUCLEUS)
    return Shared(adapter=options.adapter, temperature=temperature, top_p=top_p, top_k=top_k, logprobs=options.logprobs)
