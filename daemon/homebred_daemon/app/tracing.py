"""Has the daemon tell how long the parts of its tasks take, where the site wants that; of all others, nothing."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, nullcontext
from importlib.metadata import version
from typing import TYPE_CHECKING

from homebred_daemon.errors import ConfigurationError
from homebred_daemon.ports.clock import Clock
from homebred_daemon.ports.measures import Measures
from homebred_daemon.ports.tracing import UNTRACED, Traces
from homebred_daemon.settings import TracingSettings

if TYPE_CHECKING:
    from homebred_daemon.services.tracing import Tracing


class Tracer:
    """The traces of one daemon: `traces` hears of tasks, and what it heard leaves while `running` lasts."""

    def __init__(self, settings: TracingSettings, clock: Clock, measures: Measures) -> None:
        """Raises ConfigurationError where traces are wanted and cannot be written."""
        self._tracing = _tracing(settings, clock, measures) if settings.are_wanted else None
        self.traces: Traces = self._tracing or UNTRACED

    def running(self) -> AbstractAsyncContextManager[None]:
        """For as long as the context lasts."""
        return nullcontext() if self._tracing is None else self._tracing.running()


def _tracing(settings: TracingSettings, clock: Clock, measures: Measures) -> Tracing:
    from homebred_daemon.services.tracing import Tracing  # noqa: PLC0415  # only where it is wanted

    try:
        from homebred_daemon.adapters.otlp import OtlpExporter  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"[tracing] wants traces, and they cannot be written: there is no {error.name}",
            hint="install the extra `otel` (docs/tracing.md), or leave tracing.socket and tracing.port unset",
        ) from None
    return Tracing(OtlpExporter(settings.socket or settings.port, version=version("homebred")), clock, measures)
