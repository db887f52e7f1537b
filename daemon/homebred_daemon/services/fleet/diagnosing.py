"""Gathers a bundle of diagnostics: what helps to find a fault from far away, without a word of any task.

What may be in it is `core.diagnostics`'s. It asks the parts of the daemon and sends nothing.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from homebred_daemon.core.diagnostics import EventMemory, TaskCounts, counts, finding, setting, specialists
from homebred_daemon.errors import HomebredError
from homebred_daemon.inbound.caretaking import Caretaker, DaemonState
from homebred_daemon.ports.clock import Clock

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where a bundle's parts come from."""

    device: Callable[[], Mapping[str, Any]]
    """Version, interpreter, machine, memory, disk: of this device and process."""
    settings: Callable[[], Mapping[str, object]]
    """Every setting by its name, as it is."""
    doctor: Callable[[], Awaitable[Sequence[Mapping[str, Any]]]]
    """What the checks of this machine found."""
    fleet: Callable[[], Mapping[str, Any]]
    """How the device stands in its fleet: words and numbers."""
    memory: EventMemory


class Diagnosing:
    """Fulfils `ports.fleet_commands.Diagnostics`."""

    def __init__(self, caretaker: Caretaker, sources: Sources, clock: Clock) -> None:
        self._caretaker = caretaker
        self._sources = sources
        self._clock = clock

    async def collect(self, *, command_id: str) -> bytes:
        """As the port says; a part that cannot be had is named by its error's code."""
        state = await self._caretaker.state()
        sources = self._sources
        document = {
            "schema": SCHEMA,
            "command_id": command_id,
            "made_at_s": int(self._clock.now().timestamp()),
            "device": dict(sources.device()),
            "fleet": dict(sources.fleet()),
            "state": _state(state),
            "tasks": counts(_task_counts(state)),
            "settings": {name: setting(value) for name, value in sources.settings().items()},
            "checks": await self._checks(),
            "events": sources.memory.told(),
        }
        return (json.dumps(document, indent=1, sort_keys=True) + "\n").encode()

    async def _checks(self) -> Any:
        try:
            return [finding(one) for one in await self._sources.doctor()]
        except HomebredError as error:
            return {"error": error.code}


def _state(state: DaemonState) -> dict[str, Any]:
    return {
        "started_at_s": int(state.started_at_utc.timestamp()),
        "policy_digest": state.policy_digest,
        "policy_origin": state.policy_origin,
        "ceiling_digest": state.ceiling_digest,
        "registry_digest": state.registry_digest,
        "link": state.link,
        "is_draining": state.is_draining,
        "specialists": specialists([asdict(one) for one in state.specialists]),
        "workers": [
            {}
            if worker.stats is None
            else {
                "engine": worker.stats.engine.engine,
                "engine_version": worker.stats.engine.engine_version,
                "slots": worker.stats.engine.slots,
                "threads": worker.stats.engine.threads,
                "resident_bytes": worker.stats.resident_bytes,
            }
            for worker in state.workers
        ],
    }


def _task_counts(state: DaemonState) -> TaskCounts:
    reviews = asdict(state.reviews)
    numbers = {name: count for name, count in reviews.items() if type(count) is int}
    return TaskCounts(outcomes=state.outcomes, streams=state.streams, reviews=numbers)
