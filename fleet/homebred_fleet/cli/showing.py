"""How answers are shown to people: tables, times, digests. What a device wrote cannot steer the terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import typer

from homebred_fleet.core.durations import span

PIPED_WIDTH: Final = 10_000
"""Where nobody looks, nothing is cut off."""
SHORT_DIGEST: Final = 12

_DECIMALS_FROM = 1_000


def show_table(head: Sequence[str], rows: Sequence[Sequence[Any]], *, none: str) -> None:
    """A table on standard output; where there are no rows, a sentence."""
    if not rows:
        typer.echo(none)
        return
    from rich.console import Console  # noqa: PLC0415  # rich costs a tenth of a second: only where a table is shown
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for name in head:
        table.add_column(name, no_wrap=True)
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    Console(width=None if sys.stdout.isatty() else PIPED_WIDTH, highlight=False).print(table)


def show_fields(fields: Mapping[str, Any]) -> None:
    """A line for each that says something."""
    said = {name: printable(value) for name, value in fields.items() if value not in {None, ""}}
    width = max(map(len, said), default=0)
    for name, value in said.items():
        typer.echo(f"{name:<{width}}  {value}")


def printable(value: object) -> str:
    """Text without what could steer a terminal."""
    text = "" if value is None else str(value)
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


def time_text(at_s: int | None) -> str:
    """A time in UTC, to the second."""
    if at_s is None:
        return ""
    try:
        return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):  # a device's clock may say anything
        return str(at_s)


def ago(at_s: int | None, now_s: int) -> str:
    """How long ago, as people say it."""
    if at_s is None:
        return "never"
    return f"{span(now_s - at_s)} ago" if at_s <= now_s else f"in {span(at_s - now_s)}"


def labels_text(labels: Mapping[str, str]) -> str:
    """`role=kiosk ward=2`."""
    return " ".join(f"{key}={value}" for key, value in sorted(labels.items()))


def size_text(length: int) -> str:
    """A length as people say it."""
    size, unit = float(length), "bytes"
    for bigger in ("kB", "MB", "GB", "TB"):
        if size < _DECIMALS_FROM:
            break
        size, unit = size / 1_000, bigger
    return f"{length} bytes" if unit == "bytes" else f"{size:.1f} {unit}"


def short(digest: str) -> str:
    """The first letters of a digest, as filters take them."""
    return digest.removeprefix("sha256:")[:SHORT_DIGEST]
