"""A runtime of TensorRT Edge-LLM in a process of its own (`edgellm_child.py`), as the worker asks it.

A worker whose runtime has gone ends as well, so that the daemon starts another.
"""

from __future__ import annotations

import itertools
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection

from homebred_engines import api
from homebred_engines.edgellm_batches import Row
from homebred_engines.edgellm_calls import Asked, Cancel, Count, Counted, Ended, Failure, Over, RunBatch, Said
from homebred_engines.edgellm_library import Chunk, RuntimePlan
from homebred_engines.xgrammar_guidance import Guidance

_ENDS_WITHIN_S = 10.0
_NUMBERS = itertools.count(1)


class RemoteRow:
    """A request, and what comes of it."""

    def __init__(self, process: RuntimeProcess, asked: Asked) -> None:
        self.asked = asked
        self.heard: queue.SimpleQueue[Chunk | Ended] = queue.SimpleQueue()
        self._process = process

    def chunks(self) -> Iterator[Chunk]:
        """Blocks for what comes, until it has ended. Raises EngineFailedError."""
        while isinstance(heard := self.heard.get(), Chunk):
            yield heard
        if heard.failure is not None:
            raise heard.failure.error()

    def cancel(self) -> None:
        """Asks for an end at the next token; from any thread. Raises EngineFailedError."""
        self._process.send(Cancel(number=self.asked.number))


class RuntimeProcess:
    """Its construction, `prompt_tokens`, `run` and `close` block, and may be called in any thread; `run` in one."""

    def __init__(self, plan: RuntimePlan) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", "homebred_engines.edgellm_child", str(theirs.fileno())]
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter and our own module
                command, stdin=subprocess.PIPE, pass_fds=[theirs.fileno()]
            )
        self._connection: Connection = Connection(ours.detach())
        self._sending = threading.Lock()
        self._rows: dict[int, RemoteRow] = {}
        self._counts: dict[int, Future[int]] = {}
        self._over: Future[None] = Future()
        self._is_closing = False
        self._hearing = threading.Thread(target=self._hear, name="runtime", daemon=True)
        try:
            self._connection.send(plan)
            first = self._connection.recv()
        except (EOFError, OSError):
            first = Failure(why=self._ending(), hint="")
        if isinstance(first, Failure):
            self.close()
            raise first.error()
        self._hearing.start()

    def row(self, messages: Sequence[api.Message], options: api.GenerateOptions, guidance: Guidance) -> RemoteRow:
        """A request; nothing is asked yet."""
        asked = Asked(number=next(_NUMBERS), messages=tuple(messages), options=options, guidance=guidance)
        return RemoteRow(self, asked)

    def prompt_tokens(self, row: RemoteRow) -> int:
        """Of the conversation under the chat template; beside a batch as well. Raises EngineFailedError."""
        counted = self._counts[row.asked.number] = Future()
        self.send(Count(asked=row.asked))
        return counted.result()

    def run(self, batch: Sequence[tuple[Row, RemoteRow]]) -> None:
        """Answers a batch, and returns when all of it has ended. Raises EngineFailedError."""
        over = self._over = Future()
        self._rows = {row.asked.number: row for _, row in batch}
        self.send(RunBatch(batch=tuple(replace(row.asked, row=counted) for counted, row in batch)))
        over.result()

    def send(self, message: object) -> None:
        """Raises EngineFailedError where the process has gone."""
        try:
            with self._sending:
                self._connection.send(message)
        except OSError:
            raise api.EngineFailedError(self._ending()) from None

    def close(self) -> None:
        """Ends the process, and with it all that it holds."""
        self._is_closing = True
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(_ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._hearing.is_alive():
            self._hearing.join()
        self._connection.close()

    def _hear(self) -> None:
        try:
            with suppress(EOFError, OSError):
                while True:
                    self._take(self._connection.recv())
        finally:  # also where a message is not understood: without this thread nobody would hear anything
            self._fail()
            if not self._is_closing:
                sys.stderr.write(f"{self._ending()}\n")
                os.kill(os.getpid(), signal.SIGTERM)

    def _take(self, message: object) -> None:
        match message:
            case Said(number=number, chunk=chunk):
                self._rows[number].heard.put(chunk)
            case Ended(number=number) if number in self._rows:  # else a late word on a batch that is over
                self._rows[number].heard.put(message)
            case Counted(number=number, tokens=tokens, failure=failure):
                counted = self._counts.pop(number)
                if failure is None:
                    counted.set_result(tokens)
                else:
                    counted.set_exception(failure.error())
            case Over(failure=None):
                self._over.set_result(None)
            case Over(failure=Failure() as failure):
                for number, row in self._rows.items():
                    row.heard.put(Ended(number=number, failure=None))  # of a batch that did not begin
                self._over.set_exception(failure.error())

    def _fail(self) -> None:
        """Nobody waits for a process that has gone."""
        failure = Failure(why=self._ending(), hint="")
        for number, row in self._rows.items():
            row.heard.put(Ended(number=number, failure=failure))
        waiting: list[Future[int] | Future[None]] = [*self._counts.values(), self._over]
        for each in waiting:
            if not each.done():
                each.set_exception(failure.error())

    def _ending(self) -> str:
        code = self._process.poll()
        return "The process of TensorRT Edge-LLM's runtime ended" + ("." if code is None else f" with {code}.")
