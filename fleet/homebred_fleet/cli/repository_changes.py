"""The commands of `homebred-fleet repository` that prepare a change: each waits then for the signatures it needs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from homebred_fleet.adapters.system_clock import unix_s
from homebred_fleet.adapters.tuf_repository.editing import ONLINE
from homebred_fleet.adapters.tuf_repository.keys import read_public
from homebred_fleet.adapters.tuf_repository.repository import Repository
from homebred_fleet.cli.asking import body_of
from homebred_fleet.cli.exits import write_json
from homebred_fleet.cli.options import JsonOption
from homebred_fleet.cli.signing import FolderArgument, ThresholdOption, say_review, signing
from homebred_fleet.core.keyholders import Purpose
from homebred_fleet.errors import RequestError
from homebred_protocol.targets import MAX_TARGET_BYTES, Kind


def delegate(
    folder: FolderArgument,
    *,
    key: Annotated[list[Path], typer.Option("--key", help="Public key of who signs for it; once for each.")],
    family: Annotated[str, typer.Option("--family", help="A family of models.")] = "",
    policies: Annotated[bool, typer.Option("--policies", help="All sites' policies.")] = False,
    gazetteers: Annotated[bool, typer.Option("--gazetteers", help="All sites' gazetteers.")] = False,
    runtime: Annotated[bool, typer.Option("--runtime", help="Software below the models.")] = False,
    threshold: ThresholdOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Let keys of their own sign for one family of models, for policies, gazetteers or the runtime."""
    asked = {
        Kind.RELEASE: bool(family),
        Kind.POLICY: policies,
        Kind.GAZETTEER: gazetteers,
        Kind.RUNTIME: runtime,
    }
    kinds = [kind for kind, wanted in asked.items() if wanted]
    if len(kinds) != 1:
        raise RequestError("this needs one of --family, --policies, --gazetteers and --runtime", hint="name one")
    named = signing(key, Purpose.IMAGE, threshold)
    role = Repository(folder).delegate(kinds[0], family, named, unix_s())
    _prepared(folder, [role], as_json=as_json)


def add(
    folder: FolderArgument,
    file: Annotated[Path, typer.Argument(metavar="TARGETFILE", help="A manifest, a policy or a gazetteer.")],
    *,
    path: Annotated[str, typer.Option("--path", help="Its name, such as models/qa/intake-3/7.json.")],
    site: Annotated[str, typer.Option("--site", help="The only site that may take it; any, if none is named.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Add a target: its number must be above all that its line ever had."""
    body = body_of(file, max_bytes=MAX_TARGET_BYTES)
    added = Repository(folder).add(path, body, site, unix_s())
    if as_json:
        custom = added.custom
        write_json({"path": path, "length": added.length, "sha256": added.hashes["sha256"], "custom": custom})
    else:
        typer.echo(f"{path}: {added.length} bytes, sha256:{added.hashes['sha256']}")
        say_review(folder)


def remove(
    folder: FolderArgument,
    path: Annotated[str, typer.Argument(metavar="PATH", help="As `repository list` prints it.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Take a target back: no device takes it up any more. Devices that run it go on, until they are told otherwise."""
    Repository(folder).remove(path, unix_s())
    _prepared(folder, [path], as_json=as_json)


def rotate(
    folder: FolderArgument,
    role: Annotated[str, typer.Argument(metavar="ROLE", help=f"As `repository status` names it; {ONLINE}.")],
    *,
    add: Annotated[list[Path] | None, typer.Option("--add", help="Public key to sign from now on.")] = None,
    drop: Annotated[list[str] | None, typer.Option("--drop", help="Holder's name or beginning of a key's id.")] = None,
    threshold: Annotated[int | None, typer.Option("--threshold", min=1, help="How many must sign from now on.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Change who signs a role. A root is signed by enough of its old holders and of its new ones."""
    there = Repository(folder)
    is_director = there.contents().purpose is Purpose.DIRECTOR
    purpose = (Purpose.ONLINE if role == ONLINE else Purpose.DIRECTOR) if is_director else Purpose.IMAGE
    keys = [read_public(file, purpose) for file in add or ()]
    there.rotate(role, add=keys, drop=drop or (), threshold=threshold, now_s=unix_s())
    _prepared(folder, [role], as_json=as_json)


def revoke(
    folder: FolderArgument,
    key: Annotated[str, typer.Argument(metavar="KEY", help="Holder's name or beginning of the key's id.")],
    *,
    replace_with: Annotated[
        Path | None, typer.Option("--replace-with", help="Public key that takes its place everywhere.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Drop a key wherever it signs, and say what must be signed anew."""
    there = Repository(folder)
    purpose = there.contents().purpose
    if purpose is Purpose.DIRECTOR and there.is_online(key):
        purpose = Purpose.ONLINE
    replacement = None if replace_with is None else read_public(replace_with, purpose)
    had = there.revoke(key, replacement, unix_s())
    if not as_json:
        typer.echo(f"it signed: {', '.join(had)}")
    _prepared(folder, list(had), as_json=as_json)


def renew(
    folder: FolderArgument,
    roles: Annotated[list[str] | None, typer.Argument(metavar="[ROLE]...", help="All that near their end.")] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Prepare roles anew as they are, with their whole life before them."""
    _prepared(folder, list(Repository(folder).renew(roles or (), unix_s())), as_json=as_json)


COMMANDS = (delegate, add, remove, rotate, revoke, renew)


def _prepared(folder: Path, changed: list[str], *, as_json: bool) -> None:
    waiting = [one.role for one in Repository(folder).standings(unix_s()) if one.prepared]
    if as_json:
        write_json({"changed": changed, "waits": waiting})
        return
    typer.echo(f"must be signed: {', '.join(waiting)}" if waiting else "nothing has changed")
    if waiting:
        say_review(folder)
