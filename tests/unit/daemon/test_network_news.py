from __future__ import annotations

import pytest

from homebred_daemon.adapters.network_news import default_interfaces, routed

IPV4 = """Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
v0	00000000	0109090A	0003	0	0	0	00000000	0	0	0
v0	0009090A	00000000	0001	0	0	0	00FFFFFF	0	0	0
"""
IPV6 = """fe800000000000000000000000000000 40 0 00 0 00000100 00000001 00000000 00000001       v1
ff000000000000000000000000000000 08 0 00 0 00000100 00000002 00000000 00000001       v2
20010db8000000000000000000000000 40 0 00 0 00000100 00000002 00000000 00000001       v3
00000000000000000000000000000000 00 0 00 0 ffffffff 00000001 00000000 00200200       lo
"""


def test_an_interface_counts_by_its_routes_beyond_its_own_link() -> None:
    assert routed(IPV4.splitlines(), IPV6.splitlines()) == {"v0", "v3", "lo"}
    assert routed([], []) == routed(IPV4.splitlines()[:1], [""]) == frozenset()


HEADING = IPV4.splitlines()[0]
ANYWHERE = "00000000000000000000000000000000"


def ipv4(name: str, metric: int, flags: str = "0003", mask: str = "00000000") -> str:
    return f"{name} 00000000 0109090A {flags} 0 0 {metric} {mask} 0 0 0"


def ipv6(name: str, metric: int, flags: str = "00000003") -> str:
    return f"{ANYWHERE} 00 {ANYWHERE} 00 {ANYWHERE} {metric:08x} 00000001 00000000 {flags} {name}"


@pytest.mark.parametrize(
    ("ipv4_routes", "ipv6_routes", "interfaces"),
    [
        ([], [], set()),
        ([ipv4("eth0", 100)], [], {"eth0"}),
        ([ipv4("wwan0", 700), ipv4("eth0", 100)], [], {"eth0"}),
        ([ipv4("eth0", 100)], [ipv6("wwan0", 1024)], {"eth0", "wwan0"}),
        ([], [ipv6("wwan0", 0x400), ipv6("eth0", 0x64)], {"eth0"}),
        ([], [ipv6("lo", 0xFFFFFFFF, flags="00200200")], set()),
        ([ipv4("eth0", 0, flags="0203"), ipv4("eth1", 0, flags="0002")], [], set()),
        ([ipv4("tun0", 0, mask="00000080")], [], set()),
    ],
)
def test_what_goes_out_goes_through_the_best_default_route_of_each_protocol(
    ipv4_routes: list[str], ipv6_routes: list[str], interfaces: set[str]
) -> None:
    assert default_interfaces([HEADING, *ipv4_routes], ipv6_routes) == interfaces


def test_a_route_to_one_network_is_no_default_route() -> None:
    assert default_interfaces(IPV4.splitlines(), IPV6.splitlines()) == {"v0"}
