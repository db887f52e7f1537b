"""`homebred-fleet release`: build what may be signed for devices, and look at what was built."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from homebred_fleet.adapters.release_building import Built, build_release
from homebred_fleet.adapters.release_folder import Condition, ReleaseFolder, read_manifest_file
from homebred_fleet.cli import publishing, release_assigning
from homebred_fleet.cli.exits import Exit, write_json
from homebred_fleet.cli.options import JsonOption
from homebred_fleet.cli.progress import byte_progress
from homebred_fleet.cli.showing import printable, show_fields, show_table, size_text
from homebred_protocol.digests import digest_of
from homebred_protocol.documents.release import document_of
from homebred_protocol.documents.release_values import ReleaseManifest

app = typer.Typer(add_completion=False)
for asking_command in (publishing.publish, *release_assigning.COMMANDS):
    app.command()(asking_command)


@app.callback()
def release() -> None:
    """Build what may be signed for devices, and have them run it."""


@app.command()
def build(
    source: Annotated[Path, typer.Argument(metavar="DIR", help="Folder with specialist.toml and release.toml.")],
    *,
    target: Annotated[Path, typer.Option("-o", "--out", metavar="FOLDER", help="Made whole or not at all.")],
    as_json: JsonOption = False,
) -> None:
    """Build a release: its manifest, which is to be signed, and its files by digest. Same folder, same bytes."""
    built = build_release(source, target, byte_progress)
    if as_json:
        write_json(_built_document(built, target))
        return
    manifest = built.manifest
    count = len({file.digest for file in manifest.files})
    typer.echo(
        f"built: {manifest.target.path}, {count} files, {size_text(manifest.total_bytes)}, in {printable(target)}\n"
        f"manifest: {digest_of(built.body)}"
    )
    if built.left_out:
        typer.echo(f"left out, as nothing names it: {printable(', '.join(built.left_out))}")
    typer.echo("next: have the manifest signed under that name; until then no device takes it")


@app.command()
def show(
    place: Annotated[Path, typer.Argument(metavar="FOLDER|FILE", help="A release's folder, or its manifest.json.")],
    *,
    verify: Annotated[bool, typer.Option("--verify", help="Read every byte, instead of comparing lengths.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what a release says, and whether its bytes are there; exit status 1 where they are not."""
    condition = None
    if place.is_dir():
        folder = ReleaseFolder(place)
        manifest, body = folder.manifest()
        condition = folder.condition(manifest, reads=verify)
    else:
        manifest, body = read_manifest_file(place)
    if as_json:
        write_json(_shown_document(manifest, body, condition))
    else:
        _show(manifest, body, condition)
    if condition is not None and not condition.is_whole:
        raise typer.Exit(Exit.NEGATIVE)


def _built_document(built: Built, target: Path) -> dict[str, Any]:
    return {
        "target": built.manifest.target.path,
        "digest": digest_of(built.body),
        "folder": str(target),
        "files": len({file.digest for file in built.manifest.files}),
        "bytes": built.manifest.total_bytes,
        "left_out": list(built.left_out),
    }


def _shown_document(manifest: ReleaseManifest, body: bytes, condition: Condition | None) -> dict[str, Any]:
    bytes_there = None
    if condition is not None:
        bytes_there = {
            "whole": condition.is_whole,
            "missing": list(condition.missing),
            "damaged": list(condition.damaged),
            "strangers": list(condition.strangers),
        }
    return {
        "target": manifest.target.path,
        "digest": digest_of(body),
        "bytes": manifest.total_bytes,
        "blobs": bytes_there,
        "manifest": document_of(manifest),
    }


def _show(manifest: ReleaseManifest, body: bytes, condition: Condition | None) -> None:
    constraints, recipe, base = manifest.constraints, manifest.recipe, manifest.base
    shadow = manifest.gate.shadow
    parents = ", ".join(manifest.parents)
    show_fields(
        {
            "release": manifest.target.path,
            "digest": digest_of(body),
            "title": manifest.title,
            "engine": " ".join(filter(None, (constraints.engine, constraints.engine_version))),
            "processor": constraints.architecture,
            "GPU": constraints.gpu_architecture,
            "memory": size_text(constraints.memory_bytes) if constraints.memory_bytes else "",
            "base": _base_text(manifest) if base is not None or constraints.base_digest else "",
            "tokenizer": constraints.tokenizer_digest,
            "built there": f"its {recipe.makes}, by {recipe.engine}, of {len(recipe.inputs)} inputs" if recipe else "",
            "shadow": f"{shadow.outcomes:,} tasks, {shadow.longest_s:,} s at most" if shadow is not None else "",
            "lineage": f"generation {manifest.generation}" + (f", of {parents}" if parents else ""),
            "workflows": ", ".join(manifest.workflows),
            "licence": manifest.licence,
            "classes": ", ".join(manifest.classes),
            "sites": ", ".join(manifest.sites) or "any",
            "bytes": _bytes_text(manifest, condition),
        }
    )
    gate = [
        (one.workflow, one.scorer, f"{one.minimum_ppm / 1_000_000:.3f}", _milliseconds(one.maximum_p95_ms), one.path)
        for one in manifest.gate.golden
    ]
    show_table(("gate", "scorer", "at least", "p95 at most", "golden set"), gate, none="")
    if manifest.provenance:
        made_of = [(one.name, one.licence, one.digest) for one in manifest.provenance]
        show_table(("made of", "licence", "digest"), made_of, none="")
    files = [(file.path, size_text(file.length), file.digest) for file in manifest.files]
    show_table(("file", "size", "digest"), files, none="")


def _base_text(manifest: ReleaseManifest) -> str:
    base = manifest.base
    where = "brought along" if base is None else f"not brought along: a {base.form} of {size_text(base.length)}"
    return f"{manifest.constraints.base_digest}, {where}"


def _bytes_text(manifest: ReleaseManifest, condition: Condition | None) -> str:
    whole = size_text(manifest.total_bytes)
    if condition is None:
        return whole
    if condition.is_whole:
        return f"{whole}, all there"
    missing, damaged = (", ".join(some) or "none" for some in (condition.missing, condition.damaged))
    return f"{whole}; missing: {missing}; damaged: {damaged}"


def _milliseconds(figure: int) -> str:
    return f"{figure} ms" if figure else "any"
