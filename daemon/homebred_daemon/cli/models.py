"""`homebred models`: the specialists, base models and adapters on this device.

What concerns the store needs no daemon, and a running one is told; `load`, `unload`, `pin`, `unpin`, `import` call it.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from homebred_daemon.adapters.model_store import ModelStore
from homebred_daemon.adapters.specialist_folder import read_golden_file
from homebred_daemon.cli.connection import controller
from homebred_daemon.cli.exits import Exit, write_json
from homebred_daemon.cli.imports import import_
from homebred_daemon.cli.installs import history, why
from homebred_daemon.cli.models_view import (
    evaluation_json,
    shelf_json,
    show_evaluations,
    show_shelf,
    show_stored,
    size_text,
    stored_json,
    worker_json,
)
from homebred_daemon.cli.progress import byte_progress, row_progress
from homebred_daemon.core.measurements import Measurement
from homebred_daemon.core.shelf import StoredSpecialist
from homebred_daemon.errors import HomebredError, RequestError
from homebred_daemon.services.evaluating import Bench, Evaluation, measure
from homebred_protocol.documents.golden import GoldenSet

if TYPE_CHECKING:
    from homebred_daemon.settings import Settings

MEGABYTE = 1_000_000
LONGEST_TEMPORARY = 50  # a worker's socket goes below it, and a socket's path holds 107 bytes (unix(7))

app = typer.Typer(help="Add, list, remove and evaluate models; load, unload and pin them in the daemon.")
app.command("history")(history)
app.command("why")(why)
app.command("import")(import_)

Config = Annotated[Path | None, typer.Option("--config", help="Configuration file.")]
StateDir = Annotated[str | None, typer.Option("--state-dir", help="The state folder; the store is its `models`.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object.")]
SpecialistId = Annotated[str, typer.Argument(metavar="ID", help="The specialist.")]


@app.command("add")
def add(
    source: Annotated[Path, typer.Argument(help="A GGUF file, or a folder with a specialist.toml.")],
    specialist_id: Annotated[
        str, typer.Option("--id", help="The id for a file; a folder's manifest has its own.")
    ] = "",
    *,
    replaces: Annotated[bool, typer.Option("--replace", help="Replace another specialist of the same id.")] = False,
    config: Config = None,
    state_dir: StateDir = None,
    as_json: AsJson = False,
) -> None:
    """Take in a model file or a specialist's folder, checked whole before anything is kept."""
    settings = _settings(config, state_dir)
    with byte_progress() as progress:
        addition = _store(settings).add(source, specialist_id=specialist_id, replaces=replaces, progress=progress)
    stored = addition.specialist
    told = _tell_daemon(settings) if addition.change != "unchanged" else "not told"
    if as_json:
        write_json({"change": addition.change, **stored_json(stored), "daemon": told})
        return
    typer.echo(f"{addition.change}: {stored.manifest.id} on {stored.base_digest}, {size_text(stored.base_bytes)}")
    if stored.adapter_digest:
        typer.echo(f"with the adapter {stored.adapter_digest}, {size_text(stored.adapter_bytes)}")
    if not stored.measurements:
        has_golden = any(workflow.golden for workflow in stored.manifest.workflows.values())
        command = f"homebred models evaluate {stored.manifest.id}" + ("" if has_golden else " --golden FILE")
        typer.echo(f"next: measure it, or it only fills in for answers that are marked degraded: {command}")
    _echo_told(told)


@app.command("list")
def list_(
    *,
    verifies: Annotated[
        bool, typer.Option("--verify", help="Read every base and adapter whole and compare its digest.")
    ] = False,
    config: Config = None,
    state_dir: StateDir = None,
    as_json: AsJson = False,
) -> int:
    """List specialists with base, adapter, fitness and state; with --verify, exit status 1 where one is not intact."""
    with byte_progress() as progress:
        shelf = _store(_settings(config, state_dir)).contents(verifies=verifies, progress=progress)
    if as_json:
        write_json(shelf_json(shelf))
    else:
        show_shelf(shelf)
    is_whole = not shelf.damaged and all(stored.is_intact for stored in shelf.specialists)
    return Exit.OK if is_whole or not verifies else Exit.NEGATIVE


