"""Releases change under a real daemon that answers: by one small file, seen by its callers as one specialist."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.daemon_process import Site
from tests.support.release_folders import SPECIALIST, WORKFLOW, write_release
from tests.support.stored_specialists import measured
from tests.support.wire_client import DaemonClient

from homebred_daemon.adapters.release_store import ReleaseStore
from homebred_daemon.core.activation import Activation
from homebred_protocol.v1 import inference_pb2 as wire

ROLLBACK_WITHIN_S = 1.0
TEXT = "a b c d e f g h i j k l m n o p q r s t"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def store(site: Site) -> ReleaseStore:
    """Releases 1 and 2 are there, measured; 1 serves."""
    made = ReleaseStore(site.state / "models")
    for number in (1, 2):
        folder = site.folder / "offered" / str(number)
        model = {"format": "homebred-echo", "token_delay_s": 0.05, "logprob": -float(number)}
        release = write_release(
            folder, number, model=model, further=f'[prompt]\ntemplate = "release {number}: {{input}}"'
        )
        assert made.take(folder, release) is None
        stored = made.stored(SPECIALIST, number)
        assert stored is not None
        made.record_release_fitness(stored, {WORKFLOW: replace(measured(stored), samples=100)})
    put_in_force(made, 1)
    return made


def put_in_force(store: ReleaseStore, number: int) -> None:
    activation = Activation(number=number, digest="sha256:" + f"{number}" * 64, activated_at_s=1, lease_expires_at_s=2)
    store.activate(SPECIALIST, store.in_force(SPECIALIST).activated(activation))


def ask(client: DaemonClient, text: str = "x") -> str:
    task = wire.Task(text=text, data_classes=["patient"], workflow=WORKFLOW)
    heard = list(client.generate(wire.GenerateRequest(task=task)))
    assert heard[-1].outcome.answered_by == SPECIALIST
    return "".join(event.delta for event in heard)


def test_a_running_answer_ends_on_its_release_new_ones_come_from_the_next_and_a_rollback_takes_less_than_a_second(
    site: Site, store: ReleaseStore
) -> None:
    with site.daemon() as client:
        assert ask(client) == "release 1: x"
        begun, said = threading.Event(), []

        def ask_at_length() -> None:
            task = wire.Task(text=TEXT, data_classes=["patient"], workflow=WORKFLOW)
            with DaemonClient(site.socket) as other:
                for event in other.generate(wire.GenerateRequest(task=task)):
                    said.append(event.delta)
                    if event.delta:
                        begun.set()

        asking = threading.Thread(target=ask_at_length)
        asking.start()
        assert begun.wait(10)
        put_in_force(store, 2)
        client.reload_models()
        assert asking.is_alive(), "it still answers"
        assert ask(client) == "release 2: x"
        asking.join(20)
        assert "".join(said) == f"release 1: {TEXT}"
        (shown,) = client.status().specialists
        assert shown.id == SPECIALIST

        started_s = time.monotonic()
        store.move_back(SPECIALIST)
        client.reload_models()
        took_s = time.monotonic() - started_s
        assert ask(client) == "release 1: x"
        assert took_s < ROLLBACK_WITHIN_S
    with site.daemon() as client:  # a restart needs the record alone
        assert ask(client) == "release 1: x"
