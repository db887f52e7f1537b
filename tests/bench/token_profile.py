"""Shows where the processor time of a token goes: by process and thread, then by function in daemon and worker.

It explains a miss of `tokens_per_s` or `first_token`, and measures nothing against a target. Threads are counted by the
kernel, so that a busy machine spoils little. Functions are timed by cProfile, which slows Python down and sees main
threads only: take their order from it, not their sum.
"""

from __future__ import annotations

import pstats
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.bench.daemons import CONTEXT_TOKENS, temporary_home
from tests.bench.figures import Conditions
from tests.bench.generations import MAX_TOKENS, STORIES
from tests.bench.processor_time import thread_seconds
from tests.bench.raw_engine import RawEngine, raw_engine
from tests.bench.side_by_side import Product, loaded_product

STREAMS = (1, 4)
_SHOWN_FUNCTIONS = 20
_CALLS_A_TOKEN = 0.5  # what is called more rarely is not the path of a token
_WAITING = "select.epoll"

Functions = dict[str, tuple[int, float]]
"""Calls and own seconds by function."""


def print_token_profile(conditions: Conditions) -> None:
    """Threads first, without a profiler; then functions."""
    with temporary_home() as home, loaded_product(home, conditions.model) as product:
        for streams in STREAMS:
            pids = {"daemon": product.daemon.pid, "worker": product.worker_pid}
            _print_threads("product", pids, product, streams, conditions)
        with raw_engine(
            conditions.model, threads=product.threads, slots=product.slots, context_tokens=CONTEXT_TOKENS
        ) as engine:
            for streams in STREAMS:
                _print_threads("engine alone", {"process": engine.pid}, engine, streams, conditions)
    _print_functions(conditions)


def _print_threads(
    title: str, pids: Mapping[str, int], side: Product | RawEngine, streams: int, conditions: Conditions
) -> None:
    _tokens(side, streams, rounds=1)
    before = {name: thread_seconds(pid) for name, pid in pids.items()}
    tokens = _tokens(side, streams, rounds=conditions.rounds(5, 2))
    print(f"\n{title}, {streams} stream(s), {tokens} tokens: µs of processor time a token, by thread")
    for name, pid in pids.items():
        spent_us = {
            thread: (seconds - before[name].get(thread, 0.0)) * 1e6 / tokens
            for thread, seconds in thread_seconds(pid).items()
        }
        print(f"  {name:10} {sum(spent_us.values()):8.0f}")
        for thread, each_us in sorted(spent_us.items(), key=lambda one: -one[1]):
            if round(each_us):
                print(f"      {thread:18} {each_us:8.0f}")


def _print_functions(conditions: Conditions) -> None:
    _, idle = _profiled(conditions, rounds=0)
    tokens, busy = _profiled(conditions, rounds=conditions.rounds(10, 3))
    for process, functions in busy.items():
        print(f"\n{process}, main thread under cProfile, 1 stream, {tokens} tokens: µs in the function itself a token")
        own = []
        for function, (calls, own_s) in functions.items():
            idle_calls, idle_s = idle[process].get(function, (0, 0.0))
            if calls - idle_calls >= tokens * _CALLS_A_TOKEN:
                own.append(((own_s - idle_s) * 1e6 / tokens, (calls - idle_calls) / tokens, function))
        for own_us, calls_a_token, function in sorted(own, reverse=True)[:_SHOWN_FUNCTIONS]:
            print(f"  {own_us:7.1f}  {calls_a_token:5.1f} calls  {function}")


def _profiled(conditions: Conditions, *, rounds: int) -> tuple[int, dict[str, Functions]]:
    """Tokens generated, and the functions of daemon and worker over their lives; with 0 rounds: start and end alone."""
    with temporary_home() as home:
        files = {process: home.folder / f"{process}.profile" for process in ("daemon", "worker")}
        interpreter = home.folder / "profiled-python"
        interpreter.write_text(f'#!/bin/sh\nexec {sys.executable} -m cProfile -o {files["worker"]} "$@"\n')
        interpreter.chmod(0o700)
        command = (sys.executable, "-m", "cProfile", "-o", str(files["daemon"]), "-m", "homebred_daemon")
        variables = {"HOMEBRED_ENGINE__PYTHON": str(interpreter)}
        with loaded_product(home, conditions.model, command=command, variables=variables) as product:
            tokens = _tokens(product, 1, rounds=rounds)
        return tokens, {process: _functions(file) for process, file in files.items()}


def _functions(file: Path) -> Functions:
    entries: Mapping[tuple[str, int, str], tuple[int, int, float, float, object]] = vars(pstats.Stats(str(file)))[
        "stats"
    ]
    return {
        f"{Path(path).name}:{line} {name}" if line else name: (calls, own_s)
        for (path, line, name), (_, calls, own_s, _, _) in entries.items()
        if _WAITING not in name
    }


def _tokens(side: Product | RawEngine, streams: int, *, rounds: int) -> int:
    answered = [side.ask_together(STORIES[:streams], MAX_TOKENS) for _ in range(rounds)]
    return sum(one.completion_tokens for each in answered for one in each.generations)
