"""Many specialists on one base model, each with its own adapter: a real daemon, the real llama.cpp, a tiny model."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.support.daemon_process import Site
from tests.support.wire_client import DaemonClient

from homebred_protocol.v1 import inference_pb2 as wire

TEXT = "the same words for all"
STREAMS = 32
PATIENCE_S = 60.0


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def ask(client: DaemonClient, workflow: str, text: str = TEXT) -> str:
    """The answer, of the specialist that the workflow names, and of no other."""
    task = wire.Task(text=text, data_classes=["patient"], workflow=workflow)
    heard = list(client.generate(wire.GenerateRequest(task=task)))
    assert heard[0].decision.selected_model_or_stack == workflow
    assert heard[-1].outcome.status == wire.OUTCOME_STATUS_ANSWER, heard[-1]
    return "".join(event.delta for event in heard)


def served_adapters(client: DaemonClient) -> set[str]:
    return {digest for worker in client.status().workers for digest in worker.adapters}


def resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def test_specialists_on_one_base_share_a_worker_and_each_speaks_with_its_own_adapter(site: Site) -> None:
    site.add_tiny("base")
    for seed, name in enumerate("abc", start=1):
        site.add_tiny(name, adapter_seed=seed)
    names = ["base", *"abc"]
    with site.daemon() as client:
        alone = {name: ask(client, name) for name in names}
        assert len(set(alone.values())) == len(names), "each has a voice of its own"
        with ThreadPoolExecutor(8) as threads:
            mixed = list(threads.map(lambda name: (name, ask(client, name)), names * 6))
        assert all(answer == alone[name] for name, answer in mixed)
        assert len(client.status().workers) == 1
        assert len(served_adapters(client)) == 3


def test_sixteen_first_requests_load_once_and_unloading_gives_the_memory_back(site: Site) -> None:
    for seed, name in enumerate("abcd", start=1):
        site.add_tiny(name, adapter_seed=seed)
    with site.daemon() as client:
        assert site.process is not None
        daemon_pid = site.process.pid
        rounds = []
        for _ in range(3):
            with ThreadPoolExecutor(16) as threads:
                answers = list(threads.map(lambda name: ask(client, name), "abcd" * 4))
            assert len(set(answers)) == 4
            (worker,) = client.status().workers
            client.unload_model("a")
            assert not client.status().workers
            with pytest.raises(ProcessLookupError):
                os.kill(worker.process_id, 0)
            rounds.append(resident_bytes(daemon_pid))
        assert site.log.count('"event": "worker_started"') == 3, "one load a round, whoever asked first"
        assert rounds[2] <= rounds[1] * 1.05, "what loading and serving took is given back"


def test_adapters_are_added_replaced_and_removed_under_32_live_streams(site: Site) -> None:
    for seed, name in enumerate("ab", start=1):
        site.add_tiny(name, adapter_seed=seed)
    with site.daemon() as client:
        voices = {name: ask(client, name) for name in "ab"}
        over, answers = threading.Event(), [list[str]() for _ in range(STREAMS)]

        def keep_asking(number: int) -> None:
            with DaemonClient(site.socket) as own:
                while not over.is_set():
                    answers[number].append(ask(own, "ab"[number % 2]))

        with ThreadPoolExecutor(STREAMS) as threads:
            running = [threads.submit(keep_asking, number) for number in range(STREAMS)]
            try:
                until(lambda: all(answers))
                changes = _changed_thrice(site, client)
            finally:
                over.set()
            for stream in running:
                stream.result()  # one that was dropped, or ended without an answer, raises here
        print(f"\n{sum(map(len, answers))} answers on {STREAMS} streams while adapters changed {changes} times")  # noqa: T201
        for number, heard in enumerate(answers):
            assert set(heard) == {voices["ab"[number % 2]]}, "none is mixed up with another"
        assert len({*voices.values(), ask(client, "c")}) == 3


def _changed_thrice(site: Site, client: DaemonClient) -> int:
    """Adds an adapter, puts another in its place, adds and removes one more; each change is waited for."""
    before = served_adapters(client)
    site.add_tiny("c", adapter_seed=3)
    client.reload_models()
    until(lambda: len(served_adapters(client)) == 3)
    (first,) = served_adapters(client) - before
    site.add_tiny("c", adapter_seed=4, replaces=True)
    client.reload_models()
    until(lambda: len(served_adapters(client)) == 3 and first not in served_adapters(client))
    return 2


def test_a_model_that_fits_no_budget_is_refused_before_loading_and_says_what_to_do(site: Site) -> None:
    site.add_tiny("a")
    config = site.folder / "homebred.toml"
    config.write_text("[engine]\nmemory_budget_mb = 100\n")
    with site.daemon("--config", str(config)) as client:
        task = wire.Task(text=TEXT, data_classes=["patient"], workflow="a")
        outcome = list(client.generate(wire.GenerateRequest(task=task)))[-1].outcome
        assert outcome.status == wire.OUTCOME_STATUS_REVIEW, "a person answers"
        with pytest.raises(Exception, match=r"(?s)a cannot be loaded.*all models together may take 100 MB"):
            client.load_model("a")
        assert not client.status().workers
    assert '"event": "worker_started"' not in site.log


def test_a_daemon_without_room_for_two_takes_turns(site: Site) -> None:
    site.add_tiny("a")
    site.add_echo("other", workflow="other")
    config = site.folder / "homebred.toml"
    config.write_text("[engine]\nmemory_budget_mb = 250\nkeep_alive_s = 0.2\n")
    with site.daemon("--config", str(config)) as client:
        assert ask(client, "a")
        assert ask(client, "other")
        until(lambda: not client.status().workers)
