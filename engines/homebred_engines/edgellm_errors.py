"""What TensorRT Edge-LLM throws, as our errors: the one place where that is decided. Pure."""

from __future__ import annotations

from homebred_engines import api

_DRIFT_HINT = (
    "The installed TensorRT Edge-LLM is not the one that this engine is written for: `homebred doctor` names what"
    " differs from the recorded version."
)
_PLATFORM_HINT = "Install the TensorRT and CUDA that the package asks for, on a device of its support matrix."
_FAILURE_HINT = "The worker's last lines say more; where they tell of memory, build the engine for less context."
_BY_PACKAGE = (AttributeError, ImportError, TypeError)
_BY_PLATFORM = (
    "NativeDetectionError",
    "NativeLoadError",
    "NativeManifestError",
    "NativeManifestNotFoundError",
    "NativeSelectionError",
    "TensorRTDependencyError",
)


def typed(error: Exception, *, doing: str) -> api.EngineError:
    """The error for whoever asked; `doing` says in a few words what was tried."""
    if isinstance(error, api.EngineError):
        return error
    words = " ".join(str(error).split())  # pybind11 spreads a wrong call over several lines
    why = f"TensorRT Edge-LLM, {doing}: {type(error).__name__}: {words}."
    if type(error).__name__ in _BY_PLATFORM:
        return api.EngineFailedError(why, hint=_PLATFORM_HINT)
    return api.EngineFailedError(why, hint=_DRIFT_HINT if isinstance(error, _BY_PACKAGE) else _FAILURE_HINT)
