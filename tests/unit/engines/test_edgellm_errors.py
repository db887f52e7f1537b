from __future__ import annotations

import pytest

from homebred_engines import api
from homebred_engines.edgellm_errors import typed


def test_an_error_of_ours_stays_what_it_is() -> None:
    error = api.ModelRefusedError("It is none.")
    assert typed(error, doing="loading") is error


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (TypeError("Request(): incompatible constructor arguments.\n\nInvoked with: kwargs: text"), "homebred doctor"),
        (AttributeError("module has no attribute 'GuideType'"), "homebred doctor"),
        (ModuleNotFoundError("No module named 'cuda'"), "homebred doctor"),
        (type("NativeSelectionError", (RuntimeError,), {})("no payload for sm_89"), "support matrix"),
        (RuntimeError("CUDA runtime error: out of memory"), "build the engine for less context"),
    ],
)
def test_what_the_package_throws_says_what_was_tried_and_what_to_do(error: Exception, hint: str) -> None:
    found = typed(error, doing="loading the engine")
    assert isinstance(found, api.EngineFailedError)
    assert found.why.startswith(f"TensorRT Edge-LLM, loading the engine: {type(error).__name__}: ")
    assert "\n" not in found.why
    assert hint in found.hint
