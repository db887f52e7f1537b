"""The model file of the `openai_server` engine: which server on this device, and which of its models.

A JSON object with `"format": "homebred-openai-server"`, and

    "address"   http://127.0.0.1:8000, http://[::1]:8000 or unix:/run/llama/server.sock
    "model"     the server's name of the model; left out where it has only one

No other machine can be named: what a task holds stays on the device as far as this file goes. Where the server itself
sends it is the server's affair. Nothing is opened here.
"""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from homebred_engines.api import ModelRefusedError

FORMAT = "homebred-openai-server"
MAX_FILE_BYTES = 64 * 1024
_KEYS = {"format", "address", "model"}
_HINT = f'Write a JSON object with "format": "{FORMAT}", "address" and, where the server has several, "model".'
_ADDRESS_HINT = "Write http://127.0.0.1:PORT, http://[::1]:PORT or unix:/ABSOLUTE/PATH: a server on this device."


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a server listens: a Unix socket, or a port of this device alone."""

    socket_path: str = ""
    host: str = ""
    """A loopback address in digits."""
    port: int = 0

    def written(self) -> str:
        """As in the file."""
        if self.socket_path:
            return f"unix:{self.socket_path}"
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFile:
    """What the file says."""

    address: Address
    model: str
    """Empty: the only one that there is."""


def read_server_file(path: str) -> ServerFile:
    """The file, checked. Raises ModelRefusedError."""
    try:
        with Path(path).open("rb") as file:
            document = json.loads(file.read(MAX_FILE_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelRefusedError(f"{path} names no server: {error}.", hint=_HINT) from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ModelRefusedError(f'{path} does not say "format": "{FORMAT}".', hint=_HINT)
    unknown = sorted(set(document) - _KEYS)
    if unknown or not all(isinstance(value, str) for value in document.values()):
        raise ModelRefusedError(f"{path} holds what no such file has: {', '.join(unknown) or 'no texts'}.", hint=_HINT)
    return ServerFile(address=_address(document.get("address", ""), path), model=document.get("model", ""))


def _address(text: str, path: str) -> Address:
    if text.startswith("unix:/"):
        return Address(socket_path=text[len("unix:") :])
    try:
        url = urlsplit(text)
        host, port = ipaddress.ip_address("127.0.0.1" if url.hostname == "localhost" else url.hostname or ""), url.port
    except ValueError:
        raise ModelRefusedError(f"{path}: the address {text!r} is none.", hint=_ADDRESS_HINT) from None
    rest = (url.scheme, url.username, url.path.strip("/"), url.query, url.fragment)
    if rest != ("http", None, "", "", "") or not port:
        raise ModelRefusedError(f"{path}: the address {text!r} is more or less than a port.", hint=_ADDRESS_HINT)
    if not host.is_loopback:
        raise ModelRefusedError(f"{path}: {text} is not on this device.", hint=_ADDRESS_HINT)
    return Address(host=str(host), port=port)
