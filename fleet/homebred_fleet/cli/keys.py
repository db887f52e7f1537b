"""`homebred-fleet keys`: keys that sign what may run, and signing with one where no network is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from homebred_fleet.adapters.tuf_repository.air_gap import MAX_BYTES, answer_to, read_request
from homebred_fleet.adapters.tuf_repository.keys import (
    holder_of,
    make_key,
    public_path,
    purpose_of_file,
    read_public,
)
from homebred_fleet.cli.asking import body_of
from homebred_fleet.cli.exits import write_json
from homebred_fleet.cli.options import JsonOption
from homebred_fleet.cli.showing import printable, show_fields
from homebred_fleet.cli.signing import KeyOption, OutputOption, PassphraseOption, opened, passphrase_of, write_new
from homebred_fleet.core.keyholders import Purpose
from homebred_fleet.errors import RequestError

app = typer.Typer(add_completion=False)
RequestArgument = Annotated[Path, typer.Argument(metavar="REQUEST", help="What `repository request` wrote.")]


@app.callback()
def keys() -> None:
    """Make keys that sign what may run, and sign with one where no network is."""


@app.command()
def make(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose key it is, such as anna.")],
    *,
    output: OutputOption,
    purpose: Annotated[
        Purpose, typer.Option("--for", help="What it signs: a key is good for one of them alone.")
    ] = Purpose.IMAGE,
    passphrase_file: PassphraseOption = None,
    unlocked: Annotated[
        bool, typer.Option("--unlocked", help="No passphrase; for the controller's online key alone.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a key: the private half in FILE, locked by a passphrase, the public one beside it in FILE.pub."""
    if unlocked and purpose is not Purpose.ONLINE:
        raise RequestError("only the controller's online key may be unlocked", hint="leave --unlocked out")
    ask = f"passphrase of {name}'s new key"
    passphrase = "" if unlocked else passphrase_of(passphrase_file, ask=ask, confirm=True)
    if not passphrase and not unlocked:
        raise RequestError("there is no passphrase", hint="write one into the first line of the file")
    holder = make_key(output, name, purpose, passphrase)
    beside = public_path(output)
    if as_json:
        write_json(
            {"name": name, "key_id": holder.key_id, "for": purpose, "private": str(output), "public": str(beside)}
        )
        return
    show_fields({"holder": name, "for": purpose, "key": holder.key_id, "private": output, "public": beside})
    typer.echo(f"\n{beside} is what you hand over; read its key aloud to whoever takes it.")
    typer.echo(f"{output} stays with you. Whoever loses it is replaced: nothing can bring it back.")


@app.command()
def show(
    file: Annotated[Path, typer.Argument(metavar="FILE.pub", help="A public key.")], *, as_json: JsonOption = False
) -> None:
    """Show whose a public key is, and its id to be compared."""
    purpose = purpose_of_file(file)
    holder = holder_of(read_public(file, purpose))
    if as_json:
        write_json({"name": holder.name, "key_id": holder.key_id, "for": purpose})
    else:
        show_fields({"holder": holder.name, "for": purpose, "key": holder.key_id})


@app.command()
def review(request: RequestArgument, *, as_json: JsonOption = False) -> None:
    """Show what a request asks to sign, and whom."""
    asked = read_request(body_of(request, max_bytes=MAX_BYTES))
    holders = {
        one
        for role in asked.contents.prepared
        for quorum in asked.contents.quorums(role)
        for one in quorum.waiting(asked.contents.signed(role))
    }
    sentences = {role: lines for one in holders for role, lines in asked.said_to(one.key_id)}
    names = sorted(one.text for one in holders)
    if as_json:
        write_json({"asked": names, "roles": sentences})
        return
    _show(sentences)
    typer.echo(f"\nasked: {', '.join(names) or 'nobody any more'}")


@app.command()
def sign(
    request: RequestArgument,
    *,
    key: KeyOption,
    output: OutputOption,
    passphrase_file: PassphraseOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask: it has been reviewed.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what a request asks of a key, sign it, and write the answer. It needs neither a network nor the folder."""
    asked = read_request(body_of(request, max_bytes=MAX_BYTES))
    signer = opened(key, passphrase_file)
    mine = dict(asked.said_to(signer.public_key.keyid))
    if not as_json:
        _show(mine)
    if mine and not yes:
        typer.confirm("\nsign this?", abort=True, err=True)
    write_new(output, answer_to(asked, signer))
    if as_json:
        write_json({"signed": list(mine), "answer": str(output)})
    else:
        typer.echo(f"\nsigned: {', '.join(mine)}\nnext: homebred-fleet repository answer FOLDER {output}")


def _show(sentences: dict[str, list[str]]) -> None:
    for lines in sentences.values():
        typer.echo("\n".join(map(printable, lines)))
