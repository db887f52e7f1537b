"""Servers on this device that speak OpenAI's protocol, in processes of their own: xllamacpp's, on a Unix socket."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PROGRAM = """
import sys
import xllamacpp

model, socket, context_tokens, slots = sys.argv[1:]
parameters = xllamacpp.CommonParams()
parameters.model.path, parameters.hostnames = model, [socket]
parameters.n_parallel, parameters.n_ctx = int(slots), int(context_tokens) * int(slots)
parameters.n_batch = parameters.n_ubatch = 64
parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
parameters.verbosity = 0
server = xllamacpp.Server(parameters)
print("up", flush=True)
sys.stdin.read()
"""


@contextmanager
def xllamacpp_server(folder: Path, model: Path, *, context_tokens: int, slots: int = 2) -> Iterator[Path]:
    """A server over a GGUF file; the model file of an engine that asks it. Its slots hold that context each."""
    socket = folder / "s.sock"
    command = [sys.executable, "-c", _PROGRAM, str(model), str(socket), str(context_tokens), str(slots)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"up\n"
            yield write_server_file(folder / "server.json", f"unix:{socket}")
        finally:
            process.kill()


def write_server_file(path: Path, address: str, **more: str) -> Path:
    """The model file that names a server."""
    path.write_text(json.dumps({"format": "homebred-openai-server", "address": address, **more}), encoding="utf-8")
    return path
