"""What an error leaves behind once it was told."""

from __future__ import annotations

import gc
import weakref

import pytest

from homebred_daemon.errors import HomebredError, RequestError, release_frames


class Task:
    """Something large that the frames of an error hold."""


def failed(task: Task) -> HomebredError:
    held = task
    kept: HomebredError = RequestError()
    try:
        raise kept from TimeoutError(bool(held))
    except HomebredError:
        pass  # as a handler that tells it later
    return kept  # its traceback holds this frame, and this frame holds it


@pytest.mark.parametrize("releases", [True, False])
def test_the_frames_of_an_error_that_was_told_are_free_at_once(releases: bool) -> None:  # noqa: FBT001  # pytest gives it
    task = Task()
    alive = weakref.ref(task)
    gc.disable()
    try:
        error: HomebredError | None = failed(task)
        if releases:
            release_frames(error)
        del task, error
        assert (alive() is None) == releases
    finally:
        gc.enable()


def test_an_error_that_is_its_own_cause_comes_to_an_end() -> None:
    error, other = RequestError(), RequestError()
    error.__cause__ = error
    release_frames(error)
    error.__cause__, other.__cause__ = other, error
    release_frames(error)
