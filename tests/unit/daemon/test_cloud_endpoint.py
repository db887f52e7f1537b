"""An endpoint's configuration and key: refused with what to write instead, and never with the key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from homebred_daemon.adapters.cloud.endpoint import Endpoint, endpoint_key
from homebred_daemon.adapters.secret_files import MAX_SECRET_BYTES
from homebred_daemon.errors import ConfigurationError

KEY = "sk-c4nary"


def endpoint(**changes: Any) -> Endpoint:
    given = {"alias": "a", "base_url": "https://api.example.com/v1", "wire_format": "openai_chat", "model": "m"}
    return Endpoint(**(given | changes))


def written(path: Path, key: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(key)
    path.chmod(mode)
    return path


def read(file: Path | None = None, credential: str = "", **environ: str) -> str:
    return endpoint_key("a", credential=credential, file=file, environ=environ)


def test_requests_go_below_the_base_url() -> None:
    assert endpoint().url == "https://api.example.com/v1/chat/completions"
    assert endpoint(base_url="https://api.example.com/v1/").url == endpoint().url


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base_url": "http://api.example.com"}, "the base_url of a is not https"),
        ({"wire_format": "smoke"}, "unknown wire_format"),
        ({"pin": "sha256:12"}, "the pin of a is none"),
        ({"key": f"{KEY}\r\nX: y"}, "the key of a is not one line"),
    ],
)
def test_what_cannot_be_used_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as raised:
        endpoint(**changes)
    assert KEY not in str(raised.value.record())


def test_the_key_is_not_in_the_repr() -> None:
    assert KEY not in repr(endpoint(key=KEY))


def test_a_key_comes_from_its_file_else_from_its_credential_else_there_is_none(tmp_path: Path) -> None:
    file = written(tmp_path / "key", f"{KEY}\n".encode())
    written(tmp_path / "cloud-key", b"sk-other", 0o440)
    assert read(file, "cloud-key", CREDENTIALS_DIRECTORY=str(tmp_path)) == KEY
    assert read(None, "cloud-key", CREDENTIALS_DIRECTORY=str(tmp_path)) == "sk-other"
    assert read() == ""


@pytest.mark.parametrize(
    ("key", "mode", "message"),
    [
        (b"", 0o600, "does not hold the key of a"),
        (b"k" * (MAX_SECRET_BYTES + 1), 0o600, "does not hold the key of a"),
        (KEY.encode(), 0o640, "others than its owner"),
    ],
)
def test_a_file_that_is_no_secret_key_is_refused(tmp_path: Path, key: bytes, mode: int, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as raised:
        read(written(tmp_path / "key", key, mode))
    assert KEY not in str(raised.value.record())


def test_a_key_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read(tmp_path / "key")
    with pytest.raises(ConfigurationError, match="systemd passes none"):
        read(None, "cloud-key")
