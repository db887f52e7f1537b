"""The part of the Control service where somebody has a folder taken up that was carried here. It decides nothing."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from math import isnan
from pathlib import Path
from typing import Any, Final

import grpc
from typing_extensions import override

from homebred_daemon.errors import NotFoundError, RequestError
from homebred_daemon.inbound.importing import FolderImports, ImportedRelease, ImportState
from homebred_protocol.v1 import control_pb2 as wire
from homebred_protocol.v1 import control_pb2_grpc

LONGEST_WAIT_S: Final = 7 * 86_400.0


class ImportRpcs(control_pb2_grpc.ControlServicer):
    """ImportReleases; the rest of Control is its subclass's."""

    def __init__(self, imports: FolderImports | None) -> None:
        """None: the device is in no fleet."""
        self._imports = imports

    @override
    async def ImportReleases(
        self, request: wire.ImportReleasesRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncGenerator[wire.ImportReleasesResponse, None]:
        """How it stands, then its every change."""
        if self._imports is None:
            raise NotFoundError("this device is in no fleet", hint="enrol it: homebred enroll URL")
        if not request.folder or "\0" in request.folder:
            raise RequestError("no folder is named", hint="name the folder that was carried here")
        wait_s = 0.0 if isnan(request.wait_s) else min(max(request.wait_s, 0.0), LONGEST_WAIT_S)
        async with aclosing(self._imports.imported(Path(request.folder), wait_s=wait_s)) as states:
            async for state in states:
                yield _message(state)


def _message(state: ImportState) -> wire.ImportReleasesResponse:
    message = wire.ImportReleasesResponse(releases=map(_release, state.releases))
    for one in state.not_taken:
        message.not_taken.add(about=one.about, code=one.code, problem=one.problem, hint=one.hint)
    return message


def _release(one: ImportedRelease) -> wire.ImportedRelease:
    return wire.ImportedRelease(
        target=one.target,
        state=one.state,
        code=one.code,
        reason=one.reason,
        facts=one.facts,
        held_bytes=one.held_bytes,
        total_bytes=one.total_bytes,
        waits_for=one.waits_for,
        ended=one.has_ended,
        good=one.is_good,
    )
