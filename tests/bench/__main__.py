"""Runs the benches: `python -m tests.bench --model PATH [--only NAME…] [--quick] [--profile tokens]`.

Each figure goes to bench.jsonl at the root as soon as it is there; a bench that cannot run says so in its note. The
exit status is 0 where every figure was measured, met or missed, and 1 where one could not be.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tests.bench.adapters import ADAPTER_SWAP, COLD_SPECIALIST, MIXED_ADAPTERS
from tests.bench.crowded_slots import BEHIND_LONG_PREFILL, SLOT_FREE
from tests.bench.decisions import KNOWN_WORKFLOW, LEDGER_COMMIT
from tests.bench.detection import DETECT
from tests.bench.figures import Aim, Bench, Conditions, Found, line
from tests.bench.first_token import FIRST_TOKEN
from tests.bench.gateway import OVER_HTTP
from tests.bench.ingest import INGEST
from tests.bench.measuring import FIGURES
from tests.bench.processor_time import ForeignLoad
from tests.bench.releases import RELEASE
from tests.bench.round_trips import ROUTE, STREAM
from tests.bench.starts import CLI_START, IDLE_MEMORY, READY
from tests.bench.table import head, machine, notes, row
from tests.bench.throughput import TOKENS_PER_S
from tests.bench.token_profile import print_token_profile
from tests.bench.transfer import TRANSFER

ROOT = Path(__file__).resolve().parents[2]
BENCHES: tuple[Bench, ...] = (
    KNOWN_WORKFLOW,
    LEDGER_COMMIT,
    DETECT,
    FIGURES,
    IDLE_MEMORY,
    READY,
    CLI_START,
    ROUTE,
    STREAM,
    FIRST_TOKEN,
    BEHIND_LONG_PREFILL,
    SLOT_FREE,
    TOKENS_PER_S,
    OVER_HTTP,
    ADAPTER_SWAP,
    COLD_SPECIALIST,
    MIXED_ADAPTERS,
    INGEST,
    RELEASE,
    TRANSFER,
)


def main(arguments: Sequence[str]) -> int:
    """Runs what is asked for; the exit status."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: with every process ended
    asked = _parsed(arguments)
    conditions = Conditions(model=asked.model.resolve(), quick=asked.quick)
    if asked.profile:
        print_token_profile(conditions)
        return 0
    chosen = _chosen(asked.only)
    print(f"{machine()}\n\n{head()}")
    is_complete = True
    with (ROOT / "bench.jsonl").open("w", encoding="utf-8") as lines:
        for bench in chosen:
            figures = _figures(bench, conditions)
            is_complete &= all(found.value is not None for _, found in figures)
            print(*(row(aim, found) for aim, found in figures), notes(figures), sep="\n", flush=True)
            for aim, found in figures:
                lines.write(json.dumps(line(aim, found), ensure_ascii=False) + "\n")
            lines.flush()
    return 0 if is_complete else 1


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measures, side by side.")
    parser.add_argument("--model", type=Path, required=True, help="a GGUF file with a chat template")
    parser.add_argument("--only", nargs="+", metavar="NAME", default=[], help="benches whose names begin so")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: a minute, and rougher figures")
    parser.add_argument("--profile", choices=["tokens"], help="instead: where the processor time of a token goes")
    return parser.parse_args(arguments)


def _chosen(names: Sequence[str]) -> list[Bench]:
    chosen = [bench for bench in BENCHES if not names or bench.name.startswith(tuple(names))]
    if not chosen:
        sys.exit(f"no bench begins with {' or '.join(names)}; there are: {', '.join(bench.name for bench in BENCHES)}")
    return chosen


def _figures(bench: Bench, conditions: Conditions) -> list[tuple[Aim, Found]]:
    """Every figure of a bench, measured or not."""
    load = ForeignLoad()
    found: Mapping[str, Found]
    try:
        found, why = bench.run(conditions), "the bench did not measure it"
    except Exception as error:  # noqa: BLE001  # one bench that cannot run must neither hide nor stop the others
        found, why = {}, f"could not run: {type(error).__name__}: {error}"
    others = load.sentence()
    measured = [(aim, found.get(aim.name) or Found(value=None, note=why)) for aim in bench.aims]
    return [(aim, replace(one, note=f"{one.note}; {others}")) for aim, one in measured]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
