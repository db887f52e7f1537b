"""The process that checks signed metadata, for one look: an order on its standard input, an answer on its output.

    in    {"now_s", "device", "image": {"pinned", "files"}, "director": {…}}
    out   {"ask": name, "at_most": bytes}                        as often as it needs
    in    {"body": …} | {"reason": …, "detail": …}
    out   {"image": {…}, "director": {…}}                        `checking.Found`, and it ends
    out   {"failed": why}                                        in place of that

One JSON text a line, bytes in Base64. It has no other files, no network that it uses, and nothing outlives it.
"""

from __future__ import annotations

import base64
import json
import resource
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from homebred_daemon.adapters.trust.checking import Found, Held, Withheld, check
from homebred_daemon.core.trust_refusals import Reason
from homebred_engines import hardening

MAX_DATA_BYTES: Final = 512 * 1024 * 1024
"""Of memory: whatever a stranger's JSON unfolds to, the daemon's machine lives on."""


def main() -> None:
    """One look."""
    hardening.go_first_when_memory_ends()
    hardening.forbid_dumps()
    resource.setrlimit(resource.RLIMIT_DATA, (MAX_DATA_BYTES, MAX_DATA_BYTES))
    order = _heard()
    image, director = _held(order["image"]), _held(order["director"])
    try:
        found = check(image, director, device=order["device"], now_s=order["now_s"], ask=_asked)
    except OSError as error:  # no room for its files, as a rule
        _say({"failed": error.strerror or type(error).__name__})
    except Exception as error:  # noqa: BLE001 - whatever a stranger's bytes have led to is told, and is no answer
        _say({"failed": type(error).__name__})
    else:
        _say({"image": _record(found[0]), "director": _record(found[1])})


def _asked(name: str, at_most: int) -> bytes:
    _say({"ask": name, "at_most": at_most})
    said = _heard()
    if "body" in said:
        return base64.b64decode(said["body"])
    raise Withheld(Reason(said["reason"]), said["detail"])


def _heard() -> dict[str, Any]:
    line = sys.stdin.buffer.readline()
    if not line:  # whoever started this has gone
        sys.exit(1)
    said: dict[str, Any] = json.loads(line)
    return said


def _say(what: Mapping[str, Any]) -> None:
    sys.stdout.buffer.write(json.dumps(what).encode() + b"\n")
    sys.stdout.buffer.flush()


def _held(said: Mapping[str, Any]) -> Held:
    files = {name: base64.b64decode(body) for name, body in said["files"].items()}
    return Held(pinned=base64.b64decode(said["pinned"]), files=files)


def _record(found: Found) -> dict[str, Any]:
    files = {name: base64.b64encode(body).decode() for name, body in found.files.items()}
    return asdict(found) | {"files": files}


if __name__ == "__main__":
    main()
