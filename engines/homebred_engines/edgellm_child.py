"""The process of one runtime of TensorRT Edge-LLM, which a worker starts with a socket's descriptor as its argument.

It is a process of its own since the package holds Python's lock all the while a runtime is loaded: in the worker,
nothing would be answered meanwhile and every stream would stand still. It ends with its standard input, and its memory
with it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection

from homebred_engines import api, hardening
from homebred_engines.edgellm_calls import Asked, Cancel, Count, Counted, Ended, Failure, Loaded, Over, RunBatch, Said
from homebred_engines.edgellm_library import LoadedRuntime, NativeRow, RuntimePlan


def main() -> None:
    """Loads what the first message says, then does as it is told until nobody is there to tell it."""
    os.dup2(2, 1)  # what the package prints
    hardening.go_first_when_memory_ends()
    hardening.forbid_dumps()
    hardening.watch_parent(lambda: os._exit(0))
    connection: Connection = Connection(int(sys.argv[1]))
    with contextlib.suppress(EOFError, OSError):  # the worker has gone, or has let go of it
        _Child(connection).serve()
    os._exit(0)  # the runtime's threads and memory go with it


class _Child:
    """Messages are read in the main thread; one thread owns the runtime; each row of a batch is heard in its own."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._owner = ThreadPoolExecutor(1)
        self._rows: dict[int, NativeRow] = {}

    def serve(self) -> None:
        plan: RuntimePlan = self._connection.recv()
        try:
            runtime = self._owner.submit(LoadedRuntime, plan).result()
        except api.EngineError as error:
            self._send(Failure.of(error))
            return
        self._send(Loaded())
        while True:
            match self._connection.recv():
                case Count(asked=asked):
                    self._count(runtime, asked)
                case RunBatch(batch=batch):
                    self._begin(runtime, batch)
                case Cancel(number=number) if number in self._rows:
                    self._cancel(number)

    def _send(self, message: object) -> None:
        with self._sending:
            self._connection.send(message)

    def _count(self, runtime: LoadedRuntime, asked: Asked) -> None:
        try:
            tokens = runtime.prompt_tokens(runtime.row(asked.messages, asked.options, asked.guidance))
        except api.EngineError as error:
            self._send(Counted(number=asked.number, failure=Failure.of(error)))
        else:
            self._send(Counted(number=asked.number, tokens=tokens))

    def _begin(self, runtime: LoadedRuntime, batch: tuple[Asked, ...]) -> None:
        """Rows are known from here on, so that none can be cancelled too early."""
        try:
            rows = [runtime.row(each.messages, each.options, each.guidance) for each in batch]
        except api.EngineError as error:
            self._send(Over(failure=Failure.of(error)))
            return
        self._rows = {each.number: row for each, row in zip(batch, rows, strict=True)}
        self._owner.submit(self._run, runtime, batch, rows)

    def _cancel(self, number: int) -> None:
        try:
            self._rows[number].cancel()
        except api.EngineError as error:
            self._send(Ended(number=number, failure=Failure.of(error)))

    def _run(self, runtime: LoadedRuntime, batch: tuple[Asked, ...], rows: list[NativeRow]) -> None:
        over, failure = threading.Event(), None
        listening = [
            threading.Thread(target=self._listen, args=(each.number, row, over))
            for each, row in zip(batch, rows, strict=True)
        ]
        for thread in listening:
            thread.start()
        try:
            runtime.run([(each.row, row) for each, row in zip(batch, rows, strict=True) if each.row is not None])
        except api.EngineError as error:
            failure = Failure.of(error)
        over.set()
        for thread in listening:
            thread.join()
        self._send(Over(failure=failure))

    def _listen(self, number: int, row: NativeRow, over: threading.Event) -> None:
        failure = None
        try:
            for chunk in row.chunks(over):
                self._send(Said(number=number, chunk=chunk))
        except api.EngineError as error:
            failure = Failure.of(error)
        self._send(Ended(number=number, failure=failure))


if __name__ == "__main__":
    main()
