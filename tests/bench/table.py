"""Figures as a table for people."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

from tests.bench.figures import Aim, Found, is_met

_WIDTH = 118
_NOTE_INDENT = " " * 4


def machine() -> str:
    """What the figures were measured on."""
    described = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    models = [entry.partition(":")[2].strip() for entry in described if entry.startswith("model name")]
    load = os.getloadavg()[0]
    return f"{models[0] if models else 'processor of unknown name'}, {os.cpu_count()} cores, load average {load:.1f}"


def head() -> str:
    """The table's first lines."""
    titles = f"{'figure':36} {'value':>10} {'unit':9} {'target':>9} {'ratio':>6}        {'reference':>10}"
    return f"{titles}\n{'-' * len(titles)}"


def row(aim: Aim, found: Found) -> str:
    """One figure; the ratio is value to target."""
    target = "" if aim.target is None else f"{aim.target:g}"
    reference = "" if found.reference is None else f"{found.reference:.4g}"
    value = ratio = ""
    verdict = "NO RUN"
    if found.value is not None:
        value, verdict = f"{found.value:.4g}", ""
        if aim.target is not None:
            ratio, verdict = f"{found.value / aim.target:.2f}", "MET" if is_met(aim, found.value) else "MISSED"
    return f"{aim.name:36} {value:>10} {aim.unit:9} {target:>9} {ratio:>6} {verdict:6} {reference:>10}".rstrip()


def notes(figures: list[tuple[Aim, Found]]) -> str:
    """How the figures above were measured, each note once."""
    each = dict.fromkeys(found.note for _, found in figures)
    return "\n".join(
        textwrap.fill(note, _WIDTH, initial_indent=_NOTE_INDENT, subsequent_indent=_NOTE_INDENT) for note in each
    )
