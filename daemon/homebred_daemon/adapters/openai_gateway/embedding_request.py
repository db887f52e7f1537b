"""OpenAI's embeddings: a request as a task, and its answer in the form that was asked for.

Labels beside workflow and deadline change nothing: whatever a text is, it is embedded here and nowhere else.
"""

from __future__ import annotations

import struct
from base64 import b64encode
from dataclasses import dataclass
from typing import Any

from homebred_daemon.adapters.accepting import accepted_embedding
from homebred_daemon.adapters.openai_gateway.failures import ParameterError
from homebred_daemon.adapters.openai_gateway.http_connection import Request
from homebred_daemon.adapters.openai_gateway.labels import labels_of
from homebred_daemon.adapters.openai_gateway.parameters import Parameters
from homebred_daemon.adapters.openai_gateway.tasks import Reading, json_object, said_workflow
from homebred_daemon.inbound.embedding import Embeddings, EmbeddingTask


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedEmbedding:
    """A request, read."""

    task: EmbeddingTask
    model: str
    """As the caller wrote it."""
    in_base64: bool
    """Whether a vector is to come as its bytes, 32-bit floats, rather than as numbers."""

    def answer(self, embeddings: Embeddings) -> dict[str, Any]:
        """The body of the answer."""
        vectors = map(_in_base64, embeddings.vectors) if self.in_base64 else map(list, embeddings.vectors)
        return {
            "object": "list",
            "data": [{"object": "embedding", "index": at, "embedding": vector} for at, vector in enumerate(vectors)],
            "model": self.model,
            "usage": {"prompt_tokens": embeddings.prompt_tokens, "total_tokens": embeddings.prompt_tokens},
            "homebred": {"made_by": embeddings.made_by},
        }


def embedding_asked(reading: Reading, request: Request, body: bytes, caller: tuple[str, ...]) -> AskedEmbedding:
    """The request as a checked task. Raises RequestError with every problem found."""
    document = json_object(body)
    labels, parameters = labels_of(request, document), Parameters(document)
    form = parameters.fields.choice("encoding_format", ("float", "base64"), "float")
    texts = _texts(parameters.fields.raw("input"))
    parameters.finish()
    deadline_s = labels.get("deadline_s") or reading.default_deadline_s
    task = accepted_embedding(
        texts,
        workflow=said_workflow(labels, parameters.workflow(reading.workflows_for(caller))),
        caller=caller,
        deadline_s=min(float(deadline_s), reading.default_deadline_s),
    )
    return AskedEmbedding(task=task, model=parameters.model, in_base64=form == "base64")


def _texts(value: object) -> list[str]:
    texts = [value] if isinstance(value, str) else value
    if isinstance(texts, list) and all(isinstance(text, str) for text in texts):
        return texts
    raise ParameterError(
        "input is neither a text nor a list of texts", hint="send texts: tokens differ by model", parameter="input"
    )


def _in_base64(vector: tuple[float, ...]) -> str:
    return b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
