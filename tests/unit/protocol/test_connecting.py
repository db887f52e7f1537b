from __future__ import annotations

from pathlib import Path

import pytest

from homebred_protocol.client.connecting import DEFAULT_SOCKET, OPTIONS, socket_path, target
from homebred_protocol.client.errors import RequestError


@pytest.mark.parametrize(
    ("given", "variable", "found"),
    [
        ("/a/s", "/b/s", Path("/a/s")),
        (Path("/a/s"), "", Path("/a/s")),
        (None, "/b/s", Path("/b/s")),
        (None, "", DEFAULT_SOCKET),
    ],
)
def test_the_argument_comes_before_the_variable_and_that_before_the_installed_daemon(
    given: Path | str | None, variable: str, found: Path
) -> None:
    assert socket_path(given, {"HOMEBRED_SOCKET": variable}) == found
    assert socket_path(given, {"HOMEBRED_SOCKET": variable} if variable else {}) == found


def test_the_address_is_absolute_and_survives_any_character() -> None:
    assert target(Path("/run/a b%#?/s")) == "unix:/run/a%20b%25%23%3F/s"
    assert target(Path("s")) == f"unix:{Path.cwd()}/s"


def test_a_path_that_no_socket_can_have_is_refused_at_once() -> None:
    assert target(Path("/" + "x" * 106))
    with pytest.raises(RequestError, match="too long"):
        target(Path("/" + "x" * 107))
    with pytest.raises(RequestError, match="too long"):
        target(Path("/" + "é" * 54))


def test_no_option_is_said_twice() -> None:
    assert len(dict(OPTIONS)) == len(OPTIONS)
