"""The product with a model, and the same engine alone: both loaded at once, asked in turn, never at the same time."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from tests.bench.daemons import CONTEXT_TOKENS, Home, RunningDaemon, public_task, running_daemon, temporary_home
from tests.bench.generations import Generation, Round, ask_together
from tests.bench.raw_engine import RawEngine, raw_engine

from homebred_protocol.client import Client, Control, Status, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A daemon whose worker has the model loaded, and a client on its socket."""

    daemon: RunningDaemon
    client: Client
    pool: ThreadPoolExecutor
    worker_pid: int
    threads: int
    """The worker's compute threads, as the product chose them."""
    slots: int

    def ask_together(self, prompts: Sequence[str], max_tokens: int) -> Round:
        """One round, timed at the client."""
        return ask_together(
            self.pool,
            lambda prompt, limit: generation(self.client, public_task(prompt, max_tokens=limit)),
            prompts,
            max_tokens,
        )


@contextmanager
def loaded_product(
    home: Home,
    model: Path,
    *,
    command: Sequence[str] = (),
    variables: Mapping[str, str] = MappingProxyType({}),
    context_tokens: int = CONTEXT_TOKENS,
) -> Iterator[Product]:
    """The product serving the model as a generalist."""
    home.keep_generalist("llamacpp", model, context_tokens=context_tokens)
    with ExitStack() as stack:
        daemon = stack.enter_context(running_daemon(home, command=command, variables=variables))
        client = stack.enter_context(Client(daemon.socket))
        control = stack.enter_context(Control(daemon.socket))
        generation(client, public_task("Say hello.", max_tokens=4))
        (worker,) = control.status().workers
        yield Product(
            daemon=daemon,
            client=client,
            pool=stack.enter_context(ThreadPoolExecutor(worker.slots)),
            worker_pid=worker.process_id,
            threads=worker.threads,
            slots=worker.slots,
        )


@contextmanager
def side_by_side(model: Path) -> Iterator[tuple[Product, dict[int, RawEngine]]]:
    """The product, and the engine alone by its number of threads: the product's own, one, and all cores."""
    with ExitStack() as stack:
        product = stack.enter_context(loaded_product(stack.enter_context(temporary_home()), model))
        all_cores = len(os.sched_getaffinity(0))
        raw = {
            threads: stack.enter_context(
                raw_engine(model, threads=threads, slots=product.slots, context_tokens=CONTEXT_TOKENS)
            )
            for threads in sorted({1, product.threads, all_cores})
        }
        yield product, raw


def generation(client: Client, task: Task) -> Generation:
    """One answer through the daemon.

    Raises:
        RuntimeError: the task was not answered here.
    """
    started_s = time.perf_counter()
    first_s = 0.0
    with client.stream(task) as events:
        for event in events:
            if not first_s and isinstance(event, str):
                first_s = time.perf_counter() - started_s
        outcome = events.answer().outcome
    if outcome.status is not Status.ANSWER:
        raise RuntimeError(f"the daemon did not answer: {outcome}")
    return Generation(
        first_s=first_s,
        completion_tokens=outcome.completion_tokens,
        prompt_tokens=outcome.prompt_tokens,
        cached_tokens=outcome.cached_tokens,
    )