@app.command("show")
def show(
    specialist_id: SpecialistId, *, config: Config = None, state_dir: StateDir = None, as_json: AsJson = False
) -> None:
    """Show one specialist: its base and adapter with their sizes, and what was measured."""
    stored = _store(_settings(config, state_dir)).get(specialist_id)
    if as_json:
        write_json(stored_json(stored))
        return
    show_stored(stored)


@app.command("rm")
def rm(
    specialist_id: SpecialistId, *, config: Config = None, state_dir: StateDir = None, as_json: AsJson = False
) -> None:
    """Remove a specialist, and its base model and adapter where no other needs them."""
    settings = _settings(config, state_dir)
    removal = _store(settings).remove(specialist_id)
    told = _tell_daemon(settings)
    if as_json:
        write_json({"id": removal.id, "freed_bytes": removal.freed_bytes, "daemon": told})
        return
    freed = f"; {size_text(removal.freed_bytes)} freed" if removal.freed_bytes else "; what it ran on is still needed"
    typer.echo(f"removed: {removal.id}{freed}")
    _echo_told(told)


@app.command("evaluate")
def evaluate(
    specialist_id: SpecialistId,
    golden: Annotated[Path | None, typer.Option("--golden", help="Golden set (JSON lines); else its own.")] = None,
    workflow: Annotated[str, typer.Option("--workflow", help="The workflow; else all that have a golden set.")] = "",
    *,
    shows_wrong: Annotated[bool, typer.Option("--show-wrong", help="Show the answers that are not right.")] = False,
    config: Config = None,
    state_dir: StateDir = None,
    as_json: AsJson = False,
) -> None:
    """Measure a specialist's fitness on golden sets, in an engine worker of its own, and keep it."""
    settings = _settings(config, state_dir)
    store = _store(settings)
    stored = store.get(specialist_id)
    golden_sets = _golden_sets(store, stored, golden, workflow)
    measured = _measured(settings, stored, golden_sets)
    store.record_fitness(specialist_id, {name: measurement for name, (_, measurement) in measured.items()})
    told = _tell_daemon(settings)
    if as_json:
        workflows = {name: evaluation_json(*pair, shows_wrong=shows_wrong) for name, pair in measured.items()}
        write_json({"id": specialist_id, "workflows": workflows, "daemon": told})
        return
    show_evaluations(measured, shows_wrong=shows_wrong)
    _echo_told(told)


Socket = Annotated[Path | None, typer.Option("--socket", help="The daemon's socket.")]


@app.command("load")
def load(specialist_id: SpecialistId, *, config: Config = None, socket: Socket = None, as_json: AsJson = False) -> None:
    """Have the daemon load a specialist's model now, one that is parked after failures too."""
    with controller(socket, config) as daemon:
        worker = daemon.load_model(specialist_id).worker
    if as_json:
        write_json({"id": specialist_id, "loaded": True, "worker": worker_json(worker)})
        return
    typer.echo(f"loaded: {specialist_id}, in worker {worker.process_id}, {size_text(worker.resident_bytes)}")


@app.command("unload")
def unload(
    specialist_id: SpecialistId, *, config: Config = None, socket: Socket = None, as_json: AsJson = False
) -> None:
    """Have the daemon free a specialist's model once its running answers have ended; its next use loads it again."""
    with controller(socket, config) as daemon:
        was_loaded = daemon.unload_model(specialist_id).was_loaded
    if as_json:
        write_json({"id": specialist_id, "was_loaded": was_loaded})
        return
    typer.echo(f"unloaded: {specialist_id}" if was_loaded else f"{specialist_id} was not loaded")


@app.command("pin")
def pin(specialist_id: SpecialistId, *, config: Config = None, socket: Socket = None, as_json: AsJson = False) -> None:
    """Have a specialist's model stay loaded when others need room, until it is unpinned or the daemon ends."""
    _pin(specialist_id, pinned=True, config=config, socket=socket, as_json=as_json)


@app.command("unpin")
def unpin(
    specialist_id: SpecialistId, *, config: Config = None, socket: Socket = None, as_json: AsJson = False
) -> None:
    """Let a specialist's model be unloaded when others need room."""
    _pin(specialist_id, pinned=False, config=config, socket=socket, as_json=as_json)


