from __future__ import annotations

import inspect

from homebred_protocol.client import AsyncControl, Control

RENAMED = {"__aenter__": "__enter__", "__aexit__": "__exit__"}


def offered(kind: type) -> dict[str, list[tuple[str, object, object]]]:
    return {
        RENAMED.get(name, name): [
            (one.name, one.kind, one.default) for one in inspect.signature(value).parameters.values()
        ]
        for name, value in vars(kind).items()
        if inspect.isfunction(value)
    }


def test_the_same_is_offered_either_way() -> None:
    assert offered(AsyncControl) == offered(Control)
