"""What TensorRT-LLM throws, as our errors: the one place where that is decided. Pure."""

from __future__ import annotations

from homebred_engines import api

_DRIFT_HINT = (
    "The installed TensorRT-LLM is not the one that this engine is written for: `homebred doctor` names what differs"
    " from the recorded version."
)
_FAILURE_HINT = "The worker's last lines say more; where they tell of memory, lower engine.slots or the memory budget."
_BY_REQUEST = ("RequestError", "ValueError")
_BY_PACKAGE = ("AttributeError", "ImportError", "ModuleNotFoundError", "NotImplementedError", "TypeError")
_STRICT_MODEL = "ValidationError"  # pydantic's, for a keyword that a settings class does not know; a ValueError too


def typed(error: Exception, *, doing: str) -> api.EngineError:
    """The error for whoever asked; `doing` says in a few words what was tried."""
    if isinstance(error, api.EngineError):
        return error
    kind = type(error).__name__
    why = f"TensorRT-LLM, {doing}: {kind}: {error}."
    if kind in _BY_PACKAGE or kind == _STRICT_MODEL:
        return api.EngineFailedError(why, hint=_DRIFT_HINT)
    if isinstance(error, RuntimeError) and "shutting down" in str(error):
        return api.ModelNotLoadedError("It was unloaded while the request came in.")
    if kind in _BY_REQUEST:
        return api.InvalidRequestError(why)
    return api.EngineFailedError(why, hint=_FAILURE_HINT)
