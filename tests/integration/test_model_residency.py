"""Models loaded, unloaded, pinned and parked in a real daemon, through its command line."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from tests.support.command_line import Ended, homebred
from tests.support.daemon_process import Site
from tests.support.wire_client import DaemonClient

from homebred_daemon.cli.exits import Exit
from homebred_daemon.core.supervision import FAILURES_TO_PARK, backoff_s
from homebred_daemon.errors import HomebredError
from homebred_protocol.v1 import control_pb2
from homebred_protocol.v1 import inference_pb2 as wire


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def ask(client: DaemonClient, text: str, workflow: str = "") -> tuple[int, str]:
    """The outcome's status and what was streamed."""
    task = wire.Task(text=text, data_classes=["patient"], workflow=workflow)
    try:
        heard = list(client.generate(wire.GenerateRequest(task=task)))
    except HomebredError as error:
        return wire.OUTCOME_STATUS_ERROR, error.code
    return heard[-1].outcome.status, "".join(event.delta for event in heard)


def models(site: Site, *arguments: str) -> Ended:
    return homebred("models", *arguments, "--socket", str(site.socket))


def configured(site: Site, **engine: float) -> Path:
    """A configuration file with these settings of [engine]."""
    path = site.folder / "homebred.toml"
    path.write_text("[engine]\n" + "".join(f"{name} = {value}\n" for name, value in engine.items()))
    return path


def state_of(client: DaemonClient, name: str) -> control_pb2.SpecialistStatus:
    return next(one for one in client.status().specialists if one.id == name)


def pids(client: DaemonClient) -> set[int]:
    return {worker.process_id for worker in client.status().workers}


@pytest.mark.slow
@pytest.mark.thorough("it rests between crashes as long as it says; the unit suite does it in no time")
def test_a_crashing_model_is_parked_with_the_reason_while_others_answer_and_an_operator_revives_it(site: Site) -> None:
    site.add_echo("fragile", workflow="fragile")
    site.add_echo("sound", workflow="sound", script={"token_delay_s": 0.001})  # another file, so another model
    crash, kept = "[echo crash_after=0]\na", 0
    with site.daemon() as client:
        for failures in range(1, FAILURES_TO_PARK + 1):
            assert ask(client, crash, "fragile")[0] != wire.OUTCOME_STATUS_ANSWER
            assert ask(client, "still here", "sound") == (wire.OUTCOME_STATUS_ANSWER, "still here")
            kept += 1
            if failures < FAILURES_TO_PARK:
                time.sleep(backoff_s(failures) + 0.1)
        parked = state_of(client, "fragile")
        assert parked.parked
        assert parked.note.startswith("parked after 5 failures: ")
        assert "SIGABRT" in parked.note
        time.sleep(1)
        started = pids(client)
        assert ask(client, "hello", "fragile")[0] == wire.OUTCOME_STATUS_REVIEW, "no candidate: straight to a person"
        assert pids(client) == started, "nothing was started for it"
        assert dict(client.status().outcomes)["answer"] == kept

        ended = models(site, "load", "fragile", "--json")
        assert (ended.status, ended.lines[0]["loaded"], ended.lines[0]["worker"]["engine"]) == (0, True, "echo")
        assert (state_of(client, "fragile").parked, state_of(client, "fragile").note) == (False, "")
        assert ask(client, "hello", "fragile") == (wire.OUTCOME_STATUS_ANSWER, "hello")
    assert '"event": "model_parked"' in site.log
    assert "crash_after" not in site.log


def test_a_refused_model_is_parked_at_once_and_loading_it_says_why(site: Site) -> None:
    site.add_echo("damaged", script={"refuse_load": "Its tensors are missing."})
    with site.daemon() as client:
        ask(client, "hello")
        assert state_of(client, "damaged").note == "parked after 1 failure: Its tensors are missing."
        ended = models(site, "load", "damaged")
        assert ended.status == Exit.FAILED
        assert "damaged cannot be loaded" in ended.err
        assert "Its tensors are missing" in ended.err
        assert "next:" in ended.err
        assert state_of(client, "damaged").parked


def test_a_model_is_loaded_before_anybody_asks_and_its_memory_is_free_after_it_is_unloaded(site: Site) -> None:
    site.add_echo("one")
    with site.daemon() as client:
        loaded = models(site, "load", "one")
        assert loaded.out.startswith("loaded: one, in worker ")
        (pid,) = pids(client)
        assert models(site, "unload", "one", "--json").lines == [{"id": "one", "was_loaded": True}]
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        assert models(site, "unload", "one").out == "one was not loaded\n"
        assert ask(client, "hello") == (wire.OUTCOME_STATUS_ANSWER, "hello")


def test_a_pinned_model_outlives_the_need_for_room_and_not_all_can_be_pinned(site: Site) -> None:
    for name in "abc":  # of different files: models are known by what is in them
        site.add_echo(name, workflow=name, script={"token_delay_s": 0.001 * (1 + "abc".index(name))})
    with site.daemon("--config", str(configured(site, max_models=2))) as client:
        assert models(site, "pin", "a").out == "pinned: a\n"
        for name in "abcb":
            assert ask(client, "hello", name)[0] == wire.OUTCOME_STATUS_ANSWER
        assert {name: state_of(client, name).loaded for name in "abc"} == {"a": True, "b": True, "c": False}
        refused = models(site, "pin", "b", "--json")
        assert refused.status == Exit.USAGE
        assert refused.lines[0]["error"]["code"] == "bad_request"
        assert "one must be free" in refused.lines[0]["error"]["message"]
        assert models(site, "unpin", "a", "--json").lines == [{"id": "a", "pinned": False}]
        assert not state_of(client, "a").pinned


def test_a_specialist_that_is_not_there_is_an_error_with_a_way_out(site: Site) -> None:
    with site.daemon():
        ended = models(site, "load", "nobody", "--json")
    error: dict[str, Any] = ended.lines[0]["error"]
    assert (ended.status, error["code"]) == (Exit.USAGE, "not_found")
    assert "homebred models list" in error["hint"]


def test_a_worker_killed_from_outside_is_taken_for_out_of_memory_and_replaced_by_the_next_task(site: Site) -> None:
    site.add_echo("one")
    with site.daemon() as client:
        ask(client, "hello")
        (pid,) = pids(client)
        os.kill(pid, signal.SIGKILL)
        deadline_s = time.monotonic() + 10
        while not (note := state_of(client, "one").note):
            assert time.monotonic() < deadline_s
        assert "probably out of memory" in note
        time.sleep(1.1)
        assert ask(client, "hello") == (wire.OUTCOME_STATUS_ANSWER, "hello")
