"""The relay on real sockets, before a server of the test's own: attestation, bounds, back-pressure, ends."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from typing_extensions import override

from homebred_daemon.adapters.grpc_api.relay import Relay, RelayRules
from homebred_daemon.core.access import Peer
from homebred_daemon.errors import RequestError, UnattestedError

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(slots=True)
class Bench:
    """A relay between `public` and `private`."""

    relay: Relay
    public: str
    private: str
    refused: list[str] = field(default_factory=list)

    async def client(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_unix_connection(self.public)

    async def until(self, connections: int) -> None:
        async with asyncio.timeout(10):
            while self.relay.connections != connections:  # noqa: ASYNC110  # it tells nobody
                await asyncio.sleep(0.005)


@asynccontextmanager
async def relaying(
    folder: Path, *, unread_timeout_s: float = 30.0, most: int = 100, each: int = 100
) -> AsyncIterator[Bench]:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "public"))
    listener.listen()
    refused: list[str] = []

    def refuse(refusal: RequestError) -> None:
        refused.append(refusal.message)

    rules = RelayRules(
        unread_timeout_s=unread_timeout_s, on_refusal=refuse, max_connections=most, max_connections_of_a_user=each
    )
    relay = Relay(listener, folder / "private", rules)
    with listener:
        async with relay.running():
            yield Bench(relay, str(folder / "public"), str(folder / "private"), refused)
        assert relay.connections == 0
        assert not relay._peers
        assert not relay._of_user


@asynccontextmanager
async def serving(folder: Path, serve: Serve) -> AsyncIterator[None]:
    """A plain server in gRPC's place."""

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_unix_server(served, folder / "private")
    async with server:
        yield


def stop_reading(writer: asyncio.StreamWriter) -> None:
    assert isinstance(writer.transport, asyncio.Transport)
    writer.transport.pause_reading()


async def echo_then_bye(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.write(b"bye")


async def test_bytes_arrive_as_they_were_sent_both_ways_and_after_a_half_close(tmp_path: Path) -> None:
    sent = os.urandom(3_000_000)
    async with serving(tmp_path, echo_then_bye), relaying(tmp_path) as bench:
        reader, writer = await bench.client()
        async with asyncio.TaskGroup() as tasks:
            answer = tasks.create_task(reader.read(-1))
            writer.write(sent)
            writer.write_eof()
        assert answer.result() == sent + b"bye"
        writer.close()
        await bench.until(0)


async def test_who_does_not_read_holds_the_server_back_and_costs_no_memory(tmp_path: Path) -> None:
    written = 0

    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        while True:
            writer.write(b"x" * 10_000)
            await writer.drain()
            written += 10_000

    async with serving(tmp_path, flood), relaying(tmp_path) as bench:
        _, writer = await bench.client()
        stop_reading(writer)
        await asyncio.sleep(0.3)
        before = written
        await asyncio.sleep(0.3)
        assert written == before
        (connection,) = bench.relay._connections
        assert connection.client.transport.get_write_buffer_size() < 300_000
        assert written < 3_000_000
        writer.transport.abort()
        await bench.until(0)


async def test_a_connection_that_takes_nothing_is_closed_after_the_bound(tmp_path: Path) -> None:
    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"x" * 10_000)
            await writer.drain()

    async with serving(tmp_path, flood), relaying(tmp_path, unread_timeout_s=0.2) as bench:
        _, writer = await bench.client()
        stop_reading(writer)
        await bench.until(1)
        await bench.until(0)
        writer.transport.abort()


async def test_connections_over_the_bound_are_closed_at_once_and_room_is_used_again(tmp_path: Path) -> None:
    async with serving(tmp_path, echo_then_bye), relaying(tmp_path, most=3) as bench:
        kept = [await bench.client() for _ in range(3)]
        await bench.until(3)
        reader, writer = await bench.client()
        assert await reader.read(-1) == b""
        writer.close()
        assert bench.refused == ["3 connections are open"]
        kept[0][1].close()
        await bench.until(2)
        reader, writer = await bench.client()
        writer.write(b"in")
        assert await reader.readexactly(2) == b"in"
        for _, each in (*kept, (reader, writer)):
            each.close()


async def test_one_user_cannot_take_every_connection(tmp_path: Path) -> None:
    async with serving(tmp_path, echo_then_bye), relaying(tmp_path, most=10, each=2) as bench:
        kept = [await bench.client() for _ in range(2)]
        await bench.until(2)
        reader, writer = await bench.client()
        assert await reader.read(-1) == b""
        assert bench.refused == [f"user {os.getuid()} has 2 connections open"]
        for _, each in (*kept, (reader, writer)):
            each.close()


