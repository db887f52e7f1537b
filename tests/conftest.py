"""For every test: interrupts arrive, whatever started the run; a hang has an end; and whether it should be thorough."""

from __future__ import annotations

import faulthandler
import functools
import gc
import os
import shutil
import signal
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

gc.disable()  # until all is collected: thousands of tests are made of objects of which none can go

settings.register_profile("all", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""No limits of time: Hypothesis prepares tables of Unicode first, which takes seconds on a slow machine."""
settings.register_profile("sample", settings.get_profile("all"), max_examples=20)
"""A fifth of the examples for whoever runs `make unit` again and again; `make test` takes them all."""
settings.load_profile("all")

UNIT = Path(__file__).parent / "unit"
LONGEST_FIRST = ("scenario", "acceptance", "integration", "conformance", "contract")
UNIT_TIMEOUT_S = 60
"""Nothing waits in a unit test; the others have pyproject's limit, or name their own."""
GRACE_S = 60
"""For a test that was told that its time is up to clear up after itself."""
_stderr = pytest.StashKey[int]()
"""Where standard error was before pytest captured it."""
_folder = pytest.StashKey[Path]()
"""With the folders of all tests."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--thorough`: every fault point and 200 kills a place, for minutes; without it a seeded sample.

    The variable HOMEBRED_THOROUGH says the same. It goes here: programs that tests start would take it for a setting.
    """
    parser.addoption("--thorough", action="store_true", default=bool(os.environ.pop("HOMEBRED_THOROUGH", "")))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A unit test has less time; and what is for a thorough run alone is skipped by name in any other.

    Who may take longest begins first, and of those with the same limit the part whose tests are longest: side by side,
    the last test of all is then a short one. Tests that share what is made once for their module keep together, or each
    process would make its own.
    """
    for item in items:
        if _shares_with_its_module(item) and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
        if _is_unit(item.path) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(UNIT_TIMEOUT_S))
    items.sort(key=lambda item: (-_limit_s(item), _rank(item.path)))
    if config.getoption("--thorough"):
        return
    for item in items:
        for mark in item.iter_markers("thorough"):
            item.add_marker(pytest.mark.skip(reason=f"{mark.args[0]}: `make test-all` runs it"))


def pytest_collection_finish() -> None:
    """What was collected stays to the end, and is not looked at again by each collection of garbage."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """A shell's background job ignores SIGINT, and so would every process that its tests start.

    The tests' folders have a short name, with a folder in it for each process of a run: there are sockets in them, and
    the length of a socket's path is bounded.
    """
    config.stash[_stderr] = os.dup(2)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if number := os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw"):
        config.option.basetemp = Path(config.option.basetemp).with_name(number)
    elif config.option.basetemp is None:
        config.option.basetemp = config.stash[_folder] = Path(tempfile.mkdtemp(prefix="hb"))


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> Generator[None, None, None]:
    """Where a test failed, the folders are left to be looked at."""
    yield
    if exitstatus == pytest.ExitCode.OK and _folder in session.config.stash:
        shutil.rmtree(session.config.stash[_folder], ignore_errors=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Ends the process, and says where each thread is, when the test's own timeout did not get it to end.

    That one raises an error, once, in whatever runs: a loop's callback swallows it, and a task that takes no cancelling
    keeps the loop that waits for it.
    """
    _end_late(item)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.hookimpl(trylast=True)
def pytest_exception_interact(node: pytest.Item | pytest.Collector) -> None:
    """Pytest calls the end off when a test fails, and clearing up after it may take for ever as well."""
    if isinstance(node, pytest.Item):
        _end_late(node)


@functools.cache
def _rank(path: Path) -> int:
    part = path.relative_to(UNIT.parent).parts[0]
    return LONGEST_FIRST.index(part) if part in LONGEST_FIRST else len(LONGEST_FIRST)


@functools.cache
def _is_unit(path: Path) -> bool:
    return path.is_relative_to(UNIT)


def _shares_with_its_module(item: pytest.Item) -> bool:
    if not isinstance(item, pytest.Function):
        return False
    made = item._fixtureinfo.name2fixturedefs.values()
    return any(definition.scope in ("class", "module") for definitions in made for definition in definitions)


def _end_late(item: pytest.Item) -> None:
    faulthandler.dump_traceback_later(_limit_s(item) + GRACE_S, exit=True, file=item.config.stash[_stderr])


def _limit_s(item: pytest.Item) -> float:
    mark = item.get_closest_marker("timeout")
    return float(mark.args[0] if mark else item.config.getini("timeout"))


@pytest.fixture
def thorough(request: pytest.FixtureRequest) -> bool:
    """Whether to go through everything, whatever time it takes."""
    return bool(request.config.getoption("--thorough"))
