"""Carries out what the fleet's controller wants done: each command once, its result kept before it is told.

There is no remote shell, and no command takes free text. Diagnostics leave only once a person on the site has seen them
and let them go. It knows neither MQTT nor the controller: the link hands commands in and takes results away.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from homebred_daemon import fleet_messages
from homebred_daemon.core.commands import (
    ClockSpan,
    Command,
    CommandResult,
    Operation,
    State,
    has_waited_too_long,
    is_command,
    judged,
    moved,
)
from homebred_daemon.errors import HomebredError, NotFoundError, StateError
from homebred_daemon.inbound.caretaking import LogLevels
from homebred_daemon.inbound.fleet import Bundle, ShownBundle
from homebred_daemon.log_events import Event
from homebred_daemon.ports.clock import Clock
from homebred_daemon.ports.fleet_commands import CommandStore, Diagnostics, OutcomeReceipts, Untold
from homebred_daemon.ports.journal import Journal
from homebred_daemon.services.background import beside
from homebred_protocol.compression import compressed, decompressed

MAX_BUNDLE_BYTES = 200_000
"""Compressed."""
MAX_DOCUMENT_BYTES = 16_000_000
LOOK_AGAIN_S = 3600.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What commands act on."""

    drain: Callable[[bool], int]
    """Takes no more tasks, or, with True, takes them again; the number of those being answered."""
    levels: LogLevels
    diagnostics: Diagnostics
    version: str


