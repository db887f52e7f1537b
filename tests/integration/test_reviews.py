"""Tasks that a person must answer, on a real daemon: filed, claimed, answered, killed in between, full, expired."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.command_line import Ended, homebred
from tests.support.daemon_process import Site
from tests.support.ledger_entries import OUTCOME, entry, keep_documents
from tests.support.wire_client import DaemonClient

from homebred_daemon.adapters.store.database import LEDGER, REVIEW, connect
from homebred_daemon.adapters.store.ledger import SqliteLedger
from homebred_daemon.adapters.store.rows import outcome_row
from homebred_daemon.errors import HomebredError
from homebred_daemon.services.replaying import replay
from homebred_protocol.v1 import control_pb2
from homebred_protocol.v1 import inference_pb2 as wire

TEXT = "may Xylophonia Quartermain go home?"
SCHEMA = '{"type": "object", "required": ["home"], "properties": {"home": {"type": "boolean"}}}'
ANSWER = '{"home": true}'


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def sent(client: DaemonClient, text: str = TEXT, schema: str = "") -> str:
    """Sends a task that nobody here may answer; its route."""
    task = wire.Task(text=text, data_classes=["patient"], response_schema=schema)
    heard = list(client.generate(wire.GenerateRequest(task=task)))
    assert heard[-1].outcome.status == wire.OUTCOME_STATUS_REVIEW
    return heard[0].decision.route_id


def claimed(client: DaemonClient, route_id: str = "") -> str:
    return client.claim_review(route_id).claim_id


def resolve(client: DaemonClient, route_id: str, claim_id: str, output: str = ANSWER) -> control_pb2.Review:
    return client.resolve_review(route_id, claim_id, output=output).review


def code_of(refused: pytest.ExceptionInfo[HomebredError]) -> str:
    return refused.value.code


def test_a_task_is_filed_claimed_shown_resolved_and_its_caller_gets_the_answer(site: Site) -> None:
    with site.daemon() as client:
        route_id = sent(client, schema=SCHEMA)
        (listed,) = client.list_reviews().reviews
        assert (listed.route_id, listed.state, listed.reason_code) == (
            route_id,
            wire.REVIEW_STATE_WAITING,
            "no_candidate",
        )
        assert (listed.filed_by, list(listed.classes)) == (f"uid:{os.geteuid()}", ["patient"])
        assert client.get_review(route_id).state == wire.REVIEW_STATE_WAITING
        claim = client.claim_review()
        assert claim.review.claimed_by == f"uid:{os.geteuid()}"
        shown = client.show_review(route_id)
        assert [(message.role, message.content) for message in shown.messages] == [("user", TEXT)]
        assert shown.response_schema == SCHEMA
        with pytest.raises(HomebredError) as refused:
            resolve(client, route_id, claim.claim_id, "no JSON")
        assert code_of(refused) == "bad_request"
        for _ in range(2):
            assert resolve(client, route_id, claim.claim_id).state == wire.REVIEW_STATE_ANSWERED
        with pytest.raises(HomebredError) as refused:
            resolve(client, route_id, claim.claim_id, '{"home": false}')
        assert code_of(refused) == "conflict"
        result = client.get_review(route_id)
        assert (result.state, result.output) == (wire.REVIEW_STATE_ANSWERED, ANSWER)
        reviews = client.status().reviews
        assert (reviews.waiting, reviews.claimed, reviews.answered, reviews.capacity) == (0, 0, 1, 1000)


def test_a_caller_may_wait_and_a_reviewer_may_watch(site: Site) -> None:
    with site.daemon() as client, ThreadPoolExecutor(2) as pool:
        route_id = sent(client)
        waiting = pool.submit(client.get_review, route_id, wait_s=30)
        watching = client.watch_reviews()
        assert next(watching).state == wire.REVIEW_STATE_WAITING
        claim_id = claimed(client)
        assert next(watching).state == wire.REVIEW_STATE_CLAIMED
        released = client.release_review(route_id, claim_id).review
        assert released.state == next(watching).state == wire.REVIEW_STATE_WAITING
        claim_id = claimed(client)
        client.resolve_review(route_id, claim_id, declined="ask her doctor")
        watching.close()
        result = waiting.result(20)
    assert (result.state, result.note, result.output) == (wire.REVIEW_STATE_DECLINED, "ask her doctor", "")


def test_two_reviewers_who_claim_at_once_get_one_review_between_them(site: Site) -> None:
    with site.daemon() as client, ThreadPoolExecutor(8) as pool:
        route_id = sent(client)

        def attempt(_: int) -> str:
            try:
                return "won" if claimed(client, route_id) else ""
            except HomebredError as error:
                return error.code

        assert sorted(pool.map(attempt, range(8))) == ["conflict"] * 7 + ["won"]


def test_killed_between_all_steps_nothing_is_lost_and_nothing_is_resolved_twice(site: Site) -> None:
    with site.daemon(killed=True) as client:
        route_id = sent(client)
    with site.daemon(killed=True) as client:
        claim_id = claimed(client, route_id)
    with site.daemon(killed=True) as client:
        resolve(client, route_id, claim_id)
    with site.daemon(killed=True) as client:
        resolve(client, route_id, claim_id)
        with pytest.raises(HomebredError) as refused:
            resolve(client, route_id, claim_id, "another answer")
        assert code_of(refused) == "conflict"
    with site.daemon() as client:
        assert client.get_review(route_id).output == ANSWER
        assert client.status().reviews.answered == 1
        assert dict(client.status().outcomes) == {"review": 1}


def test_no_file_and_no_log_says_what_task_and_answer_say(site: Site) -> None:
    words = [b"Xylophonia", b"Quartermain", b"canary", b"heron"]

    def found() -> list[bytes]:
        files = [path for path in site.folder.rglob("*") if path.is_file()]
        held = b"\n".join(path.read_bytes() for path in files)
        return [word for word in words if word in held]

    with site.daemon("--log-level", "debug") as client:
        route_id = sent(client, schema='{"title": "canary"}')
        claim_id = claimed(client)
        with pytest.raises(HomebredError) as refused:
            resolve(client, route_id, claim_id, "not json: heron")
        assert "heron" not in refused.value.message
        resolve(client, route_id, claim_id, '"heron"')
        client.feedback(
            wire.FeedbackRequest(route_id=route_id, verdict=wire.VERDICT_CORRECTED, corrected_output="canary")
        )
        assert found() == []
    assert found() == []


def settings(site: Site, body: str) -> str:
    path = site.folder / "homebred.toml"
    path.write_text(body)
    return str(path)


def test_a_full_queue_refuses_acceptance(site: Site) -> None:
    with site.daemon("--config", settings(site, "[review]\nmax_items = 2\n")) as client:
        sent(client)
        route_id = sent(client)
        with pytest.raises(HomebredError) as refused:
            sent(client)
        assert code_of(refused) == "overloaded"
        assert "review queue is full" in refused.value.message
        assert dict(client.status().outcomes) == {"review": 2}
        resolve(client, route_id, claimed(client, route_id))
        sent(client)


def test_what_nobody_answers_ends_as_counted_expired(site: Site) -> None:
    with site.daemon("--config", settings(site, f"[review]\nretention_h = {2 / 3600}\n")) as client:
        route_id = sent(client)
        result = client.get_review(route_id, wait_s=20)
        assert result.state == wire.REVIEW_STATE_EXPIRED
        assert client.status().reviews.expired == 1
        time.sleep(2.5)
        with pytest.raises(HomebredError) as refused:
            client.get_review(route_id)
        assert code_of(refused) == "not_found"
    with closing(connect(site.state / "review.sqlite", REVIEW)) as connection:
        for table in ("items", "contents"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] == 0  # noqa: S608


def test_with_another_key_the_daemon_starts_lists_and_says_per_item_that_it_cannot_be_opened(site: Site) -> None:
    with site.daemon() as client:
        route_id = sent(client)
    (site.state / "review.key").unlink()
    with site.daemon() as client:
        assert len(client.list_reviews().reviews) == 1
        with pytest.raises(HomebredError) as refused:
            client.show_review(route_id)
        assert (code_of(refused), "restore the key" in refused.value.hint) == ("bad_state", True)
        assert client.show_review(sent(client)).messages


def test_a_key_that_others_can_read_stops_the_start_with_what_to_do(site: Site) -> None:
    with site.daemon():
        pass
    (site.state / "review.key").chmod(0o644)
    with pytest.raises(AssertionError), site.daemon():
        pass
    assert "next:  chmod 0600" in site.log


def test_a_stop_waits_for_nobody_who_watches_or_waits(site: Site) -> None:
    with ThreadPoolExecutor(2) as pool:
        with site.daemon() as client:
            route_id = sent(client)
            watching = client.watch_reviews()
            next(watching)
            waiting = pool.submit(client.get_review, route_id, wait_s=60)
            while_waiting = pool.submit(lambda: [one.state for one in watching])
            time.sleep(0.3)
            assert site.process is not None
            site.process.terminate()
            started_s = time.monotonic()
            assert waiting.result(10).state == wire.REVIEW_STATE_WAITING
            with pytest.raises(HomebredError) as refused:
                while_waiting.result(10)
            assert code_of(refused) == "draining"
        assert time.monotonic() - started_s < 4


# Recovery


def test_what_a_crash_left_open_has_its_outcome_before_the_next_start_takes_tasks(site: Site) -> None:
    site.add_echo("slow", workflow="slow.work", script={"token_delay_s": 0.2})
    with site.daemon(killed=True) as client:
        sent(client)
        task = wire.Task(text="word " * 50, workflow="slow.work", data_classes=["patient"])
        stream = client.generate(wire.GenerateRequest(task=task))
        while not next(stream).HasField("delta"):
            pass
    with contextlib.suppress(HomebredError):
        list(stream)
    with site.daemon() as client:
        assert dict(client.status().outcomes) == {"error": 1, "review": 1}
    with closing(SqliteLedger(site.state / "ledger.sqlite", read_only=True)) as ledger:
        report = replay(ledger)
    assert (report.is_sound, report.check.unfinished) == (True, 0)
    assert "The daemon had not ended in good order: 1 tasks were interrupted" in site.log


def test_a_task_that_was_filed_but_not_told_of_is_a_review_after_the_crash(site: Site) -> None:
    with site.daemon() as client:
        route_id = sent(client)
    with closing(connect(site.state / "ledger.sqlite", LEDGER)) as connection:
        connection.execute("DELETE FROM outcomes")
        connection.execute("DELETE FROM marks")
    with site.daemon() as client:
        assert dict(client.status().outcomes) == {"review": 1}
        assert client.get_review(route_id).state == wire.REVIEW_STATE_WAITING


def test_a_long_ledger_with_nothing_open_costs_a_start_next_to_nothing(site: Site) -> None:
    site.state.mkdir(parents=True)
    path = site.state / "ledger.sqlite"
    with closing(SqliteLedger(path)) as ledger:
        keep_documents(ledger)
        template = entry("r0")
        for number in range(0, 20_000, 1000):
            batch = [replace(template, route_id=f"r{each}") for each in range(number, number + 1000)]
            ledger.record_decisions(batch)
            ledger._connection.execute("BEGIN")
            for one in batch:
                outcome = outcome_row(replace(OUTCOME, route_id=one.route_id))
                ledger._connection.execute(ledger._queries["add_outcome"], outcome)
            ledger._connection.execute("COMMIT")
        started_s = time.process_time()
        assert ledger.unfinished(500) == []
        first_s = time.process_time() - started_s
        started_s = time.process_time()
        assert ledger.unfinished(500) == []
        assert time.process_time() - started_s < max(first_s, 0.05)


# Feedback


def test_a_caller_says_how_good_an_answer_was_and_its_last_word_holds(site: Site) -> None:
    site.add_echo("repeater")
    with site.daemon() as client:
        task = wire.Task(text="two teas", data_classes=["patient"])
        route_id = next(iter(list(client.generate(wire.GenerateRequest(task=task))))).decision.route_id
        for verdict, output in ((wire.VERDICT_CORRECTED, "2 teas"), (wire.VERDICT_GOOD, "")):
            client.feedback(wire.FeedbackRequest(route_id=route_id, verdict=verdict, corrected_output=output))
        for request in (
            wire.FeedbackRequest(route_id="nobody's", verdict=wire.VERDICT_GOOD),
            wire.FeedbackRequest(route_id=route_id),
        ):
            with pytest.raises(HomebredError) as refused:
                client.feedback(request)
            assert code_of(refused) in {"not_found", "bad_request"}
    with closing(SqliteLedger(site.state / "ledger.sqlite", read_only=True)) as ledger:
        (row,) = ledger._rows("feedback")
        assert (row["route_id"], row["verdict"], row["has_correction"]) == (route_id, "good", 0)
        assert replay(ledger).is_sound


# The command line


@pytest.fixture
def daemon(site: Site) -> Iterator[DaemonClient]:
    with site.daemon() as client:
        yield client


def command(site: Site, *arguments: str, stdin: str = "") -> Ended:
    return homebred(*arguments, "--socket", str(site.socket), stdin=stdin)


def sole_route(client: DaemonClient) -> str:
    (review,) = client.list_reviews().reviews
    return review.route_id


def test_a_person_works_the_queue_at_a_terminal(site: Site, daemon: DaemonClient) -> None:
    asked = command(site, "ask", TEXT, "--class", "patient")
    assert asked.status == 1
    assert "homebred review wait" in asked.err
    route_id = asked.err.split("homebred review wait ")[1].split("`")[0]
    assert route_id == sole_route(daemon)
    listed = command(site, "review", "list")
    assert route_id[:8] in listed.out
    assert "Xylophonia" not in listed.out
    claim = command(site, "review", "claim", route_id[:6])
    assert TEXT in claim.out
    typed = next(line for line in claim.out.splitlines() if line.startswith("next:")).removeprefix("next: homebred ")
    claim_id = typed.split("--claim ")[1].split()[0]
    resolved = command(site, "review", "resolve", route_id[:8], "--claim", claim_id, "-", stdin="yes, she may\n")
    assert (resolved.status, "answered" in resolved.out) == (0, True)
    waited = command(site, "review", "wait", route_id)
    assert (waited.status, waited.out) == (0, "yes, she may\n")
    assert command(site, "feedback", route_id, "good").status == 0
    nothing = command(site, "review", "claim")
    assert (nothing.status, "nothing waits for a person" in nothing.err) == (1, True)


def test_the_json_of_every_command_is_one_object(site: Site, daemon: DaemonClient) -> None:
    for _ in range(2):
        sent(daemon)
    (listed,) = command(site, "review", "list", "--json").lines
    assert [one["state"] for one in listed["reviews"]] == ["waiting", "waiting"]
    (claim,) = command(site, "review", "claim", "--json").lines
    route_id = claim["review"]["route_id"]
    (shown,) = command(site, "review", "show", route_id, "--json").lines
    assert shown["messages"] == [{"role": "user", "content": TEXT}]
    (released,) = command(site, "review", "release", route_id, "--claim", claim["claim_id"], "--json").lines
    assert released["state"] == "waiting"
    refused = command(site, "review", "resolve", route_id, "--claim", claim["claim_id"], "--output", "x", "--json")
    assert (refused.status, refused.lines[0]["error"]["code"]) == (4, "conflict")
    (claim,) = command(site, "review", "claim", route_id, "--json").lines
    declined = command(site, "review", "resolve", route_id, "--claim", claim["claim_id"], "--decline", "no", "--json")
    assert declined.lines[0]["state"] == "declined"
    waited = command(site, "review", "wait", route_id, "--json")
    assert (waited.status, waited.lines[0]["note"]) == (1, "no")
    (every,) = command(site, "review", "list", "--all", "--limit", "1", "--json").lines
    assert (len(every["reviews"]), every["more"]) == (1, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ["list", "--state", "asleep"],
        ["show", "no-such-review"],
        ["resolve", "x", "--claim", "c"],
        ["resolve", "x", "--claim", "c", "--output", "a", "--decline", "b"],
        ["resolve", "x", "--claim", "c", "--output-file", "/nonexistent/answer"],
        ["resolve", "x", "sideways", "--claim", "c"],
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_to_do(
    site: Site, daemon: DaemonClient, arguments: list[str]
) -> None:
    refused = command(site, "review", *arguments)
    assert (refused.status, refused.err.startswith("error: "), "next:  " in refused.err) == (2, True, True)


def test_a_task_cannot_steer_a_reviewers_terminal(site: Site, daemon: DaemonClient) -> None:
    route_id = sent(daemon, "\x1b[2Jwipe\u202e\x07 me\nplease")
    shown = command(site, "review", "show", route_id)
    assert "\\x1b[2Jwipe\\u202e\\x07 me\nplease" in shown.out


def test_ask_waits_for_a_person(site: Site, daemon: DaemonClient) -> None:
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(command, site, "ask", TEXT, "--class", "patient", "--wait", "30", "--json")
        deadline_s = time.monotonic() + 20
        while not daemon.status().reviews.waiting and time.monotonic() < deadline_s:
            time.sleep(0.05)
        (review,) = daemon.list_reviews().reviews
        resolve(daemon, review.route_id, claimed(daemon), "yes")
        ended = asking.result(30)
    assert (ended.status, json.loads(ended.out)["review"]["output"]) == (0, "yes")
    short = command(site, "ask", TEXT, "--class", "patient", "--wait", "0.2")
    assert (short.status, "[waiting]" in short.err) == (1, True)
