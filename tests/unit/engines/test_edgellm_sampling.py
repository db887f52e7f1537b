from __future__ import annotations

import pytest

from homebred_engines.api import GenerateOptions
from homebred_engines.edgellm_sampling import TEMPERATURE, TOP_K, TOP_P, WHOLE_NUCLEUS, shared_by


@pytest.mark.parametrize(
    ("options", "figures"),
    [
        (GenerateOptions(), (TEMPERATURE, TOP_P, TOP_K)),
        (GenerateOptions(temperature=0), (0.0, 1.0, 1)),
        (GenerateOptions(temperature=0, top_p=0.5, top_k=7), (0.0, 1.0, 1)),
        (GenerateOptions(temperature=1.0, top_p=0.5, top_k=7), (1.0, 0.5, 7)),
        (GenerateOptions(temperature=1.0, top_p=1.0, top_k=7), (1.0, 1.0, 7)),
        (GenerateOptions(temperature=1.0, top_p=1.0, top_k=0), (1.0, WHOLE_NUCLEUS, 0)),
        (GenerateOptions(temperature=1.0, top_p=0.5, top_k=0), (1.0, 0.5, 0)),
    ],
)
def test_every_figure_is_given_and_none_of_them_turns_chance_into_greed(
    options: GenerateOptions, figures: tuple[float, float, int]
) -> None:
    shared = shared_by(options)
    assert (shared.temperature, shared.top_p, shared.top_k) == figures


def test_what_is_a_rows_own_is_not_shared() -> None:
    own = GenerateOptions(seed=1, stop=("a",), json_schema="{}", max_tokens=3)
    assert shared_by(own) == shared_by(GenerateOptions())
    assert shared_by(GenerateOptions(adapter="sha256:a")) != shared_by(GenerateOptions())
    assert shared_by(GenerateOptions(logprobs=True)) != shared_by(GenerateOptions())
