"""Calls a daemon as another user: `call_as(…)` here, this module's own process there. Needs root.

Whatever it needs is imported before the user changes: the checkout may be root's alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.support.wire_client import DaemonClient

from homebred_daemon.errors import HomebredError
from homebred_protocol.v1 import inference_pb2 as wire

ROOT = Path(__file__).resolve().parents[2]
STRANGER = 65534
"""A uid, and a gid, that are nobody's."""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED HERE: only root can call as another user")


def call_as(
    socket: Path,
    action: str,
    *,
    uid: int = STRANGER,
    gid: int = STRANGER,
    groups: tuple[int, ...] = (),
    task: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """What that user hears: the answer's fields that tests ask for, or the error's `code` and `hint`."""
    asked = {"socket": str(socket), "action": action, "uid": uid, "gid": gid, "groups": groups, "task": task or {}}
    ran = subprocess.run(
        [sys.executable, "-m", "tests.support.other_user"],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
    )
    assert ran.returncode == 0, ran.stderr
    return dict(json.loads(ran.stdout))


def _main() -> None:
    asked = json.load(sys.stdin)
    os.setgroups(asked["groups"])
    os.setgid(asked["gid"])
    os.setuid(asked["uid"])
    with DaemonClient(Path(asked["socket"])) as client:
        try:
            heard = _heard(client, asked["action"], asked["task"])
        except HomebredError as error:
            heard = {"code": error.code, "message": error.message, "hint": error.hint}
    json.dump(heard, sys.stdout)


def _heard(client: DaemonClient, action: str, task: dict[str, Any]) -> dict[str, Any]:
    match action:
        case "status":
            return {"version": client.status().version}
        case "reload":
            return {"specialists": client.reload_models().specialists}
        case "route":
            return _decided(client.route(wire.Task(**task)))
        case "generate":
            events = list(client.generate(wire.GenerateRequest(task=wire.Task(**task))))
            return _decided(events[0].decision) | {"text": "".join(event.delta for event in events)}
    raise AssertionError(action)


def _decided(decision: wire.RouteDecision) -> dict[str, Any]:
    return {
        "reason": decision.reason_code,
        "classes": list(decision.classes),
        "runtime": wire.Runtime.Name(decision.selected_runtime),
    }


if __name__ == "__main__":
    _main()
