from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

from homebred_engines.edgellm_batches import BatchQueue, Row, Shared


def row(adapter: str = "", *, prompt: int = 10, most: int = 10, temperature: float = 0.0) -> Row:
    shared = Shared(adapter=adapter, temperature=temperature, top_p=1.0, top_k=1, logprobs=False)
    return Row(shared=shared, prompt_tokens=prompt, most_tokens=most)


def queue_of(*rows: Row, most_rows: int = 4, capacity: int = 100) -> BatchQueue:
    queue = BatchQueue(most_rows=most_rows, capacity_tokens=capacity)
    for each in rows:
        queue.add(each)
    return queue


def test_the_oldest_founds_a_batch_and_its_kind_joins_in_order() -> None:
    first, other, second, third = row("a"), row("b"), row("a"), row("a")
    queue = queue_of(first, other, second, third, most_rows=2)
    assert queue.next_batch() == (first, second)
    assert queue.next_batch() == (other,)
    assert queue.next_batch() == (third,)
    assert queue.next_batch() == ()


def test_what_a_batch_gives_once_for_all_keeps_others_out() -> None:
    warm, cold = row(temperature=0.7), row()
    queue = queue_of(warm, cold)
    assert queue.next_batch() == (warm,)
    assert queue.next_batch() == (cold,)


def test_a_row_that_would_shorten_anothers_answer_waits() -> None:
    long_answer, long_prompt, small = row(prompt=10, most=80), row(prompt=50, most=20), row(prompt=20, most=20)
    queue = queue_of(long_answer, long_prompt, small)
    assert queue.next_batch() == (long_answer, small), "50 + 80 tokens are more than 100"
    assert queue.next_batch() == (long_prompt,)


def test_one_that_fills_the_capacity_alone_runs_alone() -> None:
    whole, small = row(prompt=50, most=50), row()
    queue = queue_of(whole, small)
    assert queue.next_batch() == (whole, small)
    beyond = row(prompt=50, most=60)
    assert queue_of(beyond).next_batch() == (beyond,)


def test_one_that_left_is_in_no_batch() -> None:
    first, second = row(), row()
    queue = queue_of(first, second)
    assert queue.drop(first)
    assert queue.next_batch() == (second,)
    assert not queue.drop(second)


ROWS = st.lists(
    st.builds(
        row,
        st.sampled_from(["", "a", "b", "c"]),
        prompt=st.integers(1, 90),
        most=st.integers(1, 90),
        temperature=st.sampled_from([0.0, 0.7]),
    ),
    max_size=30,
)


@given(rows=ROWS, more=ROWS, most_rows=st.integers(1, 5))
def test_nobody_is_lost_doubled_mixed_up_or_passed_over(rows: list[Row], more: list[Row], most_rows: int) -> None:
    """Whoever comes later: one that waits behind n others is in one of the next n + 1 batches."""
    queue = queue_of(*rows, most_rows=most_rows)
    late = iter(more)
    ran: list[Row] = []
    for number in range(len(rows) + len(more) + 1):
        batch = queue.next_batch()
        assert len(batch) <= most_rows
        assert len({each.shared for each in batch}) <= 1
        if len(batch) > 1:
            assert max(each.prompt_tokens for each in batch) + max(each.most_tokens for each in batch) <= 100
        ran += batch
        assert set(rows[: number + 1]) <= set(ran)
        for newcomer in (next(late, None) for _ in range(2)):
            if newcomer is not None:
                queue.add(newcomer)
    assert len(ran) == len(set(ran)) == len(rows) + len(more)
