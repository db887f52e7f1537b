"""The reconciler's view of the database: what devices should hear, and what the broker has taken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from homebred_fleet.adapters.store import commands, desired, stops
from homebred_fleet.adapters.store.database import Database
from homebred_fleet.adapters.store.standing import note_unheard
from homebred_fleet.core.presence import SignsOfLife
from homebred_fleet.ports.intents import CommandOrder, DesiredState, SignedStop, Stop, WantedCommands


class StoreIntents:
    """`ports.intents.Intents` over the controller's database, each method a transaction of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def versions_in_force(self) -> Mapping[str, int]:
        """Every enrolled device that has a desired state, with its version."""
        with self._database.reading() as connection:
            return desired.versions_in_force(connection)

    def unpublished(self, *, max_devices: int) -> Sequence[str]:
        """Devices whose newest version no broker has taken yet."""
        with self._database.reading() as connection:
            return desired.unpublished(connection, max_devices=max_devices)

    def states_of(self, device_ids: Sequence[str]) -> Sequence[DesiredState]:
        """Their desired states."""
        with self._database.reading() as connection:
            return desired.states_of(connection, device_ids)

    def commands_to_send(
        self, wanted: WantedCommands, *, after: CommandOrder | None, max_commands: int
    ) -> Sequence[CommandOrder]:
        """Commands that devices should hear, oldest first."""
        with self._database.reading() as connection:
            return commands.to_send(connection, wanted, after=after, max_commands=max_commands)

    def stop_in_force(self) -> Stop | None:
        """The newest stop order."""
        with self._database.reading() as connection:
            return stops.in_force(connection)

    def follow_stop(self, order: SignedStop, *, now_s: int) -> bool:
        """Takes an order of the director's over where it is newer."""
        with self._database.writing() as connection:
            return stops.follow(connection, order, now_s=now_s)

    def told_stops(self) -> Sequence[SignedStop]:
        """What enrolled devices say that they heed and that is newer than all that are known."""
        with self._database.reading() as connection:
            return stops.told(connection)

    def mark_published(
        self, *, versions: Mapping[str, int], sent: Iterable[str], stop_epoch: int | None, now_s: int
    ) -> None:
        """Notes in one transaction what the broker has taken."""
        with self._database.writing() as connection:
            desired.mark_published(connection, versions)
            commands.mark_sent(connection, sent, now_s=now_s)
            if stop_epoch is not None:
                stops.mark_published(connection, stop_epoch, now_s=now_s)

    def expire_commands(self, *, now_s: int) -> int:
        """Gives up what nobody answered in time; how many."""
        with self._database.writing() as connection:
            return commands.expire(connection, now_s=now_s)

    def note_unheard(self, signs: SignsOfLife, *, now_s: int) -> Sequence[str]:
        """Turns every device offline that is online here without a sign of life."""
        with self._database.writing() as connection:
            return note_unheard(connection, signs, now_s=now_s)
