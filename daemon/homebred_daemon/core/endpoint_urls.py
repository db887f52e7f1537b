"""Which base URL a cloud endpoint may have: https, but for a server on this very device. Nothing is looked up."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit


def checked_base_url(url: str) -> str:
    """The URL without a slash at its end.

    Raises:
        ValueError: with what is wrong; the URL itself is not repeated, as it may hold a password.
    """
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("not a plain ASCII URL")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("not a URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError("not an https URL with a host")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("has a user, a query or a fragment")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ValueError("not https, though its host is not this device")
    return url.rstrip("/")


def leads_elsewhere(url: str) -> bool:
    """Whether the server of a checked base URL is not on this very device."""
    return not _is_loopback(urlsplit(url).hostname or "")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