async def test_many_connections_that_come_and_go_leave_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path, echo_then_bye), relaying(tmp_path) as bench:
        before = len(asyncio.all_tasks())
        for number in range(300):
            reader, writer = await bench.client()
            writer.write(b"x")
            if number % 3:
                assert await reader.readexactly(1) == b"x"
            (writer.close if number % 2 else writer.transport.abort)()
        await bench.until(0)
        await asyncio.sleep(0.05)
        assert len(asyncio.all_tasks()) <= before


async def test_on_leaving_open_connections_are_closed_and_what_was_said_arrives(tmp_path: Path) -> None:
    leaving = asyncio.Event()

    async def speak_at_last(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        await leaving.wait()
        writer.write(b"x" * 200_000)
        await writer.drain()

    async with serving(tmp_path, speak_at_last), asyncio.TaskGroup() as tasks:
        async with relaying(tmp_path) as bench:
            reader, writer = await bench.client()
            assert await reader.readexactly(5) == b"hello"
            hearing = tasks.create_task(reader.read(-1))
            leaving.set()
        assert len(await hearing) == 200_000
        writer.close()


class WhoAmI(grpc.GenericRpcHandler):
    """Tells each caller what the relay knows of it."""

    def __init__(self) -> None:
        self.relay: Relay
        self.names: set[str] = set()
        self.peers: list[Peer] = []

    @override
    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        return grpc.unary_unary_rpc_method_handler(self.answer)

    async def answer(self, request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        self.names.add(context.peer())
        try:
            self.peers.append(self.relay.peer_of(context))
        except UnattestedError:
            return b"nobody"
        return b"known"


@asynccontextmanager
async def asked(folder: Path) -> AsyncIterator[tuple[WhoAmI, Bench]]:
    handler = WhoAmI()
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((handler,))
    server.add_insecure_port(f"unix:{folder / 'private'}")
    await server.start()
    async with relaying(folder) as bench:
        handler.relay = bench.relay
        yield handler, bench
        await server.stop(0)


async def ask(path: str) -> bytes:
    options = [("grpc.use_local_subchannel_pool", 1)]  # else a channel may go on with the connection of one just closed
    async with grpc.aio.insecure_channel(f"unix:{path}", options=options) as channel:
        method: Any = channel.unary_unary("/any/Method")
        return bytes(await method(b""))


async def test_a_call_finds_the_process_that_makes_it(tmp_path: Path) -> None:
    async with asked(tmp_path) as (handler, bench):
        assert [await ask(bench.public) for _ in range(3)] == [b"known"] * 3
    assert {peer.pid for peer in handler.peers} == {os.getpid()}
    assert {peer.uid for peer in handler.peers} == {os.getuid()}
    assert {frozenset(peer.gids) for peer in handler.peers} == {frozenset((os.getgid(), *os.getgroups()))}
    assert len(handler.names) == 3


async def test_a_call_that_comes_by_another_way_is_nobodys(tmp_path: Path) -> None:
    async with asked(tmp_path) as (handler, bench):
        assert await ask(bench.public) == b"known"
        assert await ask(bench.private) == b"nobody"
        (name, *_) = (name for name in handler.names if name.startswith("unix-abstract:"))
        with socket.socket(socket.AF_UNIX) as borrowed:
            borrowed.bind("\0" + name.removeprefix("unix-abstract:"))  # its connection is gone, so the name is free
            borrowed.connect(bench.private)
        assert name not in bench.relay._peers


async def test_connections_that_come_in_a_burst_all_get_through(tmp_path: Path) -> None:
    async with asked(tmp_path) as (_, bench), asyncio.TaskGroup() as tasks:
        asking = [tasks.create_task(ask(bench.public)) for _ in range(60)]
    assert {task.result() for task in asking} == {b"known"}


@pytest.mark.parametrize(
    "garbage", [b"\0" * 100, b"GET / HTTP/1.1\r\n\r\n", os.urandom(5000)], ids=["zeros", "http", "noise"]
)
async def test_garbage_harms_nobody_else(tmp_path: Path, garbage: bytes) -> None:
    async with asked(tmp_path) as (_, bench):
        reader, writer = await bench.client()
        writer.write(garbage)
        assert await ask(bench.public) == b"known"
        writer.close()
        del reader
