"""For every test: interrupts arrive, whatever started this run; and whether it should be thorough."""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("all", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""No limits of time: Hypothesis prepares tables of Unicode first, which takes seconds on a slow machine."""
settings.register_profile("sample", settings.get_profile("all"), max_examples=20)
"""A fifth of the examples for whoever runs `make unit` again and again; `make test` takes them all."""
settings.load_profile("all")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--thorough`: every fault point and 200 kills a place, for minutes; without it a seeded sample."""
    parser.addoption("--thorough", action="store_true", default=bool(os.environ.get("HOMEBRED_THOROUGH")))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is for a thorough run alone is skipped by name in any other."""
    if config.getoption("--thorough"):
        return
    for item in items:
        for mark in item.iter_markers("thorough"):
            item.add_marker(pytest.mark.skip(reason=f"{mark.args[0]}: `make test-all` runs it"))


def pytest_configure() -> None:
    """A shell's background job ignores SIGINT, and so would every process that its tests start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def thorough(request: pytest.FixtureRequest) -> bool:
    """Whether to go through everything, whatever time it takes."""
    return bool(request.config.getoption("--thorough"))
