from __future__ import annotations

import pytest

from homebred_daemon.core.link import Link, permits


@pytest.mark.parametrize(
    ("link", "at_any_time", "where_the_policy_says_so"),
    [
        (Link.UP, True, True),
        (Link.METERED, False, True),
        (Link.DOWN, False, False),
        (Link.PORTAL, False, False),
    ],
)
def test_which_link_lets_an_escalation_through(
    link: Link,
    at_any_time: bool,  # noqa: FBT001  # a table's column
    where_the_policy_says_so: bool,  # noqa: FBT001  # a table's column
) -> None:
    assert permits(link, metered_escalation=False) is at_any_time
    assert permits(link, metered_escalation=True) is where_the_policy_says_so
