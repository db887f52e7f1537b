from __future__ import annotations

import pytest

from homebred_engines import api
from homebred_engines.trtllm_errors import typed


class ValidationError(ValueError):
    """As pydantic's: a ValueError for a keyword that is not known."""


class RequestError(RuntimeError):
    """As the library's, for what it cannot do of a request."""


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TypeError("got an unexpected keyword argument 'max_token'"), api.EngineFailedError),
        (AttributeError("no attribute 'text_diff'"), api.EngineFailedError),
        (ModuleNotFoundError("No module named 'tensorrt_llm.llmapi'"), api.EngineFailedError),
        (ValidationError("max_batch: extra inputs are not permitted"), api.EngineFailedError),
        (RuntimeError("CUDA out of memory"), api.EngineFailedError),
        (ValueError("lora_path () does not exist."), api.InvalidRequestError),
        (RequestError("a bad grammar"), api.InvalidRequestError),
        (RuntimeError("LLM is shutting down"), api.ModelNotLoadedError),
    ],
)
def test_each_error_is_typed_once_and_says_what_next(error: Exception, kind: type[api.EngineError]) -> None:
    found = typed(error, doing="trying")
    assert type(found) is kind
    assert found.hint
    if kind is not api.ModelNotLoadedError:
        assert found.why == f"TensorRT-LLM, trying: {type(error).__name__}: {error}."


def test_what_only_another_version_can_cause_points_to_the_doctor() -> None:
    assert "homebred doctor" in typed(TypeError("x"), doing="trying").hint
    assert "homebred doctor" in typed(ValidationError("x"), doing="trying").hint
    assert "homebred doctor" not in typed(RuntimeError("x"), doing="trying").hint


def test_an_error_of_ours_stays() -> None:
    error = api.QueueFullError("x", retry_after_s=1)
    assert typed(error, doing="trying") is error
