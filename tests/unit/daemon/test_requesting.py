from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from homebred_daemon.core.fleet_messages import Answered, Request
from homebred_daemon.core.requesting import ANSWER_WITHIN_S, MOST_UNDER_WAY, Ask, Failure, Requesting, Settle
from homebred_protocol.requests import CORRELATION_BYTES, Outcome

BOOT = "ab" * 16


def asked(requesting: Requesting, number: int, at_s: float = 0.0) -> Request:
    request = requesting.ask(Ask(number, "blocks", b"which"), at_s)
    assert isinstance(request, Request)
    return request


def answer(request: Request, body: bytes = b"these", outcome: Outcome = Outcome.GIVEN) -> Answered:
    return Answered(correlation=request.correlation, outcome=outcome, body=body)


def test_an_answer_is_handed_to_whoever_asked_once() -> None:
    requesting = Requesting(BOOT)
    first, second = asked(requesting, 1), asked(requesting, 2)
    assert (first.operation, first.body, len(first.correlation)) == ("blocks", b"which", CORRELATION_BYTES)
    assert requesting.answered(answer(second)) == Settle(2, b"these")
    assert requesting.answered(answer(first)) == Settle(1, b"these")
    assert requesting.answered(answer(first)) is None


def test_an_answer_to_an_earlier_start_or_to_nobody_settles_nothing() -> None:
    requesting, before = Requesting(BOOT), Requesting("cd" * 16)
    asked(requesting, 1)
    assert requesting.answered(answer(asked(before, 1))) is None
    assert requesting.answered(answer(asked(Requesting(BOOT), 7))) is None
    assert requesting.answered(Answered(correlation=b"x" * 16, outcome=Outcome.GIVEN, body=b"")) is None


def test_what_the_controller_does_not_give_is_a_failure_with_its_reason() -> None:
    requesting = Requesting(BOOT)
    assert requesting.answered(answer(asked(requesting, 1), b"", Outcome.LATER)) == Settle(1, Failure.LATER)
    assert requesting.answered(answer(asked(requesting, 2), b"", Outcome.REFUSED)) == Settle(2, Failure.REFUSED)


def test_one_that_never_comes_is_given_up_in_time_and_an_answer_after_that_means_nothing() -> None:
    requesting = Requesting(BOOT)
    first, _ = asked(requesting, 1, at_s=100.0), asked(requesting, 2, at_s=105.0)
    assert requesting.due_s() == 100.0 + ANSWER_WITHIN_S
    assert requesting.late(100.0 + ANSWER_WITHIN_S - 0.1) == []
    assert requesting.late(100.0 + ANSWER_WITHIN_S) == [Settle(1, Failure.LATE)]
    assert requesting.answered(answer(first)) is None
    assert requesting.due_s() == 105.0 + ANSWER_WITHIN_S


def test_a_broker_that_refuses_it_or_has_nobody_who_hears_it_is_told_apart() -> None:
    requesting = Requesting(BOOT)
    assert requesting.was_not_heard(asked(requesting, 1), ok=True) == Settle(1, Failure.UNHEARD)
    assert requesting.was_not_heard(asked(requesting, 2), ok=False) == Settle(2, Failure.TURNED_AWAY)
    assert requesting.due_s() is None


def test_an_answer_that_was_faster_than_the_brokers_word_counts() -> None:
    requesting = Requesting(BOOT)
    request = asked(requesting, 1)
    assert requesting.answered(answer(request)) == Settle(1, b"these")
    assert requesting.was_not_heard(request, ok=True) is None


def test_a_lost_connection_fails_all_that_was_under_way() -> None:
    requesting = Requesting(BOOT)
    for number in (1, 2, 3):
        asked(requesting, number)
    assert requesting.lose() == [Settle(number, Failure.LOST) for number in (1, 2, 3)]
    assert (requesting.lose(), requesting.due_s()) == ([], None)


def test_more_than_a_bounded_number_fail_at_once() -> None:
    requesting = Requesting(BOOT)
    first = [asked(requesting, number) for number in range(MOST_UNDER_WAY)]
    assert requesting.ask(Ask(99, "blocks", b""), 0.0) == Settle(99, Failure.CROWDED)
    requesting.answered(answer(first[3]))
    asked(requesting, 100)
    requesting.abandon(5)
    asked(requesting, 101)
    assert isinstance(requesting.ask(Ask(102, "blocks", b""), 0.0), Settle)


STEPS = st.lists(st.tuples(st.sampled_from(["ask", "answer", "abandon", "lose", "wait"]), st.integers(0, 20)))


@given(STEPS)
def test_whatever_happens_each_is_settled_at_most_once_and_none_is_forgotten(steps: list[tuple[str, int]]) -> None:
    requesting, requests, settled, open_, at_s = Requesting(BOOT), dict[int, Request](), list[int](), set[int](), 0.0
    for step, choice in steps:
        match step:
            case "ask":
                number = len(requests)
                requests[number] = asked(requesting, number, at_s)
                open_.add(number)
                if len(open_) == MOST_UNDER_WAY:
                    return
            case "answer" if choice in requests:
                found = requesting.answered(answer(requests[choice]))
                settled += [found.number] if found is not None else []
            case "abandon" if choice in open_:
                requesting.abandon(choice)
                open_.remove(choice)
            case "lose":
                settled += [each.number for each in requesting.lose()]
            case "wait":
                at_s += choice
                settled += [each.number for each in requesting.late(at_s)]
        assert len(settled) == len(set(settled))
        open_ -= set(settled)
        assert (requesting.due_s() is None) == (not open_)
