"""Wires the daemon and runs it: the only place that sees services and adapters together.

Order of start: settings, policy, access, locks, ledger, review queue, what a crash left open, models, socket, READY.
Order of stop: no new tasks, running ones get time, no new calls, engines end, review queue and ledger are written out
and closed.
"""

from __future__ import annotations

from homebred_daemon.app.assembling import daemon
from homebred_daemon.app.running import run

__all__ = ["daemon", "run"]
