"""Workers killed in the middle of streams: the callers hear so, the daemon serves on, nothing is left over."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from tests.support.daemon_process import Site
from tests.support.killed_workers import kill_workers
from tests.support.stored_specialists import measured
from tests.support.tiny_gguf import write_tiny_gguf

from homebred_daemon.adapters.model_store import ModelStore
from homebred_protocol.v1 import inference_pb2 as wire

SEED = 20261123
KILLS, KILLS_WHEN_THOROUGH = 12, 200
SAMPLES = 150


@pytest.fixture
def kills(thorough: bool) -> int:  # noqa: FBT001 - a fixture
    return KILLS_WHEN_THOROUGH if thorough else KILLS


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def add_tiny_gguf(site: Site, name: str) -> None:
    """A real model of the llama.cpp engine that babbles."""
    store = ModelStore(site.state / "models")
    stored = store.add(write_tiny_gguf(site.folder / "tiny.gguf"), specialist_id=name).specialist
    store.record_fitness(name, {"*": replace(measured(stored), samples=SAMPLES)})


def echoed(random: Random) -> wire.Task:
    text = "[echo token_delay_s=0.01]\n" + "word " * random.randint(10, 100)
    return wire.Task(text=text, data_classes=["patient"])


def babbled(random: Random) -> wire.Task:
    return wire.Task(text="word " * random.randint(1, 200), data_classes=["patient"])


@pytest.mark.thorough("the same is shown every time on the engine that serves models")
@pytest.mark.timeout(900)
def test_an_echo_worker_killed_mid_stream_costs_its_streams_and_nothing_else(site: Site, kills: int) -> None:
    site.add_echo("repeater")
    tally, heard = kill_workers(site, "repeater", echoed, kills=kills, seed=SEED, within_s=0.3)
    print(f"echo workers killed: {tally}")  # noqa: T201 - with `pytest -s`: what was gone through
    assert tally.kills >= kills
    assert any(each.outcomes == ["error"] and each.deltas for each in heard), "some were cut in the middle"


@pytest.mark.timeout(900)
def test_a_llamacpp_worker_killed_mid_stream_costs_its_streams_and_nothing_else(site: Site, kills: int) -> None:
    add_tiny_gguf(site, "tiny")
    tally, heard = kill_workers(site, "tiny", babbled, kills=kills, seed=SEED, within_s=0.3)
    print(f"llama.cpp workers killed: {tally}")  # noqa: T201 - as above
    assert tally.kills >= kills
    assert any(each.outcomes == ["error"] and each.deltas for each in heard), "some were cut in the middle"
