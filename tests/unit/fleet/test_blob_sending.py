"""Files sent by their digest: what is there is not sent again, a link that breaks is tried again, in bounded steps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from homebred_fleet.adapters.blob_folder import BlobFolder
from homebred_fleet.adapters.blob_sending import TRIES, BlobSending
from homebred_fleet.adapters.blob_uploads import BlobUploads
from homebred_fleet.errors import (
    ConflictError,
    ControllerUnreachableError,
    FleetError,
    NotPermittedError,
    RequestError,
)
from homebred_protocol.digests import digest_of

BODY = bytes(range(250)) * 4
DIGEST, LENGTH = digest_of(BODY), len(BODY)


class Line:
    """A controller behind a link that breaks as a test says; fulfils `blob_sending.Asks`."""

    def __init__(self, folder: Path) -> None:
        self.blobs = BlobFolder(folder)
        self.uploads = BlobUploads(self.blobs, max_bytes=10**6, reserve_bytes=0, now_s=lambda: 0)
        self.breaks: Callable[[int], FleetError | None] = lambda _: None
        """By the number of the call: what it ends with."""
        self.keeps = LENGTH
        """Of a piece whose call breaks: what came of it."""
        self.calls = 0
        self.bytes = 0

    def get(self, *path: str) -> dict[str, Any]:
        self._break()
        return self._told(path[-1])

    def send(self, method: str, *path: str, within_s: float) -> dict[str, Any]:
        self._break()
        if path[-1] == "check":
            self.uploads.check(path[-2])
        else:
            self.uploads.finish(path[-2])
        return self._told(path[-2])

    def upload(self, *path: str, body: bytes, offset: int, length: int) -> dict[str, Any]:
        self.calls += 1
        error = self.breaks(self.calls)
        piece = body if error is None else body[: self.keeps]
        self.bytes += len(piece)
        self.uploads.append(path[-1], offset, piece, length=length)
        if error is not None:
            raise error
        return self._told(path[-1])

    def _break(self) -> None:
        self.calls += 1
        error = self.breaks(self.calls)
        if error is not None:
            raise error

    def _told(self, digest: str) -> dict[str, Any]:
        came = self.uploads.came(digest)
        return {"came": came.length, "is_whole": came.is_whole}


class Stage:
    def __init__(self, folder: Path) -> None:
        self.line = Line(folder / "blobs")
        self.file = folder / "file"
        self.file.write_bytes(BODY)
        self.pauses: list[float] = []
        self.told: list[int] = []

    def send(self, source: Path | bytes | None = None) -> int:
        sending = BlobSending(self.line, "releases", "blobs", pause=self.pauses.append, piece_bytes=300, mends=True)
        return sending.send(DIGEST, LENGTH, source or self.file, self.told.append).bytes_sent

    def is_there(self) -> bool:
        return self.line.uploads.came(DIGEST).is_whole


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_a_file_is_sent_in_pieces_and_not_again(stage: Stage) -> None:
    assert stage.send() == LENGTH
    assert stage.is_there()
    assert (sum(stage.told), stage.pauses) == (LENGTH, [])
    assert stage.send() == 0
    assert stage.line.bytes == LENGTH


def test_what_the_controllers_disk_has_damaged_is_sent_again(stage: Stage) -> None:
    stage.send()
    path = stage.line.blobs.path_of(DIGEST)
    assert path is not None
    path.write_bytes(BODY[:-1] + b"?")
    stage.told.clear()
    assert stage.send() == LENGTH
    assert path.read_bytes() == BODY
    assert sum(stage.told) == LENGTH
    assert stage.send() == 0


def test_bytes_are_sent_as_a_file_is(stage: Stage) -> None:
    assert stage.send(BODY) == LENGTH
    assert stage.is_there()


@pytest.mark.parametrize("number", range(1, 10))
def test_whichever_call_breaks_nothing_that_came_is_sent_again(stage: Stage, number: int) -> None:
    stage.line.breaks = lambda call: ControllerUnreachableError("away") if call == number else None
    stage.line.keeps = 7
    stage.send()
    assert stage.is_there()
    assert stage.line.bytes == LENGTH
    assert stage.pauses in ([1.0], [])


def test_a_link_that_always_breaks_goes_on_as_long_as_some_bytes_pass(stage: Stage) -> None:
    stage.line.breaks = lambda call: ControllerUnreachableError("away") if call % 2 == 0 else None
    stage.line.keeps = 10
    with pytest.raises(ControllerUnreachableError):  # at last the blob is read, which breaks each time
        stage.send()
    assert stage.line.uploads.came(DIGEST).length == LENGTH
    stage.line.breaks = lambda _: None
    assert stage.send() == 0
    assert stage.is_there()


def test_a_controller_that_stays_away_is_given_up_in_words_that_say_what_stays(stage: Stage) -> None:
    stage.line.breaks = lambda _: ControllerUnreachableError("away", hint="start it")
    with pytest.raises(ControllerUnreachableError, match="away") as given_up:
        stage.send()
    assert "start it; what came of" in given_up.value.hint
    assert "goes on from there" in given_up.value.hint
    assert stage.pauses == [1.0, 2.0, 4.0, 8.0, 16.0]
    assert stage.line.calls == TRIES


def test_while_the_controller_reads_it_is_waited_for(stage: Stage) -> None:
    reading = ConflictError("being read", code="being_read")
    stage.line.breaks = lambda call: reading if 9 <= call <= 40 else None
    stage.send()
    assert stage.is_there()


def test_a_refusal_is_told_at_once(stage: Stage) -> None:
    stage.line.breaks = lambda _: NotPermittedError("a viewer may not")
    with pytest.raises(NotPermittedError):
        stage.send()
    assert (stage.line.calls, stage.pauses) == (1, [])


def test_a_controller_that_keeps_nothing_is_not_fed_for_ever(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Line, "upload", lambda *_, **__: {"came": 0, "is_whole": False})
    with pytest.raises(ControllerUnreachableError, match="keeps nothing"):
        stage.send()


def test_a_file_that_became_shorter_or_is_gone_is_told(stage: Stage) -> None:
    stage.file.write_bytes(BODY[:100])
    with pytest.raises(RequestError, match="shorter than it was"):
        stage.send()
    stage.file.unlink()
    with pytest.raises(RequestError, match="cannot be read"):
        stage.send()
