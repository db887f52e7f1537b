"""Reads the public data sets that redaction is measured on, from a folder that HOMEBRED_BENCH_DATA names.

The folder holds `presidio_research/synth_dataset_v2.json` (data-privacy-stack/presidio-research), `pupa/PUPA_New.csv`
(Columbia-NLP-Lab/PAPILLON) and `datafog/negative_cases.json` (DataFog/datafog-python). None of it is part of this
repository.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.bench.redaction_scores import Extent

VARIABLE = "HOMEBRED_BENCH_DATA"
IGNORED_TYPES = frozenset({"TITLE", "NRP"})  # "Mr" and "French" give nobody away
_PLACEHOLDER = "presidio_anonymized"  # was masked before the set was published


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A text with labelled extents."""

    text: str
    entities: tuple[tuple[str, Extent], ...]
    """(Type, extent) of what must not show."""
    ignored: tuple[Extent, ...]
    """What may show or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A text with the units in it that say something about somebody, in lower case."""

    text: str
    units: tuple[str, ...]


def data_folder(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Where the sets are; None where the variable is not set."""
    named = environment.get(VARIABLE)
    return Path(named) if named else None


def is_held_out(template: int) -> bool:
    """Whether a template is for reporting only: rules are never written after looking at its texts."""
    return hashlib.sha256(f"template {template}".encode()).digest()[0] % 2 == 1


def synthetic_texts(folder: Path, *, held_out: bool) -> list[Labelled]:
    """One half of the synthetic texts, by template."""
    records = json.loads((folder / "presidio_research" / "synth_dataset_v2.json").read_text("utf-8"))
    chosen = [record for record in records if is_held_out(record["template_id"]) == held_out]
    return [_labelled(record["full_text"], record["spans"]) for record in chosen]


def _labelled(text: str, spans: list[dict[str, object]]) -> Labelled:
    entities: list[tuple[str, Extent]] = []
    ignored: list[Extent] = []
    for span in spans:
        kind, extent = str(span["entity_type"]), (int(str(span["start_position"])), int(str(span["end_position"])))
        if kind in IGNORED_TYPES:
            ignored.append(extent)
        else:
            entities.append((kind, extent))
    return Labelled(text=text, entities=tuple(entities), ignored=tuple(ignored))


def prompts(folder: Path) -> list[Prompt]:
    """Real prompts, with the units that were not masked before."""
    with (folder / "pupa" / "PUPA_New.csv").open(encoding="utf-8", newline="") as file:
        return [Prompt(text=row["user_query"], units=_units(row["pii_units"])) for row in csv.DictReader(file)]


def _units(written: str) -> tuple[str, ...]:
    units = dict.fromkeys(unit.strip() for unit in written.split("||"))
    return tuple(unit for unit in units if unit and _PLACEHOLDER not in unit)


def negatives(folder: Path) -> list[tuple[str, str]]:
    """(Name, text) of texts without anything to mask."""
    cases = json.loads((folder / "datafog" / "negative_cases.json").read_text("utf-8"))
    return [(case["id"], case["input"]) for case in cases if not case["expected_entities"]]
