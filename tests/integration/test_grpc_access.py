"""The guard before every method, on a real grpc.aio server whose callers say in a header who they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from typing_extensions import override

from homebred_daemon.adapters.grpc_api.access import OPERATORS_CALLS, OTHER_CALLS, ROLES, AccessInterceptor, Context
from homebred_daemon.core.access import AccessRules, Peer, Role
from homebred_daemon.errors import UnattestedError
from homebred_protocol.v1 import inference_pb2 as wire

PEERS = {
    "caller": Peer(uid=1, gids=(10,), pid=1),
    "operator": Peer(uid=2, gids=(2,), pid=1),
    "reviewer": Peer(uid=3, gids=(3,), pid=1),
    "stranger": Peer(uid=4, gids=(4,), pid=1),
}
RULES = AccessRules(
    own_uid=99, callers=frozenset({"gid:10"}), operators=frozenset({"uid:2"}), reviewers=frozenset({"uid:3"})
)
MAY = {
    "caller": {Role.CALLER},
    "operator": {Role.CALLER, Role.OPERATOR},
    "reviewer": {Role.CALLER, Role.REVIEWER},
    "stranger": set[Role](),
}
GENERATE = "/homebred.v1.Inference/Generate"
MAX_STREAMS = 4


def peer_of(context: Context) -> Peer:
    name = dict(context.invocation_metadata() or ()).get("as", "")
    if name not in PEERS:
        raise UnattestedError
    return PEERS[str(name)]


class Everything(grpc.GenericRpcHandler):
    """Serves every method of homebred.v1, each in the way that its name says, else at once."""

    def __init__(self) -> None:
        self.release = asyncio.Event()
        self.is_unlucky = False

    @override
    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        method = handler_call_details.method
        if method.endswith("/Generate"):
            return grpc.unary_stream_rpc_method_handler(self.hold)
        if method.endswith("/WatchReviews"):
            return grpc.unary_stream_rpc_method_handler(self.count)
        if method.endswith("/ServerReflectionInfo"):
            return grpc.stream_stream_rpc_method_handler(self.echo)
        if method.endswith("/Feedback"):
            return grpc.unary_unary_rpc_method_handler(self.be_cancelled_by_somebody_elses_end)
        if method.endswith("/Unknown"):
            return None
        return grpc.unary_unary_rpc_method_handler(self.answer)

    async def answer(self, request: bytes, _: Context) -> bytes:
        return request

    async def be_cancelled_by_somebody_elses_end(self, request: bytes, _: Context) -> bytes:
        if self.is_unlucky:
            raise asyncio.CancelledError
        return request

    async def hold(self, request: bytes, context: Context) -> None:
        await context.write(request)
        await self.release.wait()

    async def count(self, request: bytes, _: Context) -> AsyncIterator[bytes]:
        for number in range(3):
            yield request + str(number).encode()

    async def echo(self, requests: AsyncIterator[bytes], _: Context) -> AsyncIterator[bytes]:
        async for request in requests:
            yield request


@dataclass(slots=True)
class Served:
    channel: Any
    """A grpc.aio.Channel, whose stubs take no bare bytes."""
    handler: Everything
    defects: list[BaseException]

    async def call(self, method: str, who: str, *, said: tuple[bytes, ...] = (b"a", b"b")) -> list[bytes]:
        """What comes back. Where a refusal is awaited, a call that goes on asking says nothing: grpc.aio takes a write
        into a call that has ended already for a failure of its own (INTERNAL), and loses the refusal.
        """
        metadata = (("as", who),)
        if method.endswith("/ServerReflectionInfo"):
            call = self.channel.stream_stream(method)(metadata=metadata)
            for message in said:
                await call.write(message)
            return [await call.read() for _ in said or (b"",)]
        if method.endswith(("/Generate", "/WatchReviews")):
            return [one async for one in self.channel.unary_stream(method)(b"x", metadata=metadata)]
        return [await self.channel.unary_unary(method)(b"x", metadata=metadata)]


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[Served]:
    handler, defects = Everything(), list[BaseException]()
    guard = AccessInterceptor(peer_of, RULES, max_streams=MAX_STREAMS, report_defect=defects.append)
    server = grpc.aio.server(interceptors=[guard])
    server.add_generic_rpc_handlers((handler,))
    server.add_insecure_port(f"unix:{folder / 's'}")
    await server.start()
    async with grpc.aio.insecure_channel(f"unix:{folder / 's'}") as channel:
        yield Served(channel, handler, defects)
    await server.stop(0)


def told(error: grpc.aio.AioRpcError) -> tuple[grpc.StatusCode, str, wire.Problem, float]:
    """Status code, machine code, problem, and the delay of the retry advice in seconds (0: none)."""
    status = rpc_status.from_call(error)
    info, problem, retry = error_details_pb2.ErrorInfo(), wire.Problem(), error_details_pb2.RetryInfo()
    for detail in status.details:
        for kind in (info, problem, retry):
            detail.Unpack(kind)
    return error.code(), info.reason, problem, retry.retry_delay.ToMilliseconds() / 1000


@pytest.mark.parametrize("who", PEERS)
async def test_a_call_goes_through_exactly_where_its_caller_has_the_role(tmp_path: Path, who: str) -> None:
    async with served(tmp_path) as each:
        each.handler.release.set()
        for method, role in ROLES.items():
            if role in MAY[who]:
                assert await each.call(method, who)
                continue
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await each.call(method, who, said=())
            code, reason, problem, _ = told(refusal.value)
            assert (code, reason) == (grpc.StatusCode.PERMISSION_DENIED, "not_permitted")
            assert str(role) in problem.message
            assert "[access]" in problem.hint


async def test_nobody_is_let_in_without_attestation(tmp_path: Path) -> None:
    async with served(tmp_path) as each:
        for method in ROLES:
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await each.call(method, "nobody", said=())
            code, reason, problem, _ = told(refusal.value)
            assert (code, reason) == (grpc.StatusCode.UNAUTHENTICATED, "unattested")
            assert problem.hint


async def test_streams_of_every_kind_pass_the_guard_whole(tmp_path: Path) -> None:
    async with served(tmp_path) as each:
        assert await each.call("/homebred.v1.Control/WatchReviews", "reviewer") == [b"x0", b"x1", b"x2"]
        reflection = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
        assert await each.call(reflection, "caller") == [b"a", b"b"]


async def test_a_method_without_a_role_is_an_operators_and_one_that_nobody_serves_is_unimplemented(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as each:
        assert await each.call("/homebred.v1.Control/New", "operator") == [b"x"]
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await each.call("/homebred.v1.Control/New", "caller")
        assert refusal.value.code() is grpc.StatusCode.PERMISSION_DENIED
        with pytest.raises(grpc.aio.AioRpcError) as missing:
            await each.call("/homebred.v1.Control/Unknown", "stranger")
        assert missing.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_calls_over_the_bound_are_refused_with_advice_and_operators_still_get_through(tmp_path: Path) -> None:
    async with served(tmp_path) as each:
        held = await fill(each, "caller", MAX_STREAMS + OTHER_CALLS)
        for _ in range(3):
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await each.call("/homebred.v1.Inference/Route", "caller")
            code, reason, problem, retry_s = told(refusal.value)
            assert (code, reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "overloaded")
            assert problem.retry_after_s == retry_s > 0
        assert await each.call("/homebred.v1.Control/GetStatus", "operator") == [b"x"]
        held += await fill(each, "reviewer", OPERATORS_CALLS)
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await each.call("/homebred.v1.Control/GetStatus", "operator")
        assert refusal.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        held[0].cancel()
        held[1].cancel()
        async with asyncio.timeout(5):
            while not await goes_through(each, "operator"):  # noqa: ASYNC110  # it hears of a cancelled call when it does
                await asyncio.sleep(0.01)
        for call in held:
            call.cancel()


async def fill(each: Served, who: str, number: int) -> list[Any]:
    held: list[Any] = [each.channel.unary_stream(GENERATE)(b"x", metadata=(("as", who),)) for _ in range(number)]
    for call in held:
        assert await call.read() == b"x"
    return held


async def goes_through(each: Served, who: str) -> bool:
    try:
        return bool(await each.call("/homebred.v1.Control/GetStatus", who))
    except grpc.aio.AioRpcError:
        return False


async def test_refused_calls_count_for_nothing(tmp_path: Path) -> None:
    async with served(tmp_path) as each:
        for _ in range(2 * (MAX_STREAMS + OTHER_CALLS)):
            assert not await goes_through(each, "stranger")
        assert await goes_through(each, "caller")


async def test_a_call_that_nobody_cancelled_never_ends_without_a_word(tmp_path: Path) -> None:
    async with served(tmp_path) as each, asyncio.timeout(20):
        each.handler.is_unlucky = True
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await each.call("/homebred.v1.Inference/Feedback", "caller")
    code, machine_code, problem, _ = told(failure.value)
    assert (code, machine_code) == (grpc.StatusCode.INTERNAL, "internal")
    assert problem.hint
    assert len(each.defects) == 1
