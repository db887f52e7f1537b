"""Callers that misbehave: they vanish in the middle of a stream, freeze, or never read what they asked for.

`python -m tests.support.bad_callers SOCKET KIND NUMBER SECONDS SEED` keeps NUMBER of them at it, each a process of its
own with one stream, and prints how many there were, and of how many the call was ended by the daemon. They are forked
before grpc has any thread.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass
from random import Random

os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

import grpc

from homebred_protocol.v1 import inference_pb2 as wire
from homebred_protocol.v1 import inference_pb2_grpc

ASKED = "pour"
"""What the echo model answers with `POURED`: a short task must cost others nothing but its stream."""
POURED = ("x" * 3999 + " ") * 200
"""So much in each word that a stream which nobody reads fills what lies between its ends within a second."""
UNREAD_S = 8.0
"""How long those live that are left alone; longer than the daemon's patience."""
_SMALL_WINDOW = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 8192))
"""Keeps the room small that a client makes for what it has not read."""
_POLL_S = 0.02


@dataclass(slots=True)
class Caller:
    """One process, and what becomes of it when."""

    pid: int
    freezes_s: float
    """Monotonic; infinite: never."""
    dies_s: float


def main() -> None:
    socket, kind, number, seconds, seed = sys.argv[1:]
    random, ends_s = Random(int(seed)), time.monotonic() + float(seconds)
    callers: list[Caller] = []
    begun = dropped = 0
    while time.monotonic() < ends_s:
        while len(callers) < int(number):
            callers.append(_begin(socket, kind, random))
            begun += 1
        for caller in list(callers):
            if os.waitpid(caller.pid, os.WNOHANG)[0]:
                dropped += 1
                callers.remove(caller)
            elif _is_over(caller):
                callers.remove(caller)
        time.sleep(_POLL_S)
    for caller in callers:
        _end(caller.pid)
    sys.stdout.write(f"{begun} {dropped}\n")


def _begin(socket: str, kind: str, random: Random) -> Caller:
    now_s, life_s = time.monotonic(), random.uniform(0.3, 2.5)
    pid = os.fork()
    if not pid:
        try:
            _call(socket, reads=kind != "unread")
        finally:
            os._exit(0)
    if kind == "vanish":
        return Caller(pid, freezes_s=float("inf"), dies_s=now_s + life_s)
    freezes_s = now_s + life_s if kind == "freeze" else float("inf")
    return Caller(pid, freezes_s=freezes_s, dies_s=now_s + life_s + UNREAD_S)


def _is_over(caller: Caller) -> bool:
    now_s = time.monotonic()
    if now_s >= caller.dies_s:
        _end(caller.pid)
        return True
    if now_s >= caller.freezes_s:
        caller.freezes_s = float("inf")
        os.kill(caller.pid, signal.SIGSTOP)
    return False


def _end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def _call(socket: str, *, reads: bool) -> None:
    text = f"[echo token_delay_s=0.02]\n{ASKED}"
    with grpc.insecure_channel(f"unix:{socket}", options=_SMALL_WINDOW) as channel:
        task = wire.Task(text=text, data_classes=["patient"])
        stream = inference_pb2_grpc.InferenceStub(channel).Generate(wire.GenerateRequest(task=task))
        if reads:
            try:
                for _ in stream:
                    pass
            except grpc.RpcError:
                return
        while stream.is_active():
            time.sleep(_POLL_S)


if __name__ == "__main__":
    main()
