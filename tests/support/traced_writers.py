"""Runs a store's scenario in a child under strace: to record what it does, or to have its system calls fail.

`python -m tests.support.traced_writers record SCENARIO ROOT TRACE` runs it once on ROOT and writes the record.
`python -m tests.support.traced_writers fail` reads orders, a line of JSON each (`Order`): it copies the folder
`template` to `out`/1, `out`/2, … and has another call fail with `error` in each: every call of those in `FAILING` that
a run without failures makes, or `sample` of them. `when` is `once` or `on`: all later calls of its kind fail too.

One line of JSON a run: what the scenario told, and how it ended; behind those of an order an empty line. The child is
forked from a process that has everything imported: only the scenario's own calls are counted, and a run takes
milliseconds.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Literal

from tests.support.store_scenarios import SCENARIOS
from tests.support.system_calls import RECORDING

from homebred_daemon.errors import HomebredError

FAILING = (
    "write,pwrite64,writev,pwritev,ftruncate,fsync,fdatasync,rename,renameat,renameat2,mkdir,mkdirat,mknod,mknodat,"
    "unlink,unlinkat,rmdir"
)
_MESSAGE_BYTES = 65_536
ENDED, REFUSED, DEFECT = 0, 3, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a scenario."""

    number: int
    told: list[str]
    ended: str
    """`whole`, `refused`: by an error for people; `defect`: by another one."""
    error: dict[str, str]
    """What it ended with: code, message and hint, or the trace of the defect."""
    has_failed: bool
    """Whether a system call was made to fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to fail."""

    scenario: str
    template: str
    out: str
    error: str
    when: Literal["once", "on"]
    sample: int
    """How many of the calls; 0: all."""
    seed: int


def run(scenario: str, root: Path, options: Sequence[str], trace: Path, number: int = 0) -> Run:
    """Runs a scenario under strace with these options."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    child = os.fork()
    if not child:
        ours.close()
        os.kill(os.getpid(), signal.SIGSTOP)
        os._exit(_act(scenario, root, theirs))
    theirs.close()
    os.waitpid(child, os.WUNTRACED)
    command = ["strace", "-o", str(trace), *options, "-p", str(child)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as tracer:
        assert tracer.stderr is not None
        attached = tracer.stderr.readline()
        if b"attached" not in attached:
            os.kill(child, signal.SIGKILL)
            raise SystemExit(f"strace cannot trace here: {attached.decode()}")
        os.kill(child, signal.SIGCONT)
        messages = list(iter(lambda: ours.recv(_MESSAGE_BYTES), b""))
        tracer.communicate()
    ours.close()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    told = [message.decode() for message in messages]
    error = json.loads(told.pop().removeprefix("!")) if told and told[-1].startswith("!") else {}
    ended = {ENDED: "whole", REFUSED: "refused"}.get(status, "defect")
    has_failed = b"(INJECTED)" in trace.read_bytes()
    return Run(number=number, told=told, ended=ended, error=error, has_failed=has_failed)


def _act(scenario: str, root: Path, teller: socket.socket) -> int:
    def tell(text: str) -> None:
        teller.send(text.encode())

    try:
        SCENARIOS[scenario].act(root, tell)
    except HomebredError as error:
        tell("!" + json.dumps(error.record()))
        return REFUSED
    except BaseException:  # noqa: BLE001  # whatever it is, the test must hear of it
        tell("!" + json.dumps({"trace": traceback.format_exc()[-8000:]}))
        return DEFECT
    return ENDED


def _fail(order: Order) -> None:
    template, out = Path(order.template), Path(order.out)
    points = _points(order.scenario, template, out)
    if order.sample and order.sample < len(points):
        points = sorted(Random(order.seed).sample(points, order.sample))
    for number, (call, nth) in enumerate(points, start=1):
        root, trace = out / str(number), out / f"{number}.trace"
        shutil.copytree(template, root)
        when = f"{nth}+" if order.when == "on" else str(nth)
        options = ["-f", "-e", f"trace={call}", "-e", f"inject={call}:error={order.error}:when={when}"]
        ended = run(order.scenario, root, options, trace, number)
        if not ended.has_failed:
            raise SystemExit(f"{call} {nth} was not reached: the scenario does not do the same every time")
        _print(ended)


def _points(scenario: str, template: Path, out: Path) -> list[tuple[str, int]]:
    """Every call that can fail, as kind and number of that kind, from a run without failures."""
    root, trace = out / "sound", out / "sound.trace"
    shutil.copytree(template, root)
    whole = run(scenario, root, ["-f", "-e", f"trace={FAILING}", "-e", "signal=none"], trace)
    if whole.ended != "whole":
        raise SystemExit(f"the scenario fails by itself: {whole}")
    found = re.findall(r"^\d+ +(\w+)\(", trace.read_text(), re.MULTILINE)
    return [(call, nth) for call, number in Counter(found).items() for nth in range(1, number + 1)]


def _print(ended: Run) -> None:
    sys.stdout.write(json.dumps(asdict(ended)) + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    record = commands.add_parser("record")
    record.add_argument("scenario", choices=sorted(SCENARIOS))
    record.add_argument("root", type=Path)
    record.add_argument("trace", type=Path)
    commands.add_parser("fail")
    arguments = parser.parse_args()
    if arguments.command == "record":
        _print(run(arguments.scenario, arguments.root, RECORDING, arguments.trace))
        return
    for line in sys.stdin:
        _fail(Order(**json.loads(line)))
        sys.stdout.write("\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
