"""What a request leads to, with a scripted answerer behind the gateway and the other end of its connection here."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from homebred_daemon.adapters.openai_gateway.endpoints import Gateway, Reports
from homebred_daemon.adapters.openai_gateway.gatekeeper import Gatekeeper, Tokens
from homebred_daemon.adapters.openai_gateway.http_connection import Bounds, Connection
from homebred_daemon.adapters.openai_gateway.tasks import Reading
from homebred_daemon.errors import HomebredError, defect
from homebred_daemon.inbound.answering import AcceptedTask, Emit, Heard, Outcome, Routed, at_once
from homebred_daemon.inbound.embedding import Embeddings, EmbeddingTask
from homebred_daemon.inbound.stream_room import StreamRoom
from homebred_daemon.ports.ledger import OutcomeRecord

TOKEN = "t" * 32
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
BODY = json.dumps({"model": "homebred", "messages": [{"role": "user", "content": "s3cr3t"}]}).encode()


@dataclass(slots=True)
class Scripted:
    """An Answerer that does what a test says, and what was reported meanwhile."""

    plays: Callable[[Emit], Awaitable[None]]
    defects: list[BaseException] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    async def route(self, accepted: AcceptedTask) -> Routed:
        raise NotImplementedError

    async def answer(self, accepted: AcceptedTask, emit: Emit, heard: Heard = at_once) -> None:
        await self.plays(emit)

    async def embed(self, task: EmbeddingTask) -> Embeddings:
        raise NotImplementedError

    def refused(self, error: HomebredError) -> None:
        self.refusals.append(error.code)

    def gateway(self) -> Gateway:
        return Gateway(
            self,
            self,
            gatekeeper=Gatekeeper(Tokens({"desk": TOKEN}), port=8484, allowed_origins=frozenset()),
            reading=Reading(workflows_for=lambda _: (), default_deadline_s=1, new_task_id=lambda: "t"),
            room=StreamRoom(1),
            reports=Reports(refused=self.refused, unread=lambda _: None, defect=self.defects.append),
        )

    async def told(self, token: str = TOKEN) -> bytes:
        """What the caller of one task gets."""
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=ours)
        far_reader, far_writer = await asyncio.open_connection(sock=theirs)
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost:8484\r\nauthorization: Bearer {token}\r\n"
        far_writer.write(f"{head}connection: close\r\ncontent-length: {len(BODY)}\r\n\r\n".encode() + BODY)
        connection = Connection(reader, writer, Bounds(max_body_bytes=1000, unread_timeout_s=1))
        await self.gateway().serve(connection)
        connection.close()
        answer = await far_reader.read()
        far_writer.close()
        return answer


def told_of(scripted: Scripted, token: str = TOKEN) -> bytes:
    return asyncio.run(scripted.told(token))


def test_a_fault_of_our_own_is_told_without_its_words_and_reported() -> None:
    async def breaks(emit: Emit) -> None:
        raise ValueError("s3cr3t")

    scripted = Scripted(breaks)
    answer = told_of(scripted)
    assert answer.startswith(b"HTTP/1.1 500")
    assert b"homebred has a defect (ValueError)" in answer
    assert b"s3cr3t" not in answer
    assert [type(error) for error in scripted.defects] == [ValueError]


def test_a_fault_that_an_outcome_tells_of_is_reported_too() -> None:
    async def ends_in_a_fault(emit: Emit) -> None:
        record = OutcomeRecord(route_id="r", recorded_at_utc=NOW, status="error", total_ms=1)
        await emit(Outcome(record=record, weak=False, problem=defect(KeyError("s3cr3t"))))

    scripted = Scripted(ends_in_a_fault)
    assert b"s3cr3t" not in told_of(scripted)
    assert [type(error) for error in scripted.defects] == [KeyError]


def test_who_is_not_let_in_is_reported_and_no_task_is_made() -> None:
    async def is_never_asked(emit: Emit) -> None:
        raise AssertionError("nobody was let in")

    scripted = Scripted(is_never_asked)
    assert told_of(scripted, "x" * 32).startswith(b"HTTP/1.1 401")
    assert (scripted.refusals, scripted.defects) == (["unattested"], [])
