"""Reads what a TensorRT Edge-LLM engine folder says of itself, and refuses a bad one before it is loaded.

It reads `config.json`, what the build says of itself (`build_manifest.py`), and which files there are; never the
engine, which TensorRT alone can read. An engine fits one kind of GPU and one version of the package: both must be said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homebred_engines.api import ModelRefusedError
from homebred_engines.build_manifest import FILE_NAME, read_build
from homebred_engines.config_folder import ConfigFolder
from homebred_engines.gpu import refuse_other_gpu

ENGINE_FILE = "llm.engine"
_NEEDED = (ENGINE_FILE, "tokenizer.json")
_SPECULATIVE = "spec_base.engine"
_CACHE_BYTES = {"fp8": 1, "int8": 1}
_REBUILD = "Build it on this device: homebred engines build."


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleFacts:
    """What an engine folder says of its engine."""

    capacity_tokens: int
    """Of one prompt and its answer."""
    prompt_tokens: int
    """Of a prompt at most."""
    rows: int
    """Generations side by side at most."""
    adapter_rank: int
    """Of an adapter at most; 0: it takes none."""
    layers: int
    hidden_size: int
    file_bytes: int
    """Of everything in the folder."""
    kv_bytes_per_token: int
    """What one token of context costs in the cache."""
    gpu_architecture: str
    """That it was built for: `sm_87`."""
    engine_version: str
    """Of the package that built it; empty: not known."""


def read_bundle(folder: Path) -> BundleFacts:
    """The folder's facts. Raises ModelRefusedError when it is not a whole, sane engine folder."""
    try:
        return _Reader(folder).read()
    except OSError as error:
        raise ModelRefusedError(
            f"{folder.name} cannot be read as an engine folder: {error.strerror}.", hint="Check path and rights."
        ) from None


def refuse_foreign(facts: BundleFacts, *, gpu_architecture: str, engine_version: str) -> None:
    """Raises ModelRefusedError for an engine that another kind of GPU or another version was to run."""
    refuse_other_gpu(facts.gpu_architecture, gpu_architecture)
    built, installed = (version.partition("+")[0] for version in (facts.engine_version, engine_version))
    if built and built != installed:  # one that was built without the package beside it names none
        why = f"The engine was built by TensorRT Edge-LLM {built}, and {installed} is installed."
        raise ModelRefusedError(why, hint=_REBUILD)


class _Reader(ConfigFolder):
    """One look at one folder."""

    refusal_hint = _REBUILD
    most_bytes = 16 * 1024 * 1024

    def read(self) -> BundleFacts:
        config = self.document("config.json")
        architecture, version = self._built_for()
        self._refuse_incomplete()
        built = config.get("builder_config")
        if not isinstance(built, Mapping):
            raise self.refusal("does not say in config.json how its engine was built (builder_config)")
        return BundleFacts(
            capacity_tokens=self.figure(built, "max_kv_cache_capacity"),
            prompt_tokens=self.figure(built, "max_input_len"),
            rows=self.figure(built, "max_batch_size"),
            adapter_rank=self.figure(built, "max_lora_rank", least=0) if "max_lora_rank" in built else 0,
            layers=self.figure(config, "num_hidden_layers"),
            hidden_size=self.figure(config, "hidden_size"),
            file_bytes=sum(file.stat().st_size for file in self.folder.iterdir() if file.is_file()),
            kv_bytes_per_token=self._kv_bytes(config),
            gpu_architecture=architecture,
            engine_version=version,
        )

    def _built_for(self) -> tuple[str, str]:
        """The GPU's architecture, and the version of the package that built it, where that is known."""
        build = read_build(self.folder)
        if build is None or build.engine != "edgellm" or not build.gpu_architecture:
            raise self.refusal(f"has no {FILE_NAME} that says for which GPU it was built")
        return build.gpu_architecture, build.engine_version

    def _refuse_incomplete(self) -> None:
        if (self.folder / _SPECULATIVE).is_file():
            raise self.refusal("holds an engine for speculative decoding, which is not served here")
        for name in _NEEDED:
            path = self.folder / name
            if not path.is_file() or not path.stat().st_size:
                raise self.refusal(f"lacks {name}, or it is empty")

    def _kv_bytes(self, config: Mapping[str, Any]) -> int:
        """Keys and values of all layers that have a cache."""
        layers = config.get("kv_layer_configs")
        if isinstance(layers, list):
            kept = [each for each in layers if isinstance(each, Mapping)]
            width = sum(self.figure(each, "num_kv_heads") * self.figure(each, "head_dim") for each in kept)
        else:
            heads, head = self.figure(config, "num_key_value_heads"), self.figure(config, "head_dim")
            width = self.figure(config, "num_hidden_layers") * heads * head
        return 2 * width * _CACHE_BYTES.get(str(config.get("kv_cache_dtype", "")), 2)
