"""What the kernel says of this machine's network: that it changed, where it leads out, or that there is none any more.

It listens to rtnetlink(7)'s link, address and route groups and sends nothing: the socket leads nowhere but to the
kernel. It knows no endpoint; whether one can be reached is for calls and probes to find out.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import socket
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROUTE_NEWS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400
"""RTMGRP_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV6_IFADDR, _IPV6_ROUTE of linux/rtnetlink.h."""
SETTLE_S = 0.1
"""One change of a network is a burst of messages."""
_SIOCGIFFLAGS = 0x8913
_LOOPBACK, _UP_AND_RUNNING = 0x8, 0x1 | 0x40  # IFF_… of linux/if.h; running: it has a carrier
_LINK_LOCAL = ("fe80", "ff")
_UP, _REJECT = 0x1, 0x200  # RTF_… of linux/route.h
_LONGEST_NEWS = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """How this machine's network stands."""

    is_there: bool
    """Any interface but the loopback has a carrier and a route beyond its own link."""
    default_interfaces: frozenset[str]
    """What goes out to anywhere goes through these: one for each of IPv4 and IPv6 that has a default route."""


def is_available() -> bool:
    """Whether this process may hear the news: a service may be kept from netlink."""
    try:
        _listening().close()
    except OSError:
        return False
    return True


async def listen(heard: Callable[[Network], None]) -> None:
    """Calls `heard` at once and after each change, until cancelled, with how the network stands.

    Raises:
        OSError: this process may not listen.
    """
    loop = asyncio.get_running_loop()
    with _listening() as news:
        heard(network())
        while True:
            try:
                await loop.sock_recv(news, _LONGEST_NEWS)
                await asyncio.sleep(SETTLE_S)
                while news.recv(_LONGEST_NEWS):
                    pass
            except BlockingIOError:  # all of it was read
                pass
            except OSError as error:
                if error.errno != errno.ENOBUFS:  # more came than was kept: something did change
                    raise
            heard(network())


def network() -> Network:
    """How it stands now."""
    ipv4, ipv6 = _lines("route"), _lines("ipv6_route")
    return Network(
        is_there=not _running().isdisjoint(routed(ipv4, ipv6)),
        default_interfaces=default_interfaces(ipv4, ipv6),
    )


def routed(ipv4: Iterable[str], ipv6: Iterable[str]) -> frozenset[str]:
    """The interfaces with routes in the lines of /proc/net/route and /proc/net/ipv6_route."""
    first = (line.split()[0] for line in list(ipv4)[1:] if line.strip())
    last = (line.split()[-1] for line in ipv6 if line.strip() and not line.startswith(_LINK_LOCAL))
    return frozenset((*first, *last))


def default_interfaces(ipv4: Iterable[str], ipv6: Iterable[str]) -> frozenset[str]:
    """The interfaces that the best default routes in the same lines go through, one for each protocol at most."""
    best = (min(_default_ipv4(ipv4), default=None), min(_default_ipv6(ipv6), default=None))
    return frozenset(route[1] for route in best if route is not None)


def _default_ipv4(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Metric and interface of each default route; columns as the heading of /proc/net/route has them."""
    for line in list(lines)[1:]:
        match line.split():
            case [name, "00000000", _, flags, _, _, metric, "00000000", *_] if _leads_on(flags):
                yield int(metric), name


def _default_ipv6(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """The same; columns as proc(5) has them of ipv6_route: the metric is in hexadecimal."""
    for line in lines:
        match line.split():
            case [destination, "00", *_, metric, _, _, flags, name] if not destination.strip("0") and _leads_on(flags):
                yield int(metric, 16), name


def _leads_on(flags: str) -> bool:
    return int(flags, 16) & (_UP | _REJECT) == _UP


def _listening() -> socket.socket:
    news = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 0)
    try:
        news.bind((0, ROUTE_NEWS))
    except OSError:
        news.close()
        raise
    return news


def _running() -> frozenset[str]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking:  # of any family; one that leads nowhere
        return frozenset(name for _, name in socket.if_nameindex() if _is_running(asking, name))


def _is_running(asking: socket.socket, name: str) -> bool:
    request = struct.pack("16sH14x", name.encode(), 0)
    try:
        _, flags = struct.unpack("16sH14x", fcntl.ioctl(asking, _SIOCGIFFLAGS, request))
    except OSError:  # it has just gone
        return False
    return not flags & _LOOPBACK and flags & _UP_AND_RUNNING == _UP_AND_RUNNING


def _lines(name: str) -> list[str]:
    try:
        return Path("/proc/net", name).read_text(encoding="ascii").splitlines()
    except OSError:  # no such protocol here
        return []
