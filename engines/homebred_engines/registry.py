"""Which engines there are. A module is imported only when its engine is asked for: each pulls its own library."""

from __future__ import annotations

import importlib

from homebred_engines.api import Engine

ENGINES = {
    "echo": "homebred_engines.echo:EchoEngine",
    "llamacpp": "homebred_engines.llamacpp:LlamaCppEngine",
    "trtllm": "homebred_engines.trtllm:TrtLlmEngine",
    "edgellm": "homebred_engines.edgellm:EdgeLlmEngine",
    "openai_server": "homebred_engines.openai_server:OpenAiServerEngine",
}

ON_GPU = frozenset({"trtllm", "edgellm"})
"""Those whose models are in the memory of a GPU."""


def create_engine(name: str) -> Engine:
    """The engine of that name, with nothing loaded. Raises KeyError, ImportError."""
    module_name, _, class_name = ENGINES[name].partition(":")
    engine_class = getattr(importlib.import_module(module_name), class_name)
    engine: Engine = engine_class()
    return engine
