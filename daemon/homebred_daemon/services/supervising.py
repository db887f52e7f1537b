"""Keeps how each model stands by what has happened to it, and says who may not be asked now, why, and until when.

The rules are `core/supervision.py`'s. It starts and ends no worker: `engines.py` asks it first, and tells it after.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import ClassVar

from homebred_daemon.core.supervision import HEALTHY, Event, Health, Phase, after, after_fault, is_broken
from homebred_daemon.ports.clock import Clock
from homebred_daemon.ports.engines import ServedModel
from homebred_engines import api


class ModelRestingError(api.EngineFailedError):
    """The model failed and is not asked now."""

    code: ClassVar[str] = "model_resting"
    default_hint: ClassVar[str] = "Ask again then; `homebred status` says how it stands."


class ModelParkedError(ModelRestingError):
    """The model kept failing and is parked."""

    code: ClassVar[str] = "model_parked"
    default_hint: ClassVar[str] = "Remove the cause, then `homebred models load` tries it again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """How a model stands, for people."""

    note: str = ""
    """Empty: there is nothing to say."""
    is_parked: bool = False


OnChange = Callable[[ServedModel, Health], None]


def unheard(model: ServedModel, health: Health) -> None:
    """A change that nobody listens to."""


class Supervisor:
    """The health of every model that has failed since its last success; all others are healthy."""

    def __init__(self, clock: Clock, on_change: OnChange = unheard) -> None:
        """`on_change` hears of every change but faults in a living worker."""
        self._clock = clock
        self._on_change = on_change
        self._health: dict[ServedModel, Health] = {}

    def admit(self, model: ServedModel) -> None:
        """Lets a worker be started for the model.

        Raises:
            ModelRestingError: not now; it says why and until when.
        """
        health, now_s = self._of(model), self._clock.monotonic_s()
        if health.is_askable(now_s):
            return
        if health.phase is Phase.PARKED:
            raise ModelParkedError(f"It is {health.note(now_s)}")
        raise ModelRestingError(f"After {health.note(now_s)}")

    def out_of_service(self) -> frozenset[ServedModel]:
        """Models that may not be asked now."""
        if not self._health:
            return frozenset()
        now_s = self._clock.monotonic_s()
        return frozenset(model for model, health in self._health.items() if not health.is_askable(now_s))

    def has_failed(self, model: ServedModel) -> bool:
        """Whether it has, since its last success."""
        return model in self._health

    def condition(self, model: ServedModel) -> Condition:
        """How the model stands."""
        health = self._of(model)
        return Condition(note=health.note(self._clock.monotonic_s()), is_parked=health.phase is Phase.PARKED)

    def failed(self, model: ServedModel, event: Event, error: Exception, *, served_s: float = 0.0) -> None:
        """Its worker ended, or came to nothing; `served_s` is how long it had been up, in seconds.

        Everybody may read what the error says: never hand over one in which an engine speaks of a task (I4).
        """
        self._set(
            model, after(self._of(model), event, self._clock.monotonic_s(), why=_sentence(error), served_s=served_s)
        )

    def faulted(self, model: ServedModel) -> bool:
        """A generation failed, and the worker lives; whether it is to be taken for broken."""
        health = self._health[model] = after_fault(self._of(model))
        return is_broken(health)

    def succeeded(self, model: ServedModel) -> None:
        """A generation came to its end."""
        if model in self._health:
            self._set(model, after(self._health[model], Event.SUCCESS, self._clock.monotonic_s()))

    def revive(self, model: ServedModel) -> None:
        """An operator wants it tried again now."""
        if model in self._health:
            self._set(model, after(self._health[model], Event.REVIVAL, self._clock.monotonic_s()))

    def keep_only(self, models: Collection[ServedModel]) -> None:
        """Forgets every other model: a changed file is another model, and starts healthy."""
        self._health = {model: health for model, health in self._health.items() if model in models}

    def _of(self, model: ServedModel) -> Health:
        return self._health.get(model, HEALTHY)

    def _set(self, model: ServedModel, health: Health) -> None:
        if health == HEALTHY:
            self._health.pop(model, None)
        else:
            self._health[model] = health
        self._on_change(model, health)


def _sentence(error: Exception) -> str:
    """Why, and what next; of an error that is no engine's, its kind alone: its words may say anything."""
    if isinstance(error, api.EngineError):
        return error.why if error.hint == error.default_hint else f"{error.why} {error.hint}"
    return f"{type(error).__name__} while its worker was started."
