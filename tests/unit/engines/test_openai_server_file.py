from __future__ import annotations

import json
from pathlib import Path

import pytest

from homebred_engines.api import ModelRefusedError
from homebred_engines.openai_server_file import FORMAT, Address, ServerFile, read_server_file


def written(tmp_path: Path, **more: object) -> str:
    path = tmp_path / "server.json"
    path.write_text(json.dumps({"format": FORMAT} | more), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("http://127.0.0.1:8000", Address(host="127.0.0.1", port=8000)),
        ("http://127.9.9.9:8000/", Address(host="127.9.9.9", port=8000)),
        ("http://localhost:8000", Address(host="127.0.0.1", port=8000)),
        ("http://[::1]:80", Address(host="::1", port=80)),
        ("unix:/run/llama.sock", Address(socket_path="/run/llama.sock")),
    ],
)
def test_a_server_on_this_device_can_be_named(text: str, address: Address, tmp_path: Path) -> None:
    path = written(tmp_path, address=text, model="m")
    assert read_server_file(path) == ServerFile(address=address, model="m")
    assert read_server_file(written(tmp_path, address=address.written())) == ServerFile(address=address, model="")


@pytest.mark.parametrize(
    "text",
    [
        "http://192.168.1.7:8000",
        "http://0.0.0.0:8000",
        "http://[::]:8000",
        "http://[::ffff:10.0.0.1]:8000",
        "http://10.0.0.1:8000",
        "http://example.com:8000",
        "http://127.0.0.1.example.com:8000",
        "http://localhost.example.com:8000",
        "http://2130706433:8000",
        "http://127.0.0.1@10.0.0.1:8000",
        "http://user@127.0.0.1:8000",
        "http://127.0.0.1",
        "http://127.0.0.1:0",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:8000/v1",
        "http://127.0.0.1:8000?to=10.0.0.1",
        "https://127.0.0.1:8000",
        "unix:relative.sock",
        "unix:",
        "tcp:127.0.0.1:8000",
        "",
    ],
)
def test_no_other_machine_and_nothing_beside_its_port_can(text: str, tmp_path: Path) -> None:
    with pytest.raises(ModelRefusedError) as refusal:
        read_server_file(written(tmp_path, address=text))
    assert "server.json" in refusal.value.why
    assert "a server on this device" in refusal.value.hint


@pytest.mark.parametrize("more", [{}, {"address": 3}, {"address": "unix:/s", "key": "x"}, {"format": "other"}], ids=str)
def test_a_file_that_names_no_server_is_refused(more: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(ModelRefusedError):
        read_server_file(written(tmp_path, **more))


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_a_file_that_is_no_object_is_refused(body: bytes, tmp_path: Path) -> None:
    path = tmp_path / "server.json"
    path.write_bytes(body)
    with pytest.raises(ModelRefusedError, match=r"server\.json"):
        read_server_file(str(path))
