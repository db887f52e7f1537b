"""Structured logs on standard error: ids, digests, figures, never content. The only importer of structlog."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def _hidden(module: str) -> Iterator[None]:
    """Makes a module look absent while the context lasts, unless it is loaded already."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]  # importlib's own mark for "not importable"
    try:
        yield
    finally:
        del sys.modules[module]


# structlog imports rich wherever it is installed: 6 MB and 0.1 s that an idle daemon does without.
with _hidden("rich"):
    import structlog


def configure(*, level: str, as_json: bool) -> None:
    """Sets up this process's logs."""
    renderer = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


class Levels:
    """Changes the level of the running process; fulfils `inbound.caretaking.LogLevels`."""

    level = "info"

    def set_level(self, level: str) -> None:
        """Not yet."""
        self.level = level


def defect(cause: BaseException) -> None:
    """Logs where our own fault happened: type and place, never its words."""
    frames = traceback.extract_tb(cause.__traceback__)
    places = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames[-8:]]
    logger().error("defect", error=type(cause).__name__, where=places)


def logger() -> Any:
    """The logger; `logger().info("event", key=value)`."""
    return structlog.get_logger()
