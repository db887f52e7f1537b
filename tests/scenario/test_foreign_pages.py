"""A page on another origin gets nothing of the gateway, in a real browser: Chromium, with every way that a page has.

The page knows the token of its victim, so that nothing but where it comes from stands in its way.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.browser import CHROMIUM, FOREIGN, WHY_NOT, Attempt, foreign_host, opened
from tests.support.daemon_process import Site
from tests.support.gateway import TOKEN, OpenGateway, gateway_of

pytestmark = [
    pytest.mark.thorough("a browser is large"),
    pytest.mark.skipif(CHROMIUM is None, reason=WHY_NOT),
]

QUESTION = "s3cr3t"
EVIL = "evil.example"
NO_ORIGIN = "--disable-web-security"
"""Makes of the browser a program like any other: it reads every answer, and sends no Origin."""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.add_echo("repeater")
    return site


@contextmanager
def page_elsewhere(site: Site, *flags: str) -> Iterator[tuple[OpenGateway, dict[str, str]]]:
    """What a page of another origin gets of an open gateway."""
    with gateway_of(site) as gateway:
        attempt = Attempt(gateway=f"http://127.0.0.1:{gateway.port}", token=TOKEN, question=QUESTION)
        with foreign_host(attempt.page()) as at:
            yield gateway, opened(f"http://{FOREIGN}:{at}/", site.folder / "browser", *flags)


def assert_it_got_nothing(site: Site, gateway: OpenGateway, got: dict[str, str]) -> None:
    for secret in (QUESTION, "chat.completion", "repeater", '"id":"homebred"'):
        assert secret not in "".join(got.values())
    status = gateway.daemon.status()
    assert (dict(status.outcomes), status.streams) == ({}, 0)
    assert QUESTION not in site.log
    assert site.log.count("gateway_refused") >= 10, "the page did get through to the gateway, which refused it"


def test_a_page_of_another_origin_gets_nothing(site: Site) -> None:
    with page_elsewhere(site) as (gateway, got):
        assert_it_got_nothing(site, gateway, got)


def test_a_name_that_was_made_to_lead_here_gets_its_page_nothing(site: Site) -> None:
    with gateway_of(site) as gateway:
        same_host = f"http://{EVIL}:{gateway.port}"
        attempt = Attempt(gateway=same_host, token=TOKEN, question=QUESTION)
        with foreign_host(attempt.page(), port=gateway.port, leads_to=gateway.port):
            rules = f"--host-resolver-rules=MAP {EVIL} {FOREIGN}"
            got = opened(same_host + "/", site.folder / "browser", rules)
        assert "not_permitted" in got["fetch with the token"], "to the browser it is one origin: the refusal is read"
        assert_it_got_nothing(site, gateway, got)


def test_without_its_origin_the_same_page_gets_everything(site: Site) -> None:
    with page_elsewhere(site, NO_ORIGIN) as (gateway, got):
        assert '"id":"homebred"' in got["fetch with the token"]
        for way in ("post with the token", "request that posts with the token"):
            assert QUESTION in got[way]
        for way in ("post", "frame"):
            assert QUESTION not in got[way], "there the page has no way to name its token"
        assert dict(gateway.daemon.status().outcomes) == {"answer": 2}
