"""What the commands that sign have in common: their options, passphrases, files that carry requests and answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from homebred_fleet.adapters.durable_files import PUBLIC, create
from homebred_fleet.cli.asking import body_of
from homebred_fleet.core.keyholders import Purpose
from homebred_fleet.errors import ConflictError, RequestError

if TYPE_CHECKING:
    from homebred_fleet.adapters.tuf_repository.editing import Signing
    from homebred_fleet.adapters.tuf_repository.keys import SigningKey

FolderArgument = Annotated[Path, typer.Argument(metavar="FOLDER", help="The repository's folder.")]
KeyOption = Annotated[Path, typer.Option("--key", help="A holder's private key, as `keys make` wrote it.")]
PassphraseOption = Annotated[
    Path | None, typer.Option("--passphrase-file", help="File with the passphrase in its first line, not to be asked.")
]
OutputOption = Annotated[Path, typer.Option("-o", "--output", help="File to make; one that is there stays as it is.")]
ThresholdOption = Annotated[int, typer.Option("--threshold", min=1, help="How many of the keys must sign.")]
MAX_PASSPHRASE_BYTES: Final = 4096


def passphrase_of(file: Path | None, *, ask: str, confirm: bool = False) -> str:
    """A passphrase, from a file or a person. Raises RequestError: the file cannot be read."""
    if file is None:
        asked: str = typer.prompt(ask, hide_input=True, confirmation_prompt=confirm, err=True)
        return asked
    try:
        lines = body_of(file, max_bytes=MAX_PASSPHRASE_BYTES).decode().splitlines()
    except UnicodeDecodeError as error:
        raise RequestError(f"{file} is no text", hint="write the passphrase into its first line") from error
    return lines[0] if lines else ""


def opened(key: Path, passphrase_file: Path | None) -> SigningKey:
    """A private key, ready to sign. Raises FleetError."""
    from homebred_fleet.adapters.tuf_repository.keys import is_locked, open_key  # noqa: PLC0415  # dear to import

    needed = passphrase_file is not None or is_locked(key)
    return open_key(key, passphrase_of(passphrase_file, ask=f"passphrase of {key}") if needed else "")


def signing(files: list[Path] | None, purpose: Purpose, threshold: int = 1) -> Signing:
    """Who is to sign, by their public files. Raises FleetError."""
    from homebred_fleet.adapters.tuf_repository.editing import Signing  # noqa: PLC0415  # dear to import
    from homebred_fleet.adapters.tuf_repository.keys import read_public  # noqa: PLC0415

    return Signing(keys=tuple(read_public(file, purpose) for file in files or ()), threshold=threshold)


def say_review(folder: Path) -> None:
    """What holders do next."""
    typer.echo(f"next: homebred-fleet repository review {folder}")
    typer.echo(f"then: homebred-fleet repository sign {folder} --key FILE")


def write_new(path: Path, body: bytes) -> None:
    """Makes a file. Raises ConflictError: it is there; RequestError: it cannot be made."""
    try:
        made = create(path, body, mode=PUBLIC)
    except OSError as error:
        raise RequestError(f"{path} cannot be written: {error.strerror}", hint="name a folder that is there") from error
    if not made:
        raise ConflictError(f"{path} is there already", hint="name a file that is not there")
