"""Measures what figures cost: a piece of an answer on its way through, counted or not, and one reading of them all."""

from __future__ import annotations

import time
from collections.abc import Mapping
from statistics import median

from tests.bench.figures import Aim, Bench, Conditions, Found

from homebred_daemon.core.exposition import exposition
from homebred_daemon.core.measures import (
    FIRST_TOKEN_SECONDS,
    INTER_TOKEN_SECONDS,
    MOST_WORDS,
    TOKENS,
    Given,
)
from homebred_daemon.ports.measures import UNMEASURED, Measures
from homebred_daemon.services.asking import Collected
from homebred_daemon.services.tallying import Tally
from homebred_engines import api

PIECE = "metrics.piece"
READING = "metrics.reading"
PIECES = 50_000
SPECIALISTS = [f"specialist-{number:02}" for number in range(MOST_WORDS)]


def _measure(conditions: Conditions) -> Mapping[str, Found]:
    rounds = conditions.rounds(21, 5)
    counted, plain, read, text = [], [], [], ""
    for _ in range(rounds):
        tally = _full_tally()
        counted.append(_us_a_piece(tally))
        plain.append(_us_a_piece(UNMEASURED))
        started_s = time.thread_time()
        text = exposition(tally.series())
        read.append((time.thread_time() - started_s) * 1000)
    how = f"processor time; median of {rounds} rounds"
    return {
        PIECE: Found(value=median(counted), reference=median(plain), note=f"of {PIECES:,} pieces; {how}"),
        READING: Found(value=median(read), note=f"{len(text):,} characters for {MOST_WORDS} specialists; {how}"),
    }


def _full_tally() -> Tally:
    tally = Tally()
    tally.know(Given.SPECIALIST, lambda: SPECIALISTS)
    for name in SPECIALISTS:
        tally.observer(FIRST_TOKEN_SECONDS, name)(0.1)
        tally.observer(INTER_TOKEN_SECONDS, name)(0.1)
        tally.count(TOKENS, name, "out")
    return tally


def _us_a_piece(measures: Measures) -> float:
    """Taking in one piece of an answer, its text and its time, microseconds."""
    piece = api.Delta(text="word ", tokens=1)
    collected = Collected(
        0.0,
        first=measures.observer(FIRST_TOKEN_SECONDS, SPECIALISTS[0]),
        between=measures.observer(INTER_TOKEN_SECONDS, SPECIALISTS[0]),
    )
    started_s = time.thread_time()
    for number in range(PIECES):
        collected.add(piece, number * 0.01)
    return (time.thread_time() - started_s) / PIECES * 1e6


FIGURES = Bench(
    name="metrics",
    aims=(Aim(name=PIECE, unit="µs", target=5.0), Aim(name=READING, unit="ms")),
    run=_measure,
)
