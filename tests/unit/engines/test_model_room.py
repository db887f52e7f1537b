from __future__ import annotations

import pytest
from tests.support.checkpoints import FACTS, KV_BYTES_PER_TOKEN

from homebred_engines.api import ContextExceededError, InvalidRequestError, ModelRefusedError
from homebred_engines.model_room import answer_room, refuse_oversized, served_context


def test_a_model_fits_where_weights_and_all_caches_do() -> None:
    needed = 1000 + KV_BYTES_PER_TOKEN * 512 * 2
    refuse_oversized(FACTS, context_tokens=512, slots=2, memory_budget_bytes=needed)
    with pytest.raises(ModelRefusedError, match="2 caches of 512 tokens"):
        refuse_oversized(FACTS, context_tokens=512, slots=2, memory_budget_bytes=needed - 1)


@pytest.mark.parametrize(("asked", "trained", "served"), [(0, 8192, 2048), (0, 512, 512), (4096, 8192, 4096)])
def test_a_context_is_what_was_asked_or_a_modest_one(asked: int, trained: int, served: int) -> None:
    assert served_context(asked, trained_tokens=trained) == served


def test_more_context_than_a_model_was_trained_for_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="trained for 512"):
        served_context(513, trained_tokens=512)


def test_a_prompt_leaves_room_for_an_answer_or_is_refused() -> None:
    assert answer_room(511, context_tokens=512) == 1
    with pytest.raises(ContextExceededError) as refusal:
        answer_room(512, context_tokens=512)
    assert (refusal.value.prompt_tokens, refusal.value.context_tokens) == (512, 512)
