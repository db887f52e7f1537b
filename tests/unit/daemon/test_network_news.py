from __future__ import annotations

from homebred_daemon.adapters.network_news import routed

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
