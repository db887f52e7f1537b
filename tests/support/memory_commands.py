"""Commands of the fleet's controller in memory; held to the same contract as SQLite's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from homebred_daemon.core.commands import Command, CommandResult, State, as_told
from homebred_daemon.errors import StateError
from homebred_daemon.ports.fleet_commands import Untold

OPEN = frozenset({State.ACCEPTED, State.WAITING})


@dataclass
class _Kept:
    command: Command
    result: CommandResult
    revision: int = 1
    told: int = 0


class MemoryCommandStore:
    """Fulfils `ports.fleet_commands.CommandStore`."""

    def __init__(self, *, max_kept: int = 512) -> None:
        self.is_full = False
        """Whether the disk is."""
        self._max_kept = max_kept
        self._kept: dict[str, _Kept] = {}

    def close(self) -> None:
        """Holds nothing open."""

    def find(self, command_id: str) -> CommandResult | None:
        kept = self._kept.get(command_id)
        return kept.result if kept else None

    def add(self, command: Command, result: CommandResult) -> bool:
        self._write()
        if len(self._kept) >= self._max_kept:
            gone = [
                one
                for one in self._kept.values()
                if one.result.state not in OPEN and one.told >= one.revision and one.command.deadline_s < result.at_s
            ]
            if not gone:
                return False
            del self._kept[gone[0].command.id]
        self._kept[command.id] = _Kept(command, result)
        return True

    def change(self, result: CommandResult) -> None:
        self._write()
        kept = self._kept[result.id]
        kept.result, kept.revision = result, kept.revision + 1

    def tell_again(self, command_id: str) -> None:
        self._write()
        self._kept[command_id].told = 0

    def untold(self) -> Sequence[Untold]:
        return [
            Untold(result=as_told(one.result), revision=one.revision)
            for one in self._kept.values()
            if one.told < one.revision
        ]

    def told(self, command_id: str, revision: int) -> None:
        self._write()
        kept = self._kept[command_id]
        kept.told = max(kept.told, revision)

    def unfinished(self) -> Sequence[tuple[Command, CommandResult]]:
        return [(one.command, one.result) for one in self._kept.values() if one.result.state in OPEN]

    def _write(self) -> None:
        if self.is_full:
            raise StateError("no space left on device", hint="free some space")
