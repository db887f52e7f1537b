"""Content leaves through TLS, or not at all."""

from __future__ import annotations

import pytest

from homebred_daemon.core.endpoint_urls import checked_base_url


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com/v1",
        "https://10.0.0.7:8443",
        "http://127.0.0.1:8080/v1",
        "http://127.1.2.3",
        "http://[::1]:80/v1",
        "http://localhost:1",
    ],
)
def test_https_is_for_everywhere_and_http_for_this_device(url: str) -> None:
    assert checked_base_url(url) == checked_base_url(url + "/") == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.example.com",
        "ftp://api.example.com",
        "https://",
        "http://api.example.com",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
        "http://0.0.0.0",
        "https://user:canary@api.example.com",
        "https://api.example.com/?key=canary",
        "https://api.example.com/#canary",
        "https://api.example.com:canary",
        "https://api.example.com:0",
        "https://äpi.example.com",
        "https://api.example.com/ canary",
        "https://api.example.com/\r\nX-Canary: 1",
        "https://[canary",
    ],
)
def test_anything_else_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match=r"^(not|has) ") as raised:
        checked_base_url(url)
    assert "canary" not in str(raised.value)
