"""Has signed metadata checked in a child process, and hands it the files that it asks for.

The child is killed at its deadline, at an answer that makes no sense, and when whoever waits is cancelled. It gets
bytes and gives bytes and facts: what these mean for this device is decided elsewhere.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
from collections.abc import Mapping, Sequence
from tempfile import TemporaryDirectory
from typing import Any, Final

from homebred_daemon.core.trust import DIRECTOR, IMAGE, Described, Seen
from homebred_daemon.core.trust_floors import Versions
from homebred_daemon.core.trust_refusals import Reason, Refusal
from homebred_daemon.errors import UntrustedError
from homebred_daemon.ports.trust import Checked, CheckedTrust, HeldRepository, HeldTrust, TrustSource

LOOK_S: Final = 1800.0
"""Longest time of one look, all of it; each file has a shorter one (`sources.Limits`)."""
MAX_LINE_BYTES: Final = 64 * 1024 * 1024
"""What the child says at once: all metadata of both repositories, in Base64."""
MAX_ASKED: Final = 1024
"""Files in one look: 256 roots of each repository, and the roles of a few kinds."""
_COMMAND = (sys.executable, "-I", "-m", "homebred_daemon.adapters.trust.child")
_INHERITED = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH")


class ChildChecker:
    """Fulfils `ports.trust.TrustChecker`."""

    def __init__(self, *, command: Sequence[str] = _COMMAND, look_s: float = LOOK_S) -> None:
        self._command = tuple(command)
        self._look_s = look_s

    async def check(self, held: HeldTrust, source: TrustSource, *, device: str, now_s: int) -> CheckedTrust:
        """As the port says."""
        order = {
            "now_s": now_s,
            "device": device,
            IMAGE: _repository(held.image),
            DIRECTOR: _repository(held.director),
        }
        try:
            with TemporaryDirectory(prefix="homebred-look-") as folder:  # here, so that a killed child leaves nothing
                return await self._looked(folder, order, source)
        except OSError as error:
            raise _failed(error.strerror or type(error).__name__) from error

    async def _looked(self, folder: str, order: Mapping[str, Any], source: TrustSource) -> CheckedTrust:
        process = await self._started(folder)
        try:
            async with asyncio.timeout(self._look_s):
                return await _answer(process, order, source)
        except TimeoutError:
            raise _failed(f"no answer within {self._look_s:.0f} s") from None
        except (OSError, asyncio.IncompleteReadError) as error:  # it has gone, and its pipes with it
            raise _failed(f"it ended with {await process.wait()}") from error
        except (ValueError, KeyError, TypeError, AttributeError, asyncio.LimitOverrunError) as error:
            raise _failed(f"an answer that makes no sense ({type(error).__name__})") from error
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def _started(self, folder: str) -> asyncio.subprocess.Process:
        environment = {name: value for name, value in os.environ.items() if name in _INHERITED}
        return await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment | {"TMPDIR": folder},
            limit=MAX_LINE_BYTES,
            start_new_session=True,  # a Ctrl-C in a terminal is for whoever started this process
        )


async def _answer(process: asyncio.subprocess.Process, order: Mapping[str, Any], source: TrustSource) -> CheckedTrust:
    assert process.stdin is not None  # noqa: S101 - it was asked for a pipe
    assert process.stdout is not None  # noqa: S101
    told: Mapping[str, Any] = order
    for _ in range(MAX_ASKED):
        process.stdin.write(json.dumps(told).encode() + b"\n")
        await process.stdin.drain()
        said = json.loads(await process.stdout.readuntil())
        if "failed" in said:
            raise _failed(str(said["failed"]))
        if "ask" not in said:
            image, director = _checked(IMAGE, said[IMAGE]), _checked(DIRECTOR, said[DIRECTOR])
            return CheckedTrust(image=image, director=director)
        try:
            body = await source.fetch(said["ask"], said["at_most"])
            told = {"body": base64.b64encode(body).decode()}
        except UntrustedError as error:
            told = {"reason": error.reason, "detail": error.detail}
    raise ValueError("it asked for too much")


def _repository(held: HeldRepository) -> dict[str, Any]:
    files = {name: base64.b64encode(body).decode() for name, body in held.files.items()}
    return {"pinned": base64.b64encode(held.pinned).decode(), "files": files}


def _checked(about: str, said: Mapping[str, Any]) -> Checked:
    """One repository's part of an answer. Raises ValueError, KeyError, TypeError, AttributeError where it is none."""
    versions = Versions(root=int(said["root"]), keys=str(said["keys"]), versions=dict(said["versions"]))
    refusal = said["refusal"]
    seen = Seen(
        versions=versions,
        expires_at_s=int(said["expires_at_s"]),
        targets={path: _described(one) for path, one in said["targets"].items()},
        device=str(said["device"]),
    )
    return Checked(
        files={name: base64.b64decode(body) for name, body in said["files"].items()},
        versions=versions,
        seen=None if refusal else seen,
        refusal=_refusal(about, refusal) if refusal else None,
        withheld={path: _refusal(path, one) for path, one in said["withheld"].items()},
    )


def _described(said: Mapping[str, Any]) -> Described:
    return Described(
        length=int(said["length"]), hashes=dict(said["hashes"]), custom=dict(said["custom"]), role=str(said["role"])
    )


def _refusal(about: str, said: Sequence[str]) -> Refusal:
    reason, detail = said
    return Refusal(reason=Reason(reason), about=about, detail=detail)


def _failed(detail: str) -> UntrustedError:
    return Refusal(reason=Reason.CHECK_FAILED, detail=detail).error()
