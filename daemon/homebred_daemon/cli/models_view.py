"""How the `homebred models` commands show their results: as JSON values, and as tables for people."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import typer

from homebred_daemon.core.fitness import wilson_limits
from homebred_daemon.core.measurements import Measurement, measurements_record
from homebred_daemon.core.shelf import Shelf, StoredSpecialist
from homebred_daemon.services.evaluating import Evaluation, RowResult

PIPED_WIDTH = 200  # a table that is no terminal's is not squeezed into 80 columns
SHORT_DIGEST = len("sha256:") + 12
PASSED = 1.0
MEGABYTE = 1_000_000


def stored_json(stored: StoredSpecialist) -> dict[str, Any]:
    """One specialist; a workflow without a valid measurement has no samples."""
    manifest = stored.manifest
    measured = measurements_record(stored.measurements)["workflows"]
    return {
        "id": manifest.id,
        "title": manifest.title,
        "engine": manifest.engine,
        "release": stored.release,
        "base_digest": stored.base_digest,
        "base_bytes": stored.base_bytes,
        "base_is_intact": stored.base_is_intact,
        "kv_bytes_per_token": stored.kv_bytes_per_token,
        "trained_context": stored.trained_context,
        "gpu_architecture": stored.gpu_architecture,
        "adapter": _adapter_json(stored),
        "licence": manifest.licence,
        "generation": manifest.generation,
        "workflows": {name: measured.get(name, {"samples": 0}) for name in manifest.workflows},
        "note": stored.note,
    }


def _adapter_json(stored: StoredSpecialist) -> dict[str, Any] | None:
    if not stored.adapter_digest:
        return None
    return {
        "digest": stored.adapter_digest,
        "bytes": stored.adapter_bytes,
        "is_intact": stored.adapter_is_intact,
    }


def worker_json(worker: Any) -> dict[str, Any]:
    """One engine worker, as `homebred status` shows it."""
    record = {field.name: getattr(worker, field.name) for field in worker.DESCRIPTOR.fields}
    return record | {"adapters": list(worker.adapters)}


def shelf_json(shelf: Shelf) -> dict[str, Any]:
    """Everything in the store."""
    return {
        "specialists": [stored_json(stored) for stored in shelf.specialists],
        "damaged": [{"id": damaged.id, "why": damaged.why} for damaged in shelf.damaged],
    }


def evaluation_json(evaluation: Evaluation, measurement: Measurement, *, shows_wrong: bool) -> dict[str, Any]:
    """A measurement with every row; what was said is left out unless it was asked for, and then only where wrong."""
    rows = []
    for result in evaluation.rows:
        row = {"line": result.row.line, "score": result.score, "seconds": result.seconds, "ending": result.ending}
        if shows_wrong and result.score < PASSED:
            row |= {"input": result.row.input, "expected": result.row.expected, "answer": result.answer}
        rows.append(row)
    record: dict[str, Any] = measurements_record({evaluation.workflow: measurement})["workflows"][evaluation.workflow]
    return record | {"lower_limit": _lower_limit(measurement), "rows": rows}


def show_shelf(shelf: Shelf) -> None:
    """The store as a table: a line for each workflow."""
    rows = []
    for stored in shelf.specialists:
        manifest = stored.manifest
        base = _part_text(stored.base_digest, stored.base_bytes)
        about = (manifest.id, manifest.engine, base, _part_text(stored.adapter_digest, stored.adapter_bytes))
        for workflow in manifest.workflows:
            measurement = stored.measurements.get(workflow)
            figures = _figures(measurement) if measurement is not None else ("", "", "0", "", "")
            rows.append((*about, workflow, *figures[:3], "yes" if stored.is_intact else "NO"))
            about = ("", "", "", "")
    if rows:
        head = ("specialist", "engine", "base", "adapter", "workflow", "fitness", "at least", "samples", "intact")
        show_table(head, rows)
    for stored in shelf.specialists:
        if stored.note:
            typer.echo(f"note: {stored.manifest.id}: {stored.note}")
    for damaged in shelf.damaged:
        typer.echo(f"damaged: {damaged.id}: {damaged.why}")
    if not shelf.specialists and not shelf.damaged:
        typer.echo("no specialist is here yet; add one with `homebred models add FILE.gguf` or a specialist's folder")


def show_evaluations(measured: Mapping[str, tuple[Evaluation, Measurement]], *, shows_wrong: bool) -> None:
    """What was measured, as a table, and the wrong answers where they were asked for."""
    head = ("workflow", "fitness", "at least", "samples", "tokens/s", "p95")
    show_table(head, [(name, *_figures(measurement)) for name, (_, measurement) in measured.items()])
    for evaluation, _ in measured.values():
        wrong = [result for result in evaluation.rows if result.score < PASSED]
        if wrong and not shows_wrong:
            lines = ", ".join(str(result.row.line) for result in wrong)
            typer.echo(f"{evaluation.workflow}: not fully right on line {lines}; see them with --show-wrong")
        for result in wrong if shows_wrong else ():
            _show_wrong(evaluation.workflow, result)


def show_stored(stored: StoredSpecialist) -> None:
    """One specialist: what it runs on, and what was measured."""
    manifest = stored.manifest
    cache = f", {size_text(stored.kv_bytes_per_token)} of cache a token" if stored.kv_bytes_per_token else ""
    trained = f", trained for {stored.trained_context} tokens" if stored.trained_context else ""
    typer.echo(f"{manifest.id}: {manifest.title}")
    if stored.release:
        typer.echo(f"release  {stored.release}")
    typer.echo(
        f"engine   {manifest.engine}" + (f", on {stored.gpu_architecture} only" if stored.gpu_architecture else "")
    )
    typer.echo(f"base     {stored.base_digest}, {size_text(stored.base_bytes)}{cache}{trained}")
    if stored.adapter_digest:
        typer.echo(f"adapter  {stored.adapter_digest}, {size_text(stored.adapter_bytes)}")
    if not stored.is_intact:
        typer.echo("missing or cut short: add it again")
    if stored.note:
        typer.echo(f"note     {stored.note}")
    measured = {name: stored.measurements.get(name) for name in manifest.workflows}
    rows = [(name, *(("", "", "0", "", "") if each is None else _figures(each))) for name, each in measured.items()]
    show_table(("workflow", "fitness", "at least", "samples", "tokens/s", "p95"), rows)


def _part_text(digest: str, size_bytes: int) -> str:
    """A base or an adapter in a table; empty: none."""
    return f"{digest[:SHORT_DIGEST]} {size_text(size_bytes)}" if digest else ""


def size_text(size_bytes: int) -> str:
    """A size for people."""
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes >= MEGABYTE else f"{size_bytes / 1e3:.1f} kB"


def show_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on standard output, its cells taken literally."""
    from rich.console import Console  # noqa: PLC0415  # rich costs a tenth of a second: only where a table is shown
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for name in head:
        table.add_column(name, no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row))
    Console(width=None if sys.stdout.isatty() else PIPED_WIDTH, highlight=False).print(table)


def _show_wrong(workflow: str, result: RowResult) -> None:
    typer.echo(f"{workflow}, line {result.row.line}: score {result.score:.2f}, ended by {result.ending}")
    typer.echo(f"  input     {result.row.input!r}")
    typer.echo(f"  expected  {result.row.expected!r}")
    typer.echo(f"  answer    {result.answer!r}")


def _figures(measurement: Measurement) -> tuple[str, str, str, str, str]:
    return (
        f"{measurement.fitness:.3f}",
        f"{_lower_limit(measurement):.3f}",
        str(measurement.samples),
        "" if measurement.tokens_per_s is None else f"{measurement.tokens_per_s:.1f}",
        "" if measurement.p95_s is None else f"{measurement.p95_s:.2f} s",
    )


def _lower_limit(measurement: Measurement) -> float:
    """What the router holds against a floor: the one-sided 95 % lower limit of the fitness."""
    return wilson_limits(measurement.fitness, measurement.samples)[0]
