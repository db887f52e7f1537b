"""`homebred-fleet receipts`: what became of releases on devices, as each device has signed it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from homebred_fleet.cli.asking import DeviceOption, LimitOption, ProfileOption, asking
from homebred_fleet.cli.exits import Exit, write_json
from homebred_fleet.cli.options import JsonOption
from homebred_fleet.cli.showing import printable, show_table, time_text
from homebred_fleet.core.durations import counted
from homebred_fleet.errors import RequestError
from homebred_protocol.receipts import MAX_SIGNED_BYTES

app = typer.Typer(add_completion=False)
MAX_FILE_BYTES: Final = 64 * 1024 * 1024
MAX_BODY_BYTES: Final = 60_000
"""Of one request: the controller takes no longer one of an admin's."""
WHY: Final = {
    "receipt-malformed": "it is no receipt, or was cut short",
    "receipt-signature": "its signature does not hold: it was changed, or made up",
    "receipt-certificate": "this fleet has issued no such certificate",
    "receipt-device": "it speaks of another device than the one that signed it",
    "receipt-revoked": "the device's certificate was taken back; enrolled anew, it signs what it kept anew",
}
"""What each code says, for people."""


@app.callback()
def receipts() -> None:
    """See what became of releases on devices, as each device has signed it, and bring receipts that were carried."""


@app.command("list")
def list_(
    *,
    device: DeviceOption = "",
    specialist: Annotated[str, typer.Option("--specialist", help="One specialist, by its id.")] = "",
    limit: LimitOption = 100,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List receipts, the last that came first, each with what the gate measured."""
    pages = asking(profile).pages("receipts", "before", "receipts", limit=limit, device=device, specialist=specialist)
    found = list(pages)
    if as_json:
        write_json({"receipts": found})
        return
    show_receipts(found)


def show_receipts(found: list[dict[str, Any]]) -> None:
    """A line for each, and one below it for what was built there and what was measured."""
    head = ("device", "specialist", "release", "result", "code", "at", "came", "by")
    show_table(head, [_cells(one) for one in found], none="no device has told of an install")
    for one in found:
        facts = [f"{name}={value}" for name, value in sorted(one["facts"].items())]
        told = " ".join([f"built={one['built']}", *facts] if one["built"] else facts)
        if told:
            typer.echo(
                printable(f"{one['device']} {one['specialist']} {one['release_number']} {one['result']}: {told}")
            )


def _cells(one: dict[str, Any]) -> tuple[Any, ...]:
    times = (time_text(one["at_s"]), time_text(one["received_at_s"]))
    return (one["device"], one["specialist"], one["release_number"], one["result"], one["code"], *times, one["came_by"])


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `homebred fleet receipts export` wrote.")],
    *,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring receipts of a file to the controller, which counts each once; exit status 1 where it refuses one."""
    client = asking(profile)
    stored = known = 0
    refused: list[dict[str, Any]] = []
    for numbers, body in _requests(_lines(file)):
        found = client.upload("receipts", body=body)
        stored, known = stored + found["stored"], known + found["known"]
        refused += [{"line": numbers[one["place"]], "code": one["code"]} for one in found["refused"]]
    if as_json:
        write_json({"stored": stored, "known": known, "refused": refused})
    else:
        typer.echo(f"{counted(stored, 'receipt')} new, {known} known already, {len(refused)} refused")
        for one in refused:
            typer.echo(f"line {one['line']}: {one['code']}: {WHY.get(one['code'], 'see a newer version of homebred')}")
    if refused:
        raise typer.Exit(Exit.NEGATIVE)


def _lines(file: Path) -> list[bytes]:
    try:
        with file.open("rb") as opened:
            body = opened.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise RequestError(f"{file} cannot be read: {error.strerror}", hint="correct the path") from error
    if len(body) > MAX_FILE_BYTES:
        raise RequestError(f"{file} is larger than {MAX_FILE_BYTES:,} bytes", hint="it is no file of receipts")
    return body.split(b"\n")


def _requests(lines: list[bytes]) -> Iterator[tuple[list[int], bytes]]:
    """As many lines at once as the controller takes, with their numbers in the file; what is too long is cut short."""
    numbers: list[int] = []
    body = bytearray()
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        if len(body) + len(line) > MAX_BODY_BYTES and numbers:
            yield numbers, bytes(body)
            numbers, body = [], bytearray()
        numbers.append(number)
        body += line[: MAX_SIGNED_BYTES + 1] + b"\n"
    if numbers:
        yield numbers, bytes(body)
