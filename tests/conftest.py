"""For every test: interrupts arrive, whatever started this run."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """A shell's background job ignores SIGINT, and so would every process that its tests start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
