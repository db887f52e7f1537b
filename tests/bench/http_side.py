"""Asks a server that speaks OpenAI's protocol, with the least of a client: the gateway and xllamacpp's own alike.

`python -m tests.bench.http_side MODEL THREADS SLOTS CONTEXT_TOKENS` is xllamacpp's server with the product's own
parameters, on a port of loopback that it prints; it ends with its standard input.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from threading import local
from typing import Any

from tests.bench.daemons import ROOT, end, product_environment
from tests.bench.generations import Generation, Round, ask_together

_DATA = b"data: "
_DONE = b"data: [DONE]"


class HttpSide:
    """One server."""

    def __init__(self, port: int, pool: ThreadPoolExecutor, *, token: str = "", **further: Any) -> None:
        self._port = port
        self._pool = pool
        self._headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        self._further = further
        """More of every request."""
        self._threads = local()

    def ask_together(self, prompts: Sequence[str], max_tokens: int) -> Round:
        """One round, timed at the client."""
        return ask_together(self._pool, self.ask, prompts, max_tokens)

    def ask(self, prompt: str, max_tokens: int) -> Generation:
        """One streamed answer."""
        body = {
            "model": "homebred",
            "messages": [{"role": "user", "content": prompt}],
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": max_tokens,
            "temperature": 0,
        }
        connection = self._warm()
        started_s = time.perf_counter()
        connection.request("POST", "/v1/chat/completions", json.dumps(body | self._further), self._headers)
        first_s, last = 0.0, b""
        with connection.getresponse() as response:
            for line in response:
                if line.startswith(_DATA) and not line.startswith(_DONE):
                    last = line
                    if not first_s and _has_text(line):
                        first_s = time.perf_counter() - started_s
        if not first_s:
            raise RuntimeError(f"the server on port {self._port} did not answer: {response.status} {last[:300]!r}")
        usage = json.loads(last.removeprefix(_DATA))["usage"]
        return Generation(
            first_s=first_s,
            completion_tokens=usage["completion_tokens"],
            prompt_tokens=usage["prompt_tokens"],
            cached_tokens=(usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0),
        )

    def _warm(self) -> HTTPConnection:
        """This thread's connection, which has just served a request: clients keep theirs."""
        connection: HTTPConnection | None = getattr(self._threads, "connection", None)
        for _ in range(2):
            connection = connection or HTTPConnection("127.0.0.1", self._port, timeout=120)
            try:
                connection.request("GET", "/v1/models", headers=self._headers)
                connection.getresponse().read()
            except (HTTPException, OSError):  # xllamacpp's server keeps it for five seconds only
                connection.close()
                connection = None
            else:
                self._threads.connection = connection
                return connection
        raise RuntimeError(f"the server on port {self._port} takes no connection")


def _has_text(line: bytes) -> bool:
    choices = json.loads(line.removeprefix(_DATA))["choices"]
    return bool(choices and choices[0]["delta"].get("content"))


@contextmanager
def llama_server(model: Path, *, threads: int, slots: int, context_tokens: int) -> Iterator[int]:
    """xllamacpp's own server, loaded; its port."""
    arguments = [str(model), str(threads), str(slots), str(context_tokens)]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.http_side", *arguments],
        cwd=ROOT,
        env=product_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin, process.stdout:
        try:
            told = process.stdout.readline()
            if not told:
                raise RuntimeError(f"xllamacpp's server ended with status {process.wait()}")
            yield int(told)
        finally:
            end(process)


def _serve(model: str, threads: int, slots: int, context_tokens: int) -> None:
    """The child's life: the product's parameters (llamacpp_server.py), but for the door, which is open."""
    import os  # noqa: PLC0415  # the parent needs none of these

    import xllamacpp  # noqa: PLC0415

    from homebred_engines import llamacpp_server  # noqa: PLC0415

    port = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the library prints is no port
    parameters = xllamacpp.CommonParams()
    parameters.model.path = model
    parameters.n_ctx = context_tokens * slots
    parameters.n_parallel = slots
    parameters.n_batch = parameters.n_ubatch = llamacpp_server._BATCH_TOKENS
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
    parameters.cache_ram_mib = llamacpp_server._PROMPT_CACHE_MIB
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    server = xllamacpp.Server(parameters)
    port.write(f"{server.listening_address.rpartition(':')[2]}\n")
    port.flush()
    sys.stdin.read()


if __name__ == "__main__":
    _serve(sys.argv[1], *map(int, sys.argv[2:]))
