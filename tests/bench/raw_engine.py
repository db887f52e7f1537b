"""The reference: the same engine library in a process of its own, asked in process, without worker, daemon or socket.

`python -m tests.bench.raw_engine MODEL THREADS SLOTS CONTEXT_TOKENS` reads rounds to run as JSON lines and answers
each. `RawEngine` is that process as its parent sees it. The library is started with the product's own parameters, so
that only the way to it differs. It is asked for the least that streams text, and its chunks are hardly looked at:
nothing in process could be faster.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.bench.daemons import ROOT, end, product_environment
from tests.bench.generations import Generation, Round, ask_together

_HAS_TEXT = b'"delta":{"content":"'


class RawEngine:
    """The child process."""

    def __init__(self, process: subprocess.Popen[bytes], *, threads: int) -> None:
        self.threads = threads
        self.pid = process.pid
        self._process = process
        self._answer()  # loaded

    def ask_together(self, prompts: Sequence[str], max_tokens: int) -> Round:
        """One round in the child, timed there."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([list(prompts), max_tokens]).encode() + b"\n")
        self._process.stdin.flush()
        answer = self._answer()
        generations = tuple(Generation(**each) for each in answer["generations"])
        return Round(wall_s=answer["wall_s"], generations=generations)

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the raw engine's process ended with status {self._process.wait()}")
        return json.loads(answer)


@contextmanager
def raw_engine(model: Path, *, threads: int, slots: int, context_tokens: int) -> Iterator[RawEngine]:
    """The engine alone, loaded."""
    arguments = [str(model), str(threads), str(slots), str(context_tokens)]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.raw_engine", *arguments],
        cwd=ROOT,
        env=product_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield RawEngine(process, threads=threads)
    finally:
        end(process)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def _serve(model: str, threads: int, slots: int, context_tokens: int) -> None:
    """The child's life."""
    from homebred_engines.llamacpp_plan import ServerOptions  # noqa: PLC0415  # the parent needs none of it
    from homebred_engines.llamacpp_server import LlamaServer  # noqa: PLC0415

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the library prints is no answer
    options = ServerOptions(
        model_path=model, context_tokens=context_tokens, slots=slots, threads=threads, has_chat_template=True
    )
    server = LlamaServer(options)._running()

    def ask(prompt: str, max_tokens: int) -> Generation:
        return _generation(server, prompt, max_tokens)

    with ThreadPoolExecutor(slots) as pool:
        answers.write("{}\n")
        answers.flush()
        for line in sys.stdin:
            prompts, max_tokens = json.loads(line)
            answers.write(json.dumps(asdict(ask_together(pool, ask, prompts, max_tokens))) + "\n")
            answers.flush()


def _generation(server: Any, prompt: str, max_tokens: int) -> Generation:
    body = {
        "messages": [{"role": "user", "content": prompt}],
        "stream": True,
        "max_tokens": max_tokens,
        "temperature": 0,
    }
    first_s: list[float] = []
    last = b""

    def hear(chunk: bytes) -> bool:
        nonlocal last
        last = chunk
        if not first_s and _HAS_TEXT in chunk:
            first_s.append(time.perf_counter() - started_s)
        return False

    started_s = time.perf_counter()
    server.handle_chat_completions(json.dumps(body).encode(), hear)
    timings = json.loads(last)["timings"]
    return Generation(
        first_s=first_s[0],
        completion_tokens=timings["predicted_n"],
        prompt_tokens=timings["cache_n"] + timings["prompt_n"],
        cached_tokens=timings["cache_n"],
    )


if __name__ == "__main__":
    _serve(sys.argv[1], *map(int, sys.argv[2:]))
