"""The worker process: one engine behind one private Unix socket. `python -m homebred_engines.worker --help`.

It runs on any interpreter from 3.10 with grpcio and protobuf, from a folder that holds only `homebred_engines` and
`homebred_protocol`. Standard output carries one line, `ready`, once the socket answers; everything else that engine or
worker write goes to standard error. It ends on SIGTERM, and when its standard input ends: whoever starts it by hand
keeps that open. It restarts nothing and knows nothing of policy.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import stat
import sys
from pathlib import Path

import grpc

from homebred_engines import hardening, wire
from homebred_engines.queueing import DEFAULT_QUEUE_LIMIT
from homebred_engines.registry import ENGINES, create_engine
from homebred_engines.service import EngineService
from homebred_protocol.v1 import engine_pb2_grpc

READY_LINE = b"ready\n"
EXIT_CODE_USAGE = 64
_STOP_GRACE_S = 1.0
_PROBE_TIMEOUT_S = 1.0
_OWNER_ONLY = 0o177


def main() -> None:
    """Entry point; exits 0 after a clean stop, 64 where the socket or the engine cannot be had."""
    arguments = _parse_arguments()
    if arguments.gives_way:
        hardening.give_way()
    ready = _keep_standard_output_to_ourselves()
    hardening.keep_few_arenas()
    hardening.go_first_when_memory_ends(before_others=arguments.gives_way)
    hardening.forbid_dumps()
    try:
        _refuse_live_socket(arguments.socket)
        engine = create_engine(arguments.engine)
    except (OSError, ImportError) as error:
        sys.exit(_usage(f"homebred-engine: {error}"))
    service = EngineService(engine, queue_limit=arguments.queue_limit, resident_bytes=hardening.resident_bytes)
    asyncio.run(_serve(service, arguments.socket, ready))
    arguments.socket.unlink(missing_ok=True)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="homebred-engine", description="Serves one engine over a Unix socket.")
    parser.add_argument("--socket", type=Path, required=True, help="path to bind; its folder must be private")
    parser.add_argument("--engine", choices=sorted(ENGINES), required=True)
    parser.add_argument("--queue-limit", type=int, default=DEFAULT_QUEUE_LIMIT, help="requests that may wait")
    parser.add_argument("--gives-way", action="store_true", help="lowest priority; goes first when memory ends")
    return parser.parse_args()


def _usage(text: str) -> int:
    sys.stderr.write(text + "\n")
    return EXIT_CODE_USAGE


def _keep_standard_output_to_ourselves() -> int:
    """Sends what engines print to standard error, and returns a descriptor of the real standard output."""
    real_output = os.dup(1)
    os.dup2(2, 1)
    return real_output


def _refuse_live_socket(path: Path) -> None:
    """Removes what a dead worker left; raises OSError for a live one, since grpc would silently take its path."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(f"{path} exists and is no socket; name another path.")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_PROBE_TIMEOUT_S)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise FileExistsError(f"{path} is another worker's socket and answers; stop that one or name another path.")


async def _serve(service: EngineService, path: Path, ready: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, stop.set)
    hardening.watch_parent(lambda: loop.call_soon_threadsafe(stop.set))
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", wire.MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", wire.MAX_MESSAGE_BYTES),
        ]
    )
    engine_pb2_grpc.add_EngineServicer_to_server(service, server)  # type: ignore[arg-type] # structurally one
    previous_umask = os.umask(_OWNER_ONLY)
    try:
        server.add_insecure_port(f"unix:{path}")
    finally:
        os.umask(previous_umask)
    await server.start()
    os.write(ready, READY_LINE)
    os.close(ready)
    await stop.wait()
    await server.stop(_STOP_GRACE_S)


if __name__ == "__main__":
    main()
