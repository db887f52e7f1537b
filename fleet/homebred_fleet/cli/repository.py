"""`homebred-fleet repository`: what may ever run on devices, signed offline, in a folder that needs no controller."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from homebred_fleet.adapters.system_clock import unix_s
from homebred_fleet.adapters.tuf_repository.air_gap import MAX_BYTES
from homebred_fleet.adapters.tuf_repository.changes import said
from homebred_fleet.adapters.tuf_repository.contents import RoleStanding
from homebred_fleet.adapters.tuf_repository.repository import Repository
from homebred_fleet.cli import publishing, repository_changes
from homebred_fleet.cli.asking import body_of
from homebred_fleet.cli.exits import Exit, write_json
from homebred_fleet.cli.options import JsonOption
from homebred_fleet.cli.showing import printable, show_table, time_text
from homebred_fleet.cli.signing import (
    FolderArgument,
    KeyOption,
    OutputOption,
    PassphraseOption,
    ThresholdOption,
    opened,
    say_review,
    signing,
    write_new,
)
from homebred_fleet.core.durations import span
from homebred_fleet.core.keyholders import Purpose
from homebred_fleet.core.repository_rules import Freshness

app = typer.Typer(add_completion=False)
for change in (*repository_changes.COMMANDS, publishing.upload, publishing.served):
    app.command()(change)


@app.callback()
def repository() -> None:
    """Say what may ever run on devices, sign it, and publish it."""


@app.command()
def init(
    folder: FolderArgument,
    *,
    root: Annotated[list[Path], typer.Option("--root", help="Public key of a root holder; once for each.")],
    threshold: ThresholdOption,
    targets: Annotated[list[Path], typer.Option("--targets", help="Public key of who delegates to families.")],
    snapshot: Annotated[list[Path], typer.Option("--snapshot", help="Public key of who says what belongs together.")],
    timestamp: Annotated[list[Path], typer.Option("--timestamp", help="Public key of who says what is newest.")],
    as_json: JsonOption = False,
) -> None:
    """Begin a repository: its first root, to be signed by so many holders before anything is published."""
    roles = {
        "root": signing(root, Purpose.IMAGE, threshold),
        "targets": signing(targets, Purpose.IMAGE),
        "snapshot": signing(snapshot, Purpose.IMAGE),
        "timestamp": signing(timestamp, Purpose.IMAGE),
    }
    made = Repository(folder)
    made.init(Purpose.IMAGE, roles, unix_s())
    show_status(made, folder, as_json=as_json)


@app.command()
def status(folder: FolderArgument, *, as_json: JsonOption = False) -> None:
    """Show each role: versions, end, who has signed and who must still; exit status 1 where one is about to end."""
    standings = show_status(Repository(folder), folder, as_json=as_json)
    if any(one.freshness in {Freshness.URGENT, Freshness.EXPIRED} for one in standings):
        raise typer.Exit(Exit.NEGATIVE)


@app.command("list")
def list_(folder: FolderArgument, *, as_json: JsonOption = False) -> None:
    """List the targets that are published, and those that wait."""
    contents = Repository(folder).contents()
    rows = []
    for role in contents.roles:
        served = getattr(getattr(contents.published.get(role), "signed", None), "targets", {})
        for path, file in getattr(contents.must(role).signed, "targets", {}).items():
            state = "published" if path in served else "waits"
            rows.append((path, (file.custom or {}).get("site", ""), file.length, file.hashes["sha256"], state))
    head = ("target", "site", "bytes", "sha256", "state")
    if as_json:
        write_json({"targets": [dict(zip(head, row, strict=True)) for row in rows]})
    else:
        show_table(head, rows, none="there are no targets")


@app.command()
def roots(folder: FolderArgument, *, as_json: JsonOption = False) -> None:
    """List the roots that are published, with the digests by which people compare what a device has pinned."""
    found = Repository(folder).roots()
    if as_json:
        write_json({"roots": [asdict(one) for one in found]})
        return
    rows = [(one.version, one.digest, time_text(one.expires_at_s)[:10]) for one in found]
    show_table(("root", "digest", "until"), rows, none="no root is published: have it signed, then publish it")


@app.command()
def review(folder: FolderArgument, *, as_json: JsonOption = False) -> None:
    """Show what waits for signatures, in sentences: to be read before it is signed."""
    contents = Repository(folder).contents()
    sentences = {
        role: said(role, contents.prepared[role], contents.published.get(role))
        for role in contents.roles
        if role in contents.prepared
    }
    if as_json:
        write_json({"roles": sentences})
    else:
        typer.echo("\n".join(printable(line) for lines in sentences.values() for line in lines) or "nothing waits")


@app.command()
def sign(
    folder: FolderArgument, *, key: KeyOption, passphrase_file: PassphraseOption = None, as_json: JsonOption = False
) -> None:
    """Add one holder's signatures to all that waits for them."""
    there = Repository(folder)
    there.contents()  # whoever names the wrong folder need not type a passphrase first
    signed = there.sign(opened(key, passphrase_file), unix_s())
    if as_json:
        write_json({"signed": list(signed)})
        return
    typer.echo(f"signed: {', '.join(signed)}" if signed else "nothing waits for this key")
    _say_next(there, folder)


