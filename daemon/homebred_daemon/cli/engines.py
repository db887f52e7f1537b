"""`homebred engines`: which engines can be had here, and builds of what they serve. Neither needs the daemon."""

from __future__ import annotations

import os
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from homebred_daemon.adapters.engine_interpreter import probe
from homebred_daemon.cli.exits import write_json
from homebred_daemon.cli.progress import step_progress
from homebred_daemon.errors import BuildError, ConfigurationError, RequestError
from homebred_engines import build as builds
from homebred_engines.api import AdapterRefusedError, ModelRefusedError
from homebred_engines.build_errors import BuildFailedError
from homebred_engines.edgellm_build import EngineRoom
from homebred_engines.gpu import device_architecture
from homebred_engines.registry import ENGINES
from homebred_protocol.documents.release_recipes import MOST_RANK, MOST_SLOTS, MOST_TOKENS
from homebred_protocol.documents.specialist import is_specialist_id

if TYPE_CHECKING:
    from homebred_daemon.settings import Settings
    from homebred_engines.build_manifest import BuildManifest

PACKAGE_OF_ENGINE = {"llamacpp": "xllamacpp", "trtllm": "tensorrt-llm", "edgellm": "tensorrt-edgellm"}

app = typer.Typer(help="List the engines that can be had here, and build what they serve.")

Config = Annotated[Path | None, typer.Option("--config", help="Configuration file.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object.")]


@app.command("list")
def list_(*, config: Config = None, as_json: AsJson = False) -> None:
    """List every engine with its library's version and what it can honour, as the engine itself tells them."""
    python = _settings(config).engine.python
    steps, ending = _probed(python)
    engines = [_listed(name, steps.get(f"engine {name}", {"error": ending or "not reached"})) for name in ENGINES]
    if as_json:
        write_json({"python": str(python), "engines": engines})
        return
    for each in engines:
        told = ", ".join(each["capabilities"]) or each["error"] or "what it can is found out when it is loaded"
        typer.echo(f"{each['engine']:<14} {each['version'] or '-':<16} {told}")


@app.command("build")
def build(
    *,
    engine: Annotated[str, typer.Option("--engine", help=f"One of: {', '.join(builds.ENGINES)}.")],
    source: Annotated[Path, typer.Option("--source", help="The model: a GGUF file, or a checkpoint folder.")],
    out: Annotated[Path, typer.Option("--out", help="The folder that will be there afterwards.")],
    adapter: Annotated[Path | None, typer.Option("--adapter", help="A PEFT LoRA folder bred on that model.")] = None,
    specialist_id: Annotated[str, typer.Option("--id", help="The specialist's id; else the name of --out.")] = "",
    tools: Annotated[
        list[Path] | None, typer.Option("--tools", help="A folder with commands that a build takes; repeatable.")
    ] = None,
    slots: Annotated[int, typer.Option("--slots", min=1, max=MOST_SLOTS, help="edgellm: answers in one batch.")] = 1,
    input_tokens: Annotated[
        int, typer.Option("--input-tokens", min=1, max=MOST_TOKENS, help="edgellm: longest prompt.")
    ] = 2048,
    context_tokens: Annotated[
        int, typer.Option("--context-tokens", min=1, max=MOST_TOKENS, help="edgellm: prompt and answer together.")
    ] = 4096,
    max_lora_rank: Annotated[
        int, typer.Option("--max-lora-rank", min=0, max=MOST_RANK, help="edgellm: of adapters; 0: the given one's.")
    ] = 0,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Build what an engine serves from a model and an adapter, into a folder that `homebred models add` takes.

    The folder appears whole or not at all.
    """
    name = specialist_id or out.name
    if not is_specialist_id(name):
        raise RequestError(
            f"{name!r} is no specialist's id",
            hint="name one with --id: lower case letters, digits, `.`, `_` and `-`, 64 at most",
        )
    python = _settings(config).engine.python
    steps, _ = _probed(python)
    order = builds.BuildOrder(
        engine=engine,
        source=source,
        adapter=adapter,
        out=out,
        specialist_id=name,
        engine_version=steps.get("packages", {}).get(PACKAGE_OF_ENGINE.get(engine, ""), ""),
        gpu_architecture=device_architecture(),
        tools_path=os.pathsep.join([*map(str, tools or ()), str(python.parent), os.environ.get("PATH", "")]),
        room=EngineRoom(slots=slots, input_tokens=input_tokens, context_tokens=context_tokens, max_rank=max_lora_rank),
    )
    manifest = _built(order)
    if as_json:
        write_json({"out": str(out), **asdict(manifest)})
        return
    version = f" {manifest.engine_version}" if manifest.engine_version else ""
    gpu = f", for {manifest.gpu_architecture} alone" if manifest.gpu_architecture else ""
    typer.echo(f"built: {out} for {engine}{version}{gpu}, {len(manifest.files)} files")
    typer.echo(f"next: complete {out / 'specialist.toml'}, then: homebred models add {out}")


def _built(order: builds.BuildOrder) -> BuildManifest:
    """Raises RequestError where it is refused, BuildError where it failed."""
    with step_progress() as hear:
        try:
            return builds.build(
                order, now=datetime.now(UTC), hear=lambda told: hear(told.number, told.steps, told.title)
            )
        except BuildFailedError as error:
            lines = [error.why, *error.last_lines.splitlines()]
            raise BuildError("\n  ".join(lines), hint=error.hint) from None
        except (ModelRefusedError, AdapterRefusedError) as error:
            raise RequestError(error.why, hint=error.hint) from None


def _listed(name: str, told: dict[str, Any]) -> dict[str, Any]:
    return {
        "engine": name,
        "version": told.get("version", ""),
        "capabilities": told.get("capabilities", []),
        "error": told["error"],
        "is_built_for": name in builds.ENGINES,
    }


def _probed(python: Path) -> tuple[dict[str, dict[str, Any]], str]:
    try:
        return probe(python)
    except OSError as error:
        raise ConfigurationError(
            f"{python} cannot be started: {error.strerror}",
            hint="set engine.python to an interpreter of Python 3.10 or newer",
        ) from None


def _settings(config: Path | None) -> Settings:
    from homebred_daemon.config import load  # noqa: PLC0415  # pydantic, not for `--help`

    return load(config, {}, os.environ)