class CommandDesk:
    """Fulfils `ports.fleet_commands.FleetCommands` and `inbound.fleet.BundleDesk`. One event loop."""

    def __init__(
        self,
        store: CommandStore,
        tools: Tools,
        clock: Clock,
        journal: Journal,
        *,
        span: Callable[[], ClockSpan],
        receipts: OutcomeReceipts | None = None,
    ) -> None:
        """`span` says where the true time must be, for what is gone on with after a restart."""
        self._store = store
        self._tools = tools
        self._clock = clock
        self._journal = journal
        self._span = span
        self._receipts = receipts
        self._turn = asyncio.Lock()
        """One change at a time: what is decided of a command was read in the same turn."""
        self._accepted: asyncio.Queue[str] = asyncio.Queue()
        self._hear: Callable[[], None] = lambda: None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Carries commands out for as long as the context lasts."""
        async with beside(self.run()):
            yield

    async def run(self) -> None:
        """Until cancelled; goes on first with what a restart has interrupted."""
        await self._in_trouble_noted(self._look_again())
        while True:
            try:
                async with asyncio.timeout(LOOK_AGAIN_S):
                    command_id = await self._accepted.get()
            except TimeoutError:
                await self._in_trouble_noted(self._look_again())
            else:
                await self._in_trouble_noted(self._carry_out(command_id))

    # -- for the link

    def when_news(self, heard: Callable[[], None]) -> None:
        """As the port says."""
        self._hear = heard

    async def take(self, command: Command, *, span: ClockSpan) -> None:
        """As the port says."""
        if not is_command(command):
            self._journal.note(fleet_messages.COMMAND_DROPPED, error_code="no_id")
            return
        async with self._turn:
            known = await self._stored(lambda: self._store.find(command.id))
            if known is not None:
                await self._stored(lambda: self._store.tell_again(command.id))
                self._hear()
                return
            waiting = sum(result.state is State.WAITING for _, result in await self._stored(self._store.unfinished))
            result = judged(command, now_s=self._now_s(), span=span, open_waiting=waiting)
            if not await self._stored(lambda: self._store.add(command, result)):
                self._journal.note(fleet_messages.COMMAND_DROPPED, error_code="too_many")
                return
        self._note(fleet_messages.COMMAND_KEPT, result)
        if result.state is State.ACCEPTED:
            self._accepted.put_nowait(command.id)
        else:
            self._ended(result)
        self._hear()

    async def untold(self) -> Sequence[Untold]:
        """As the port says."""
        async with self._turn:
            return await self._stored(self._store.untold)

    async def told(self, command_id: str, revision: int) -> None:
        """As the port says."""
        async with self._turn:
            await self._stored(lambda: self._store.told(command_id, revision))

    # -- for the technician

    async def bundles(self) -> Sequence[Bundle]:
        """As the port says."""
        async with self._turn:
            return [_bundle(command, result) for command, result in await self._waiting()]

    async def show(self, command_id: str) -> ShownBundle:
        """As the port says."""
        async with self._turn:
            command, result = await self._one_waiting(command_id)
        document = await asyncio.to_thread(decompressed, result.attachment, max_bytes=MAX_DOCUMENT_BYTES)
        return ShownBundle(bundle=_bundle(command, result), document=document)

    async def decide(self, command_id: str, *, lets_go: bool, principal: str) -> Bundle:
        """As the port says."""
        async with self._turn:
            command, result = await self._one_waiting(command_id)
            if lets_go:
                after = moved(result, State.DONE, now_s=self._now_s())
            else:
                what = "somebody on the site decided that this bundle stays there; ask them why"
                after = moved(
                    result,
                    State.REFUSED,
                    now_s=self._now_s(),
                    problem_code="declined",
                    problem=what,
                    attachment=b"",
                )
            await self._stored(lambda: self._store.change(after))
        self._journal.note(
            fleet_messages.BUNDLE_DECIDED, command_id=command_id, command_state=after.state.value, principal=principal
        )
        self._ended(after)
        self._hear()
        return _bundle(command, result)

    # -- the work

    async def _look_again(self) -> None:
        """Goes on with what was accepted and is not carried out, and ends what waits for too long."""
        async with self._turn:
            for command, result in await self._stored(self._store.unfinished):
                if result.state is State.ACCEPTED:
                    await self._judge_again(command, result)
                elif has_waited_too_long(result, now_s=self._now_s()):
                    what = "nobody on the site has looked at it for a week; ask somebody there, and send it again"
                    await self._move(result, State.EXPIRED, problem_code="nobody_looked", problem=what)

    async def _judge_again(self, command: Command, result: CommandResult) -> None:
        """Time has passed since it was accepted."""
        again = judged(command, now_s=self._now_s(), span=self._span(), open_waiting=0)
        if again.state is State.ACCEPTED:
            self._accepted.put_nowait(command.id)
        else:
            await self._move(result, again.state, problem_code=again.problem_code, problem=again.problem)

    async def _carry_out(self, command_id: str) -> None:
        async with self._turn:
            unfinished = await self._stored(self._store.unfinished)
        for command, result in unfinished:
            if command.id != command_id or result.state is not State.ACCEPTED:
                continue
            try:
                state, answer, attachment = await self._outcome(command)
            except HomebredError as error:
                what = f"{result.op} could not be carried out ({error.code}); see the device's own journal"
                state, answer, attachment = State.FAILED, {}, b""
                async with self._turn:
                    await self._move(result, state, problem_code=error.code, problem=what)
                continue
            async with self._turn:
                await self._move(result, state, answer=answer, attachment=attachment)

    async def _outcome(self, command: Command) -> tuple[State, Mapping[str, str], bytes]:
        """Does it. Doing it twice does no harm: a kill may have come after the first time."""
        match Operation(command.op):
            case Operation.PING:
                return State.DONE, {"version": self._tools.version}, b""
            case Operation.LOG_LEVEL:
                return State.DONE, {"previous": self._tools.levels.set_level(command.parameters["level"])}, b""
            case Operation.DRAIN | Operation.RESUME:
                is_answering = self._tools.drain(command.op == Operation.RESUME) > 0
                return State.DONE, {"answering": str(is_answering).lower()}, b""
            case Operation.DIAGNOSTICS:
                document = await self._tools.diagnostics.collect(command_id=command.id)
                frame = await asyncio.to_thread(compressed, document)
                if len(frame) > MAX_BUNDLE_BYTES:
                    raise StateError(f"the bundle is larger than {MAX_BUNDLE_BYTES} bytes")
                return State.WAITING, {}, frame

    async def _move(
        self,
        result: CommandResult,
        state: State,
        *,
        problem_code: str = "",
        problem: str = "",
        answer: Mapping[str, str] | None = None,
        attachment: bytes = b"",
    ) -> None:
        after = moved(
            result,
            state,
            now_s=self._now_s(),
            problem_code=problem_code,
            problem=problem,
            answer=answer,
            attachment=attachment,
        )
        await self._stored(lambda: self._store.change(after))
        if state is State.WAITING:
            self._journal.note(fleet_messages.BUNDLE_WAITS, command_id=after.id)
        else:
            self._ended(after)
        self._hear()

    async def _waiting(self) -> list[tuple[Command, CommandResult]]:
        return [both for both in await self._stored(self._store.unfinished) if both[1].state is State.WAITING]

    async def _one_waiting(self, command_id: str) -> tuple[Command, CommandResult]:
        for command, result in await self._waiting():
            if result.id == command_id:
                return command, result
        raise NotFoundError(
            "no such bundle waits: it was decided already, has expired, or was never asked for",
            hint="`homebred fleet diagnostics list` names those that wait",
        )

    async def _in_trouble_noted(self, work: Awaitable[None]) -> None:
        """The disk may be full: the command stays accepted, and is gone on with within the hour."""
        try:
            await work
        except StateError as error:
            self._journal.note(fleet_messages.COMMAND_DROPPED, error_code=error.code)

    async def _stored(self, act: Callable[[], T]) -> T:
        """On a thread: the disk may be slow. The store is not for two at once, and callers hold their turn."""
        return await asyncio.to_thread(act)

    def _ended(self, result: CommandResult) -> None:
        self._note(fleet_messages.COMMAND_ENDED, result)
        if self._receipts is not None:
            self._receipts.receipt("command", result.id, result.state.value, result.problem_code)

    def _note(self, event: Event, result: CommandResult) -> None:
        self._journal.note(
            event,
            command=result.op,
            command_id=result.id,
            command_state=result.state.value,
            error_code=result.problem_code or "none",
        )

    def _now_s(self) -> int:
        return int(self._clock.now().timestamp())


def _bundle(command: Command, result: CommandResult) -> Bundle:
    return Bundle(
        command_id=result.id,
        issued_by=command.issued_by,
        made_at_s=result.at_s,
        size_bytes=len(result.attachment),
    )
