from __future__ import annotations

import inspect
import pickle

import pytest

from homebred_protocol.client import errors
from homebred_protocol.client.errors import CallError, ConnectionLostError, DaemonUnreachableError, NeedsReviewError

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, CallError)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_says_what_and_what_next(kind: type[CallError]) -> None:
    error = kind()
    assert error.message == str(error) == inspect.getdoc(kind)
    assert error.hint
    assert error.record() == {"code": kind.code, "message": error.message, "hint": error.hint}


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_stands_in_the_tree_of_its_module(kind: type[CallError]) -> None:
    assert f" {kind.__name__} " in f"{(errors.__doc__ or '').replace(chr(10), ' ')} "


def test_every_code_means_one_error() -> None:
    codes = [kind.code for kind in KINDS if kind not in (CallError, ConnectionLostError)]
    assert len(codes) == len(set(codes))


def test_an_error_survives_the_way_to_another_process() -> None:
    error = NeedsReviewError("nobody here may", route_id="r-1")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  # its own bytes
    assert (again.message, again.route_id, again.hint) == ("nobody here may", "r-1", error.hint)


def test_a_lost_connection_is_an_unreachable_daemon_to_who_does_not_care() -> None:
    assert issubclass(ConnectionLostError, DaemonUnreachableError)
    assert ConnectionLostError.code == DaemonUnreachableError.code
