"""Errors say what, why and what next, each with a stable code."""

from __future__ import annotations

import inspect

from homebred_fleet import errors
from homebred_fleet.errors import FleetError, OverloadedError, RequestError

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, FleetError)]


def test_every_kind_has_a_code_a_sentence_and_a_next_step_of_its_own() -> None:
    assert len({kind.code for kind in KINDS}) == len(KINDS)
    for kind in KINDS:
        error = kind(retry_after_s=1) if issubclass(kind, OverloadedError) else kind()
        assert error.message.endswith(".")
        assert error.record() == {"code": kind.code, "message": error.message, "hint": kind.hint}


def test_a_raiser_who_knows_better_says_it() -> None:
    error = RequestError("no device is called x", hint="list them", code="no_such_device")
    assert str(error) == "no device is called x"
    assert error.record() == {"code": "no_such_device", "message": "no device is called x", "hint": "list them"}


def test_every_kind_stands_in_the_tree() -> None:
    drawn = errors.__doc__ or ""
    assert [kind.__name__ for kind in KINDS if kind.__name__ not in drawn] == []
