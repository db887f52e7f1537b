"""How the story looks on a terminal; with `--json` it goes to standard error, and standard output stays clean."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

WIDTH = 110
"""Columns where the output is no terminal."""
SHOWN_CHARACTERS = 220


class Screen:
    """Chapters, tasks, streamed answers and tables."""

    def __init__(self, *, to_stderr: bool) -> None:
        console = Console(stderr=to_stderr, highlight=False)
        self._console = console if console.is_terminal else Console(stderr=to_stderr, highlight=False, width=WIDTH)

    def chapter(self, title: str) -> None:
        """A new chapter."""
        self._console.print()
        self._console.rule(f"[bold]{escape(title)}", align="left")

    def say(self, text: str) -> None:
        """A sentence for the audience."""
        self._console.print(escape(text))

    def task(self, headline: str, story: str, text: str) -> None:
        """Who asks what."""
        self._console.print()
        self._console.print(f"[bold]{escape(headline)}")
        self._console.print(f"  {escape(story)}", style="italic")
        self._console.print(f"  task      {escape(textwrap.shorten(text, SHOWN_CHARACTERS))}", style="cyan")

    def fact(self, label: str, text: str) -> None:
        """One labelled line of a task."""
        self._console.print(f"  {label:<9} {escape(text)}")

    def begin_answer(self) -> None:
        """The answer follows, piece by piece."""
        self._console.print("  answer    ", end="")

    def piece(self, text: str) -> None:
        """A piece of the answer, as it comes."""
        self._console.print(escape(text), end="", style="green", soft_wrap=True)

    def end_answer(self) -> None:
        """The answer is complete."""
        self._console.print()

    def side_by_side(self, left: tuple[str, str], right: tuple[str, str]) -> None:
        """Two texts beside each other, each under its title."""
        table = Table(left[0], right[0], box=None, padding=(0, 2), title_style="bold")
        table.add_row(escape(left[1]), escape(right[1]))
        self._console.print(table)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table of figures."""
        table = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2))
        for column in columns:
            table.add_column(column, no_wrap=True)
        for row in rows:
            table.add_row(*(escape(cell) for cell in row))
        self._console.print()
        self._console.print(table)

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """Bars for long work."""
        columns = (TextColumn("  {task.description:<24}"), BarColumn(30), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._console) as bars:
            yield bars
