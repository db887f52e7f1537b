"""From what was trained to what an engine serves: a folder that `homebred models add` takes, and that says what it is.

    llamacpp   a GGUF file as it is; its adapter becomes a GGUF file
    trtllm     a checkpoint folder as it is, its PEFT adapter too: the PyTorch backend serves them so
    edgellm    a checkpoint becomes an engine for this device's GPU, by NVIDIA's own commands (`edgellm_build.py`)

In the folder: `specialist.toml`, to be completed by whoever knows what the specialist is for; the model as `base` or
`base.gguf`, the adapter beside it; `homebred-build.json` (`build_manifest.py`). Nothing is made of what is not whole.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from homebred_engines import edgellm_build
from homebred_engines.build_errors import BuildRefusedError, BuildUnwritableError
from homebred_engines.build_files import digest_of_file, digest_of_files, digests_below, place, place_all
from homebred_engines.build_folder import NewFolder, new_folder
from homebred_engines.build_manifest import FILE_NAME, BuildManifest, written
from homebred_engines.build_steps import Hear, run_steps
from homebred_engines.checkpoint import read_checkpoint
from homebred_engines.gguf_file import read_gguf
from homebred_engines.peft_adapter import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    PeftAdapter,
    read_peft_adapter,
    refuse_other_checkpoint,
)
from homebred_engines.peft_to_gguf import write_gguf_adapter

_GGUF_BASE, _GGUF_ADAPTER = "base.gguf", "adapter.gguf"
_BASE, _ADAPTER = "base", "adapter"
_EDGE_ADAPTER = "adapter.safetensors"
# What of a checkpoint's folder is served: no pickles, no programs, no other formats of the same weights.
_CHECKPOINT_SUFFIXES = frozenset({".json", ".safetensors", ".model", ".jinja", ".txt"})
_LICENCE = "LICENSE"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOrder:
    """What is to be built, of what, and where."""

    engine: str
    """One of ENGINES."""
    source: Path
    """The model: a GGUF file or a checkpoint folder."""
    adapter: Path | None
    """A PEFT LoRA folder; None: the model alone."""
    out: Path
    """The folder that will be there afterwards."""
    specialist_id: str
    """For its `specialist.toml`."""
    engine_version: str
    """Of the engine's own library; empty: it is not here."""
    gpu_architecture: str
    """Of this device; empty: it has no GPU that is known."""
    tools_path: str
    """Where commands are looked for, folders parted as in PATH."""
    room: edgellm_build.EngineRoom
    """What an engine is built for, where its room is fixed at building."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Built:
    """What a builder has put into the folder."""

    base: Mapping[str, str]
    """The manifest's [base]."""
    adapter: Mapping[str, str]
    """The manifest's [adapter]; empty: there is none."""
    source_digest: str
    adapter_source_digest: str
    gpu_architecture: str = ""


def build(order: BuildOrder, *, now: datetime, hear: Hear) -> BuildManifest:
    """Builds it, and says what was built; `hear` hears of the commands that are run.

    Raises:
        ModelRefusedError, AdapterRefusedError: the source or the adapter cannot be taken; nothing was made.
        BuildFailedError: a command failed; nothing was left behind.
    """
    builder = _BUILDERS.get(order.engine)
    if builder is None:
        raise BuildRefusedError(
            f"Nothing is built for the engine {order.engine!r}.", hint=f"Name one of: {', '.join(ENGINES)}."
        )
    try:
        with new_folder(order.out) as folder:
            return _filled(order, builder(order, folder, hear), folder.path, now)
    except OSError as error:
        where = error.filename or order.out
        raise BuildUnwritableError(f"{where}: {error.strerror}.") from None


def _filled(order: BuildOrder, built: _Built, folder: Path, now: datetime) -> BuildManifest:
    """Puts the manifests beside what was built."""
    (folder / "specialist.toml").write_text(_specialist(order, built), encoding="utf-8")
    manifest = BuildManifest(
        engine=order.engine,
        engine_version=order.engine_version,
        gpu_architecture=built.gpu_architecture,
        source_digest=built.source_digest,
        adapter_source_digest=built.adapter_source_digest,
        files={},
        built_at_utc=now.isoformat(),
    )
    if built.gpu_architecture:  # whoever serves the model reads it before loading, wherever its folder has gone
        _write_manifest(folder / _BASE, manifest)
    return _write_manifest(folder, manifest)


def _for_llamacpp(order: BuildOrder, folder: NewFolder, _: Hear) -> _Built:
    if order.source.is_dir():
        raise BuildRefusedError(
            f"{order.source} is a folder; llamacpp serves a GGUF file.",
            hint="Convert the checkpoint with llama.cpp's convert_hf_to_gguf.py, and name the file that it writes.",
        )
    read_gguf(order.source)
    adapter = None if order.adapter is None else read_peft_adapter(order.adapter)
    base = folder.path / _GGUF_BASE
    place(order.source, base)
    digest = digest_of_file(base)
    if adapter is None:
        return _Built(base={"file": _GGUF_BASE}, adapter={}, source_digest=digest, adapter_source_digest="")
    with (folder.path / _GGUF_ADAPTER).open("wb") as file:
        write_gguf_adapter(file, adapter, order.source, digest)
    return _Built(
        base={"file": _GGUF_BASE},
        adapter={"file": _GGUF_ADAPTER},
        source_digest=digest,
        adapter_source_digest=digest_of_files(_adapter_files(adapter)),
    )


