"""Measures what many specialists on one base cost: swapping an adapter in, waking a cold one, mixing several."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from tests.bench.daemons import Home, public_task, running_daemon, temporary_home
from tests.bench.figures import Aim, Bench, Conditions, Found
from tests.bench.generations import MAX_TOKENS, STORIES, Generation, Round, ask_together
from tests.bench.side_by_side import generation
from tests.bench.specialists_on_one_base import RANK, keep_adapted

from homebred_protocol.client import Client, Control

NAMES = ("a", "b", "c", "d")
MOST_S = 90.0
PATIENCE_S = 60.0
_POLL_S = 0.005
_SETTLE_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class _House:
    """A daemon whose specialists share a base."""

    home: Home
    base: Path
    control: Control
    client: Client
    threads: ThreadPoolExecutor

    def ask(self, name: str, prompt: str, max_tokens: int) -> Generation:
        """One answer of the specialist of that name."""
        task = replace(public_task(prompt, max_tokens=max_tokens), workflow=name)
        return generation(self.client, task)

    def ask_together(self, names: Sequence[str], max_tokens: int) -> Round:
        """Each a story of its own."""
        of_prompt = dict(zip(STORIES, names, strict=False))
        return ask_together(
            self.threads, lambda prompt, limit: self.ask(of_prompt[prompt], prompt, limit), list(of_prompt), max_tokens
        )

    def adapters(self) -> set[str]:
        """Digests of those that are served."""
        return {digest for worker in self.control.status().workers for digest in worker.adapters}


@contextmanager
def _house(conditions: Conditions) -> Iterator[_House]:
    with ExitStack() as stack:
        home = stack.enter_context(temporary_home())
        keep_adapted(home, conditions.model, NAMES)
        daemon = stack.enter_context(running_daemon(home))
        yield _House(
            home=home,
            base=conditions.model,
            control=stack.enter_context(Control(daemon.socket)),
            client=stack.enter_context(Client(daemon.socket)),
            threads=stack.enter_context(ThreadPoolExecutor(len(NAMES))),
        )


def _swap(conditions: Conditions) -> Mapping[str, Found]:
    with _house(conditions) as house:
        house.ask("a", STORIES[0], 2)
        idle_s = [_swapped_in_s(house, f"idle-{number}") for number in range(conditions.rounds(7, 2))]
        with _streaming(house) as answers:
            busy_s = [_swapped_in_s(house, f"busy-{number}") for number in range(conditions.rounds(7, 2))]
    note = (
        f"from ReloadModels with one more specialist in the store until its adapter (rank {RANK}, every linear layer)"
        f" is served; median of {len(idle_s)}, worst {max(idle_s):.2f} s; reference: the same while {len(NAMES)}"
        f" streams ran, worst {max(busy_s):.2f} s: {sum(answers.values())} answers came meanwhile, none was dropped"
    )
    return {"adapters.swap_s": Found(value=median(idle_s), reference=median(busy_s), note=note)}


def _swapped_in_s(house: _House, name: str) -> float:
    keep_adapted(house.home, house.base, [name])
    before = house.adapters()
    started_s = time.perf_counter()
    house.control.reload_models()
    while not house.adapters() - before:
        if time.perf_counter() - started_s > PATIENCE_S:
            raise RuntimeError(f"the adapter of {name} was never served")
        time.sleep(_POLL_S)
    took_s = time.perf_counter() - started_s
    house.home.drop(name)  # the next one takes its place, so that there is always room for it
    return took_s


@contextmanager
def _streaming(house: _House) -> Iterator[Mapping[str, int]]:
    """A stream after the other on each of the specialists; the number of answers. One that is dropped raises."""
    over, answers = threading.Event(), dict.fromkeys(NAMES, 0)

    def keep_asking(name: str) -> None:
        while not over.is_set():
            house.ask(name, STORIES[NAMES.index(name)], MAX_TOKENS)
            answers[name] += 1

    streams = [house.threads.submit(keep_asking, name) for name in NAMES]
    try:
        yield answers
    finally:
        over.set()
    for stream in streams:
        stream.result()


def _cold(conditions: Conditions) -> Mapping[str, Found]:
    rounds = conditions.rounds(9, 2)
    cold_s, warm_s = [], []
    with _house(conditions) as house:
        for number in conditions.paced(rounds, at_most_s=MOST_S):
            house.control.unload_model("a")
            cold_s.append(house.ask("a", f"Say hello to {number}.", 2).first_s)
            warm_s.append(house.ask("a", f"Say good-bye to {number}.", 2).first_s)
    note = (
        f"from asking to the first text of a specialist whose base is not loaded: a worker started, base and"
        f" {len(NAMES)} adapters loaded, a short prompt read; median of {len(cold_s)}, worst {max(cold_s):.2f} s;"
        " reference: the same once it is loaded"
    )
    return {"adapters.cold_s": Found(value=median(cold_s), reference=median(warm_s), note=note)}


def _mixed(conditions: Conditions) -> Mapping[str, Found]:
    sides: dict[str, list[Round]] = {"mixed": [], "one": []}
    wanted = {"mixed": NAMES, "one": NAMES[:1] * len(NAMES)}
    with _house(conditions) as house:
        for names in wanted.values():
            house.ask_together(names, 1)  # every prompt is in its prefix cache
        for number in conditions.paced(conditions.rounds(13, 2), at_most_s=MOST_S):
            for side in sorted(sides, reverse=bool(number % 2)):
                time.sleep(_SETTLE_S)
                sides[side].append(house.ask_together(wanted[side], conditions.rounds(MAX_TOKENS, 48)))
    ratios = [mixed.tokens_per_s / one.tokens_per_s for mixed, one in zip(sides["mixed"], sides["one"], strict=True)]
    speeds = {side: median(each.tokens_per_s for each in rounds) for side, rounds in sides.items()}
    note = (
        f"{len(NAMES)} streams together, each with an adapter of its own ({speeds['mixed']:.1f} tokens/s) and all with"
        f" the same ({speeds['one']:.1f}); median of the ratios of {len(ratios)} rounds in turn"
    )
    return {"adapters.mixed_ratio": Found(value=median(ratios), note=note)}


ADAPTER_SWAP = Bench(name="adapters.swap", aims=(Aim(name="adapters.swap_s", unit="s", target=0.7),), run=_swap)
COLD_SPECIALIST = Bench(name="adapters.cold", aims=(Aim(name="adapters.cold_s", unit="s", target=1.0),), run=_cold)
MIXED_ADAPTERS = Bench(
    name="adapters.mixed",
    aims=(Aim(name="adapters.mixed_ratio", unit="ratio", better="higher", target=0.95),),
    run=_mixed,
)
