"""`homebred fleet receipts export`: what became of releases here, signed, in a file that anybody may carry away.

It needs no daemon and no network, and forgets nothing: each export has all that is kept, and the controller counts each
receipt once.
"""

from __future__ import annotations

import os
from contextlib import closing, suppress
from pathlib import Path
from typing import Annotated

import typer

from homebred_daemon.cli.exits import write_json
from homebred_daemon.cli.installs import INSTALLS_NAME
from homebred_daemon.errors import RequestError

app = typer.Typer(help="Carry to the fleet what became of releases here.")


@app.callback()
def receipts() -> None:
    """Carry to the fleet what became of releases here."""


@app.command()
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File to make; one that is there stays as it is.")],
    *,
    config: Annotated[Path | None, typer.Option("--config", help="Configuration file.")] = None,
    state_dir: Annotated[str | None, typer.Option("--state-dir", help="The state folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Write all receipts that are kept here, of installs and refusals, signed with this device's key, one a line."""
    from homebred_daemon.config import load  # noqa: PLC0415  # pydantic, not for `--help`

    flags = {} if state_dir is None else {"--state-dir": state_dir}
    lines = _lines(load(config, flags, os.environ).paths.state_dir)
    _write_new(file, b"".join(line + b"\n" for line in lines))
    if as_json:
        write_json({"file": str(file), "receipts": len(lines)})
        return
    typer.echo(f"{file}: {len(lines)} receipts" if len(lines) != 1 else f"{file}: 1 receipt")
    typer.echo("next: on an administrator's machine, homebred-fleet receipts import FILE")


def _lines(folder: Path) -> list[bytes]:
    """The oldest first."""
    from homebred_daemon.adapters.identity_files import IdentityFiles  # noqa: PLC0415  # with ssl
    from homebred_daemon.adapters.receipt_signing import ReceiptSigning  # noqa: PLC0415
    from homebred_daemon.adapters.store.installs import SqliteInstallStore  # noqa: PLC0415  # sqlite

    identities = IdentityFiles(folder, os.environ)
    if identities.current() is None:
        raise RequestError("this device is in no fleet that would read a receipt", hint="homebred enroll URL")
    if not (folder / INSTALLS_NAME).is_file():
        return []
    signing = ReceiptSigning(identities)
    with closing(SqliteInstallStore(folder / INSTALLS_NAME, read_only=True)) as installs:
        kept = [(step, install) for install in installs.history() for step in installs.steps(install)]
        refusals = installs.declined()
    signed = (signing.signed(install, step) for step, install in sorted(kept, key=lambda one: one[0].seq))
    return [line for line in signed if line] + [signing.signed_refusal(one) for one in refusals]


def _write_new(path: Path, body: bytes) -> None:
    """Whole and on the disk, or not there: a stick is pulled as soon as this has ended."""
    from homebred_daemon.adapters.durable_files import flush_file, flush_folder  # noqa: PLC0415

    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644), "wb") as file:
            try:
                file.write(body)
                flush_file(file)
            except BaseException:
                with suppress(OSError):
                    path.unlink()
                raise
        flush_folder(path.parent)
    except OSError as error:
        raise RequestError(
            f"{path} cannot be written: {error.strerror}", hint="name a file that is not there, with room on its disk"
        ) from error
