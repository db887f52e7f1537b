"""Measures redaction on public data sets, beside stock Presidio: `python -m tests.bench.redaction`.

HOMEBRED_BENCH_DATA names the folder of the sets (`redaction_sets` says what is in it); without it nothing is measured.
Rules were written while looking at the tuning half of the templates; the figures that count are those of the half
held out, and those of the other sets.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import quantiles

from tests.bench.redaction_scores import CharacterScore, Extent, SurvivalScore
from tests.bench.redaction_sets import VARIABLE, Labelled, data_folder, negatives, prompts, synthetic_texts
from tests.bench.stock_presidio import stock_presidio

from homebred_daemon.adapters.detectors import ner
from homebred_daemon.adapters.detectors.for_lanes import cloud_detector
from homebred_daemon.adapters.detectors.patterns import default_detector
from homebred_daemon.core.sensitivity import Detector

Finder = Callable[[str], list[Extent]]
_TIMED_CHARACTERS = 1000


def main(arguments: Sequence[str]) -> int:
    """Prints the table; the exit status is 0 also where there is nothing to measure."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.redaction", description="Measures redaction.")
    parser.add_argument("--tune", action="store_true", help="the tuning half alone, and what shows there, type by type")
    tuning = parser.parse_args(arguments).tune
    folder = data_folder()
    if folder is None:
        print(f"skipped: {VARIABLE} names no folder with the data sets (see tests/bench/redaction_sets.py)")
        return 0
    finders = _finders(with_presidio=not tuning)
    _print_synthetic(folder, finders, tuning=tuning)
    if not tuning:
        _print_prompts(folder, finders)
        _print_negatives(folder, finders)
    return 0


def _finders(*, with_presidio: bool) -> dict[str, Finder]:
    finders: dict[str, Finder] = {
        "local lane": _extents_by(default_detector()),
        "cloud lane, lists alone": _extents_by(cloud_detector(default_detector())),
    }
    if ner.is_installed():
        finders["cloud lane, with NER"] = _extents_by(cloud_detector(default_detector(), ner.NerDetector()))
    else:
        print("the extra `ner` is not installed: no figures of the cloud lane with it\n")
    if with_presidio:
        stock = stock_presidio()
        if stock is None:
            print("presidio-analyzer or its model is not installed: no figures of it\n")
        else:
            finders["stock Presidio"] = stock
    return finders


def _extents_by(detector: Detector) -> Finder:
    return lambda text: [(span.start, span.end) for span in detector.detect(text)]


def _print_synthetic(folder: Path, finders: Mapping[str, Finder], *, tuning: bool) -> None:
    print("| presidio-research v2 | half | recall | precision | F2 | documents leaking |\n|---|---|---|---|---|---|")
    for held_out in (False,) if tuning else (True, False):
        texts = synthetic_texts(folder, held_out=held_out)
        for name, find in finders.items():
            score = _scored(texts, find)
            half = "held out" if held_out else "tuning"
            print(
                f"| {name} | {half} ({score.documents}) | {score.recall:.3f} | {score.precision:.3f} | {score.f2:.3f}"
                f" | {score.leaking_share:.1%} |"
            )
            if tuning:
                print(
                    *(f"  {kind}: {shown} of {all_} show" for kind, (all_, shown) in score.entities.items()), sep="\n"
                )


def _scored(texts: Sequence[Labelled], find: Finder) -> CharacterScore:
    score = CharacterScore()
    for one in texts:
        score.add(one.text, one.entities, one.ignored, find(one.text))
    return score


def _print_prompts(folder: Path, finders: Mapping[str, Finder]) -> None:
    print("\n| PUPA New | units surviving | prompts leaking | text masked | ms per 1,000 characters, p50 / p95 |")
    print("|---|---|---|---|---|")
    for name, find in finders.items():
        score = SurvivalScore()
        taken_ms: list[float] = []
        for prompt in prompts(folder):
            piece = prompt.text[:_TIMED_CHARACTERS]
            started_s = time.perf_counter()
            find(piece)
            if len(piece) == _TIMED_CHARACTERS:
                taken_ms.append((time.perf_counter() - started_s) * 1000)
            score.add(prompt.text, prompt.units, find(prompt.text))
        cuts = quantiles(taken_ms, n=20)
        print(
            f"| {name} | {score.surviving_share:.1%} of {score.units} | {score.leaking_share:.1%}"
            f" | {score.masked_share:.1%} | {cuts[9]:.1f} / {cuts[18]:.1f} |"
        )


def _print_negatives(folder: Path, finders: Mapping[str, Finder]) -> None:
    print("\n| datafog negatives | with a finding | which |\n|---|---|---|")
    cases = negatives(folder)
    for name, find in finders.items():
        flagged = [case for case, text in cases if find(text)]
        print(f"| {name} | {len(flagged)} of {len(cases)} | {', '.join(flagged)} |")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