def _pin(specialist_id: str, *, pinned: bool, config: Path | None, socket: Path | None, as_json: bool) -> None:
    with controller(socket, config) as daemon:
        daemon.pin_model(specialist_id, pinned=pinned)
    if as_json:
        write_json({"id": specialist_id, "pinned": pinned})
        return
    typer.echo(f"{'pinned' if pinned else 'unpinned'}: {specialist_id}")


def _golden_sets(
    store: ModelStore, stored: StoredSpecialist, golden: Path | None, workflow: str
) -> dict[str, GoldenSet]:
    """What to measure with, by workflow. Raises RequestError."""
    manifest = stored.manifest
    if workflow and workflow not in manifest.workflows:
        raise RequestError(
            f"{manifest.id} has no workflow {workflow!r}",
            hint=f"name one of: {', '.join(sorted(manifest.workflows))}",
        )
    names = [workflow] if workflow else list(manifest.workflows)
    if golden is not None:
        if len(names) > 1:
            raise RequestError(
                f"{manifest.id} has several workflows", hint=f"name one with --workflow: {', '.join(sorted(names))}"
            )
        return {names[0]: read_golden_file(golden, manifest, names[0])}
    with_golden = [name for name in names if manifest.workflows[name].golden]
    if not with_golden:
        raise RequestError(f"{manifest.id} brings no golden set", hint="name a file with --golden")
    return {name: read_golden_file(store.golden_path(manifest.id, name), manifest, name) for name in with_golden}


def _measured(
    settings: Settings, stored: StoredSpecialist, golden_sets: dict[str, GoldenSet]
) -> dict[str, tuple[Evaluation, Measurement]]:
    from homebred_daemon.adapters.engine_launcher import ProcessLauncher  # noqa: PLC0415  # grpc only where it is used
    from homebred_daemon.adapters.system_clock import SystemClock  # noqa: PLC0415

    engine = settings.engine
    total_rows = sum(len(golden.rows) for golden in golden_sets.values())
    # Not the daemon's runtime folder: whoever may read the store need not be the daemon's user.
    temporary = tempfile.gettempdir()
    with (
        tempfile.TemporaryDirectory(
            prefix="homebred-",
            dir=temporary if len(temporary) <= LONGEST_TEMPORARY else "/tmp",  # noqa: S108  # private
        ) as runtime_dir,
        row_progress(f"evaluating {stored.manifest.id}", total_rows) as advance,
    ):
        bench = Bench(
            launcher=ProcessLauncher(
                interpreter=engine.python, runtime_dir=Path(runtime_dir), queue_limit=engine.queue_limit
            ),
            clock=SystemClock(),
            context_tokens=engine.context_tokens,
            threads=engine.threads,
            memory_budget_bytes=engine.memory_budget_mb * MEGABYTE,
            load_timeout_s=engine.load_timeout_s,
            concurrency=engine.slots,
        )
        return asyncio.run(measure(stored, golden_sets, bench, on_row=lambda _: advance()))


def _settings(config: Path | None, state_dir: str | None) -> Settings:
    from homebred_daemon.config import load  # noqa: PLC0415  # pydantic, not for `--help`

    flags = {} if state_dir is None else {"--state-dir": state_dir}
    return load(config, flags, os.environ)


def _store(settings: Settings) -> ModelStore:
    budget_bytes = settings.engine.memory_budget_mb * MEGABYTE
    return ModelStore(settings.paths.state_dir / "models", memory_budget_bytes=budget_bytes)


def _tell_daemon(settings: Settings) -> str:
    """Has a running daemon take up the change: `reloaded`, `not running`, or why it did not."""
    if not settings.paths.socket.exists():
        return "not running"
    from homebred_daemon.adapters.grpc_client import controlling  # noqa: PLC0415  # grpc only where a call is made
    from homebred_daemon.errors import DaemonUnreachableError  # noqa: PLC0415

    try:
        with controlling(settings.paths.socket) as daemon:
            daemon.reload_models()
    except DaemonUnreachableError:
        return "not running"
    except HomebredError as error:
        return f"failed: {error.message}"  # the store has changed all the same
    return "reloaded"


def _echo_told(told: str) -> None:
    if told.startswith("failed"):
        typer.echo(f"note: the running daemon did not take it up ({told}); restart it", err=True)