@app.command()
def request(folder: FolderArgument, *, output: OutputOption, as_json: JsonOption = False) -> None:
    """Write all that waits into one file, for holders whose keys never meet a network."""
    there = Repository(folder)
    write_new(output, there.request())
    if as_json:
        write_json({"request": str(output), "roles": list(there.contents().prepared)})
    else:
        typer.echo(f"carry {output} to the holders; there: homebred-fleet keys sign {output.name} --key FILE -o ANSWER")


@app.command()
def answer(
    folder: FolderArgument,
    file: Annotated[Path, typer.Argument(metavar="ANSWER", help="What `keys sign` wrote.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Take the signatures that a holder has brought back; each is verified first."""
    there = Repository(folder)
    taken = there.answer(body_of(file, max_bytes=MAX_BYTES), unix_s())
    if as_json:
        write_json({"signed": [role for role, _ in taken]})
        return
    typer.echo(f"signed: {', '.join(role for role, _ in taken)}")
    _say_next(there, folder)


@app.command()
def publish(folder: FolderArgument, *, as_json: JsonOption = False) -> None:
    """Serve all that waits from now on, once nobody's signature is missing."""
    there = Repository(folder)
    stale = [f"{one.role}: {one.what}" for one in there.publish(unix_s())]
    if as_json:
        write_json({"published": str(there.published), "stale": stale})
        return
    typer.echo(f"published: {there.published}")
    for line in stale:
        typer.echo(f"as old as before: {line}")


@app.command()
def check(folder: FolderArgument, *, as_json: JsonOption = False) -> None:
    """Look at what is served as a device does; exit status 1 where one would refuse it."""
    found = Repository(folder).check(unix_s())
    if as_json:
        problems = [{"role": one.role, "what": one.what, "expired": one.expired} for one in found.problems]
        write_json({"roots": found.roots, "targets": found.targets, "problems": problems})
    else:
        for one in found.problems:
            typer.echo(printable(f"{one.role}: {one.what}"))
        typer.echo(f"{found.roots} roots, {found.targets} targets, {len(found.problems)} problems")
    if found.problems:
        raise typer.Exit(Exit.NEGATIVE)


@app.command()
def discard(folder: FolderArgument, *, as_json: JsonOption = False) -> None:
    """Give up all that waits: what is published stays as it is."""
    Repository(folder).discard()
    if as_json:
        write_json({"discarded": True})
    else:
        typer.echo("nothing waits any more")


def show_status(there: Repository, folder: Path, *, as_json: bool) -> list[RoleStanding]:
    """Shows how each role stands."""
    now_s = unix_s()
    standings = there.standings(now_s)
    if as_json:
        write_json({"repository": there.contents().purpose, "roles": [_document(one) for one in standings]})
        return standings
    rows = [
        (one.role, one.published or "-", one.prepared or "-", _ends(one, now_s), _signed(one), _needs(one))
        for one in standings
    ]
    show_table(("role", "published", "waits", "until", "signed by", "needs"), rows, none="there are no roles")
    _say_next(there, folder)
    return standings


def _say_next(there: Repository, folder: Path) -> None:
    standings = there.standings(unix_s())
    waiting = [one for one in standings if one.prepared]
    if waiting and all(one.is_complete for one in waiting):
        typer.echo(f"next: homebred-fleet repository publish {folder}")
    elif waiting:
        say_review(folder)
    elif any(one.freshness is not Freshness.GOOD for one in standings):
        typer.echo(f"next: homebred-fleet repository renew {folder}")


def _ends(one: RoleStanding, now_s: int) -> str:
    day = time_text(one.expires_at_s)[:10]
    left = span(abs(one.expires_at_s - now_s))
    match one.freshness:
        case Freshness.EXPIRED:
            return f"{day} EXPIRED {left} ago"
        case Freshness.URGENT:
            return f"{day} ONLY {left} LEFT"
        case Freshness.ENDING:
            return f"{day}, {left} left"
        case Freshness.GOOD:
            return day


def _signed(one: RoleStanding) -> str:
    everybody = {holder.key_id: holder for quorum in one.quorums for holder in quorum.holders}
    return ", ".join(holder.name for key_id, holder in everybody.items() if key_id in one.signed)


def _needs(one: RoleStanding) -> str:
    said = [
        f"{quorum.missing(one.signed)} of {', '.join(holder.text for holder in quorum.waiting(one.signed))}"
        for quorum in one.quorums
        if quorum.missing(one.signed)
    ]
    return " and ".join(dict.fromkeys(said))


def _document(one: RoleStanding) -> dict[str, Any]:
    return {
        "role": one.role,
        "published": one.published,
        "prepared": one.prepared,
        "expires_at_s": one.expires_at_s,
        "freshness": one.freshness,
        "signed": sorted(one.signed),
        "complete": one.is_complete,
        "quorums": [
            {
                "threshold": quorum.threshold,
                "missing": quorum.missing(one.signed),
                "holders": [{"key_id": holder.key_id, "name": holder.name} for holder in quorum.holders],
            }
            for quorum in one.quorums
        ],
    }
