"""The commands that bring what was built, and what was signed, to a controller; and show what it serves of that."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from homebred_fleet.adapters.blob_sending import BlobSending
from homebred_fleet.adapters.release_folder import ReleaseFolder
from homebred_fleet.cli.asking import ProfileOption, asking
from homebred_fleet.cli.exits import write_json
from homebred_fleet.cli.options import JsonOption
from homebred_fleet.cli.progress import byte_progress
from homebred_fleet.cli.showing import printable, show_table, size_text
from homebred_fleet.cli.signing import FolderArgument
from homebred_fleet.core.durations import counted
from homebred_fleet.errors import NotFoundError, RequestError
from homebred_protocol.digests import digest_of


def publish(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="As `release build` made it.")],
    *,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a release's files to the controller; what is there whole is not sent again. Its manifest is signed apart."""
    built = ReleaseFolder(folder)
    manifest, _ = built.manifest()
    condition = built.condition(manifest, reads=True)
    if not condition.is_whole:
        raise RequestError(
            f"{folder} is not whole: {', '.join((*condition.missing, *condition.damaged))[:300]}",
            hint="look at it with `homebred-fleet release show FOLDER --verify`, and build it again",
        )
    sending = BlobSending(asking(profile), "releases", "blobs", mends=True)
    lengths = {file.digest: file.length for file in manifest.files}
    with byte_progress(sum(lengths.values())) as told:
        sent = [sending.send(digest, length, built.blob(digest), told) for digest, length in sorted(lengths.items())]
    bytes_sent = sum(one.bytes_sent for one in sent)
    if as_json:
        write_json({"target": manifest.target.path, "files": len(sent), "bytes_sent": bytes_sent})
        return
    typer.echo(
        f"on the controller: {counted(len(sent), 'file')} of {manifest.target.path}, {size_text(bytes_sent)} sent"
    )
    typer.echo(f"next: homebred-fleet release assign {manifest.target.path} …, once its manifest is signed and served")


def upload(folder: FolderArgument, *, profile: ProfileOption = None, as_json: JsonOption = False) -> None:
    """Have the controller serve what was published here, once it has verified it as a device would."""
    from homebred_fleet.adapters.tuf_repository.receiving import listing_of  # noqa: PLC0415  # dear to import
    from homebred_fleet.adapters.tuf_repository.repository import Repository  # noqa: PLC0415

    there = Repository(folder)
    if not there.published.exists():
        raise NotFoundError(f"nothing is published in {folder}", hint=f"homebred-fleet repository publish {folder}")
    purpose = there.contents().purpose
    listing, files = listing_of(there.published.resolve())
    client = asking(profile)
    sending = BlobSending(client, "repositories", "files")
    sent = [sending.send(digest, file.stat().st_size, file, _unheard) for digest, file in files.items()]
    sending.send(digest_of(listing), len(listing), listing, _unheard)
    body = {"listing": digest_of(listing)}
    found = client.send("POST", "repositories", purpose.value, "generations", body=body)
    if as_json:
        write_json({**found, "bytes_sent": sum(one.bytes_sent for one in sent)})
        return
    what = "is served from now on" if found["changed"] else "was served already"
    typer.echo(f"{purpose} {what}: root {found['served']['root']}, {counted(found['targets'], 'target')}")
    for line in found["stale"]:
        typer.echo(f"as old as before: {printable(line)}")
    if found["note"]:
        typer.echo(f"note: {printable(found['note'])}")


def served(*, profile: ProfileOption = None, as_json: JsonOption = False) -> None:
    """Show what the controller serves of both repositories, with the digests of the roots that devices pin."""
    found = asking(profile).get("repositories")
    if as_json:
        write_json(found)
        return
    rows = [_row(name, one) for name, one in found.items()]
    show_table(("repository", "root", "its digest", "timestamp"), rows, none="nothing is served")


def _row(name: str, one: dict[str, Any]) -> tuple[Any, ...]:
    if not one["root"]:
        return (name, "-", "nothing was published yet", "-")
    return (name, one["root"], one["root_digest"], (one["versions"] or {}).get("timestamp", "-"))


def _unheard(_: int) -> None:
    """Small files need no bar."""
