"""Commands of the fleet's controller: taken from the link, carried out once, their results told until heard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from homebred_daemon.core.commands import ClockSpan, Command, CommandResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Untold:
    """A result that the broker has not acknowledged yet."""

    result: CommandResult
    """As the controller may see it."""
    revision: int
    """Which of the command's results it is; for `told`."""


class FleetCommands(Protocol):
    """Who carries commands out. The link hands them in, and publishes what comes of them on `cmd-rs`.

    The link's order for each message: `take`, and only once that has returned acknowledge it to the broker; then
    publish all that is `untold`, and call `told` as each is delivered. After a reconnect: publish what is `untold`.
    """

    async def take(self, command: Command, *, span: ClockSpan) -> None:
        """Keeps a command on the disk and has it carried out; a known id only has its result told again.

        Args:
            command: what came.
            span: validity of the certificate with which the broker took this connection.

        Raises:
            StateError: it could not be kept: do not acknowledge it, it comes again.
        """
        ...

    async def untold(self) -> Sequence[Untold]:
        """Results that the broker has not acknowledged, the oldest first. Raises StateError."""
        ...

    async def told(self, command_id: str, revision: int) -> None:
        """The broker has acknowledged that result. Raises StateError."""
        ...

    def when_news(self, heard: Callable[[], None]) -> None:
        """Has a function called, on the loop, each time there may be something untold."""
        ...


class CommandStore(Protocol):
    """Where commands are kept by their id. Every method may raise StateError, UnwritableError; not for two threads."""

    def find(self, command_id: str) -> CommandResult | None:
        """How far a command is; None: it was never seen, or is forgotten."""
        ...

    def add(self, command: Command, result: CommandResult) -> bool:
        """Keeps a new command with its first result; False, and nothing kept: there is no room for one more.

        Room is made of what has ended, was told and is past its deadline: it cannot be asked for again.
        """
        ...

    def change(self, result: CommandResult) -> None:
        """Keeps the next result of a known command; it is untold."""
        ...

    def tell_again(self, command_id: str) -> None:
        """The result of a known command is untold again."""
        ...

    def untold(self) -> Sequence[Untold]:
        """Results that were not told, the oldest first."""
        ...

    def told(self, command_id: str, revision: int) -> None:
        """That result was told; a newer one was not."""
        ...

    def unfinished(self) -> Sequence[tuple[Command, CommandResult]]:
        """Commands that have not ended, the oldest first."""
        ...

    def close(self) -> None:
        """Nothing may be called afterwards."""
        ...


class Diagnostics(Protocol):
    """Gathers what helps to find a fault from far away, without a word of any task."""

    async def collect(self, *, command_id: str) -> bytes:
        """The bundle as JSON: what a person is shown is exactly what leaves."""
        ...


class OutcomeReceipts(Protocol):
    """Who is told, for the fleet's telemetry, what the device did of what it was told."""

    def receipt(
        self, kind: str, subject: str, result: str, problem_code: str, *, version: int = 0, signed: bytes = b""
    ) -> bool:
        """Kind: a word of homebred.v1.ReceiptKind, lower case; `signed`: of an install. It never fails.

        False: nobody takes it now, and nothing was noted; whoever has it on the disk tells it again later.
        """
        ...


class InstallReceipts(OutcomeReceipts, Protocol):
    """The same for what has been kept as not told yet, and is to be told however soon this process is killed."""

    async def written(self) -> None:
        """What was taken is on the disk. Raises StateError: not yet; it waits in memory for room."""
        ...
