"""Both clients are one: the same names, parameters and words. Their calls are tests/contract/test_client.py's."""

from __future__ import annotations

import inspect

import pytest

from homebred_protocol.client import AsyncClient, AsyncStream, Client, Stream

RENAMED = {"__aenter__": "__enter__", "__aexit__": "__exit__", "__aiter__": "__iter__", "__anext__": "__next__"}


def offered(kind: type) -> dict[str, inspect.Signature]:
    """Names and parameters, not what they return."""
    found = {}
    for name, value in vars(kind).items():
        if inspect.isfunction(value) and (not name.startswith("_") or name.startswith("__")):
            signature = inspect.signature(value)
            found[RENAMED.get(name, name)] = signature.replace(return_annotation=inspect.Signature.empty)
    return found


def words(kind: type) -> dict[str, str]:
    return {
        RENAMED.get(name, name): inspect.getdoc(value) or ""
        for name, value in vars(kind).items()
        if inspect.isfunction(value) and not name.startswith("_")
    }


def test_a_client_offers_the_same_either_way() -> None:
    assert offered(AsyncClient) == offered(Client)
    assert words(AsyncClient) == words(Client)


def test_a_stream_offers_the_same_either_way() -> None:
    assert offered(AsyncStream).keys() == offered(Stream).keys()


async def test_a_client_needs_no_daemon_until_it_calls() -> None:
    async with AsyncClient("/nonexistent/s") as client:
        await client.stream("x").close()


async def test_a_closed_client_says_so() -> None:
    async with AsyncClient("/nonexistent/s") as client:
        pass
    with pytest.raises(RuntimeError, match="closed"):
        await client.route("x")