def _for_trtllm(order: BuildOrder, folder: NewFolder, _: Hear) -> _Built:
    files, adapter = _checked_checkpoint(order)
    place_all(files, folder.path / _BASE)
    if adapter is not None:
        place_all(_adapter_files(adapter), folder.path / _ADAPTER)
    return _Built(
        base={"folder": _BASE},
        adapter={"folder": _ADAPTER} if adapter is not None else {},
        source_digest=digest_of_files((folder.path / _BASE).iterdir()),
        adapter_source_digest=digest_of_files((folder.path / _ADAPTER).iterdir()) if adapter is not None else "",
    )


def _for_edgellm(order: BuildOrder, folder: NewFolder, hear: Hear) -> _Built:
    files, adapter = _checked_checkpoint(order)
    room = order.room
    if adapter is not None:
        room = replace(room, max_rank=room.max_rank or adapter.rank)
        edgellm_build.refuse_unfit(adapter, room)
    commands = edgellm_build.find_commands(
        lambda program: shutil.which(program, path=order.tools_path), with_adapters=bool(room.max_rank)
    )
    if not order.gpu_architecture:
        raise BuildRefusedError(
            "This device shows no NVIDIA GPU, and an engine runs on the GPU's kind that it was built on alone.",
            hint="Build on the device that is to serve it.",
        )
    source_digest = digest_of_files(files)
    places = edgellm_build.EnginePlaces(
        onnx=folder.scratch / "onnx", engine=folder.path / _BASE, adapter=folder.scratch / _ADAPTER
    )
    run_steps(
        edgellm_build.plan(order.source.resolve(), adapter, room, places, commands), hear, inherited=[folder.lock]
    )
    if adapter is not None:
        (places.adapter / edgellm_build.PROCESSED_FILE).rename(folder.path / _EDGE_ADAPTER)
    return _Built(
        base={"folder": _BASE},
        adapter={"file": _EDGE_ADAPTER} if adapter is not None else {},
        source_digest=source_digest,
        adapter_source_digest=digest_of_files(_adapter_files(adapter)) if adapter is not None else "",
        gpu_architecture=order.gpu_architecture,
    )


_Builder = Callable[[BuildOrder, NewFolder, Hear], _Built]
_BUILDERS: Mapping[str, _Builder] = {
    "llamacpp": _for_llamacpp,
    "trtllm": _for_trtllm,
    "edgellm": _for_edgellm,
}
ENGINES = tuple(_BUILDERS)
"""What can be built for."""


def _checked_checkpoint(order: BuildOrder) -> tuple[list[Path], PeftAdapter | None]:
    """The checkpoint's files that are served, and its adapter, once they are whole and fit each other."""
    if order.source.is_file():
        raise BuildRefusedError(
            f"{order.source} is a file; {order.engine} takes a checkpoint folder.",
            hint="Name the folder with config.json, the tokenizer and the *.safetensors files.",
        )
    read_checkpoint(order.source)
    adapter = None if order.adapter is None else read_peft_adapter(order.adapter)
    if adapter is not None:
        refuse_other_checkpoint(adapter, order.source)
    files = (path for path in order.source.iterdir() if path.is_file() and not path.name.startswith("."))
    served = [path for path in files if path.suffix in _CHECKPOINT_SUFFIXES or path.name.startswith(_LICENCE)]
    return sorted(served), adapter


def _adapter_files(adapter: PeftAdapter) -> list[Path]:
    return [adapter.folder / CONFIG_FILE, adapter.folder / WEIGHTS_FILE]


def _specialist(order: BuildOrder, built: _Built) -> str:
    """A manifest to be completed: for any workflow, without a prompt, never measured."""
    title = f"{order.source.name} for {order.engine}"
    values = {
        "version": 1,
        "id": order.specialist_id,
        "title": title if title.isprintable() else order.specialist_id,
        "engine": order.engine,
    }
    tables = {"base": built.base, "adapter": built.adapter}
    lines = _assignments(values)
    for name, table in tables.items():
        lines += [f"[{name}]", *_assignments(table)] if table else []
    return "\n".join([*lines, '[workflows."*"]', ""])


def _assignments(values: Mapping[str, object]) -> list[str]:
    """As in TOML, where printable text is written as in JSON."""
    return [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]


def _write_manifest(folder: Path, manifest: BuildManifest) -> BuildManifest:
    """Writes it at the top of a folder, with the digests of what is there."""
    complete = replace(manifest, files=digests_below(folder))
    with (folder / FILE_NAME).open("wb") as file:
        file.write(written(complete))
        file.flush()
        os.fsync(file.fileno())
    return complete
