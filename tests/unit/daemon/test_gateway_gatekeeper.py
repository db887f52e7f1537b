from __future__ import annotations

import pytest

from homebred_daemon.adapters.openai_gateway.gatekeeper import MIN_TOKEN_CHARACTERS, Gatekeeper, Tokens
from homebred_daemon.adapters.openai_gateway.http_connection import Request
from homebred_daemon.errors import ConfigurationError, HomebredError, NotPermittedError, UnattestedError

DESK, DOOR = "d" * MIN_TOKEN_CHARACTERS, "e" * MIN_TOKEN_CHARACTERS
TOKENS = Tokens({"desk": DESK, "door": DOOR})
KEEPER = Gatekeeper(TOKENS, port=8484, allowed_origins=frozenset({"app://notes"}))


def request(**headers: str) -> Request:
    told = {"host": "127.0.0.1:8484", "authorization": f"Bearer {DESK}"} | headers
    return Request(method="GET", path="/", headers=tuple((name, text) for name, text in told.items() if text))


def test_a_token_is_the_name_of_its_profile() -> None:
    assert KEEPER.caller_of(request()) == ("token:desk",)
    assert KEEPER.caller_of(request(authorization=f"Bearer {DOOR}")) == ("token:door",)


@pytest.mark.parametrize("host", ["127.0.0.1:8484", "localhost:8484", "LocalHost:8484", "[::1]:8484"])
def test_this_device_may_be_called_by_every_name_of_its_loopback(host: str) -> None:
    assert KEEPER.caller_of(request(host=host))


@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        ({"host": ""}, NotPermittedError),
        ({"host": "evil.example:8484"}, NotPermittedError),
        ({"host": "localhost.evil.example:8484"}, NotPermittedError),
        ({"host": "127.0.0.1:8485"}, NotPermittedError),
        ({"host": "127.0.0.1"}, NotPermittedError),
        ({"origin": "http://127.0.0.1:8484"}, NotPermittedError),
        ({"origin": "app://notes.evil"}, NotPermittedError),
        ({"authorization": ""}, UnattestedError),
        ({"authorization": DESK}, UnattestedError),
        ({"authorization": f"bearer {DESK}"}, UnattestedError),
        ({"authorization": f"Bearer {DESK} "}, UnattestedError),
        ({"authorization": f"Bearer {DESK[:-1]}"}, UnattestedError),
        ({"authorization": "Bearer ÿ"}, UnattestedError),
    ],
)
def test_others_are_refused_with_what_to_do_and_without_the_token(
    headers: dict[str, str], kind: type[HomebredError]
) -> None:
    with pytest.raises(kind) as refused:
        KEEPER.caller_of(request(**headers))
    assert refused.value.hint
    assert DESK not in str(refused.value.record())


def test_an_origin_that_is_named_may_come_and_a_unix_socket_may_be_called_anything() -> None:
    assert KEEPER.caller_of(request(origin="app://notes"))
    at_socket = Gatekeeper(TOKENS, port=None, allowed_origins=frozenset())
    assert at_socket.caller_of(request(host="homebred"))
    with pytest.raises(NotPermittedError):
        at_socket.caller_of(request(origin="app://notes"))


@pytest.mark.parametrize(
    "tokens",
    [{"desk": "short"}, {"desk": f"two words {DESK}"}, {"desk": f"{DESK}ÿ"}, {"desk": DESK, "door": DESK}],
)
def test_a_token_that_could_be_guessed_or_is_another_ones_is_refused(tokens: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Tokens(tokens)
    assert "openssl rand" in refused.value.hint
    assert DESK not in str(refused.value.record())
