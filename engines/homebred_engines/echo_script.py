"""How the echo engine is told to misbehave, for fault tests on real processes. Parsing only; `echo.py` acts.

A model file is a JSON object with `"format": "homebred-echo"` and any of the fields of `EchoScript`; an empty model
path means all defaults. A prompt overrides it for one generation: the last user message may begin with a line

    [echo token_delay_s=0.05 crash_after=3]
    The text that is echoed.

which is taken off. Only numbers can be set there. An adapter's file is a JSON object with
`"format": "homebred-echo-adapter"` and the fields of `EchoAdapter`.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from homebred_engines.api import Adapter, AdapterRefusedError, InvalidRequestError, ModelRefusedError

FORMAT = "homebred-echo"
ADAPTER_FORMAT = "homebred-echo-adapter"
MAX_FILE_BYTES = 1024 * 1024
_NEVER = -1
_DIRECTIVE_LINE = re.compile(r"\A\[echo ([^\]\n]*)\]\n?")


@dataclass(frozen=True, slots=True, kw_only=True)
class EchoScript:
    """Behaviours of the echo engine; `…_after` counts words sent before it happens, negative: never."""

    load_delay_s: float = 0.0
    """How long a load takes."""
    crash_on_load: bool = False
    """The process aborts while it loads."""
    refuse_load: str = ""
    """Why the load is refused; empty: it is not."""
    prefill_delay_s: float = 0.0
    """Before the first word."""
    token_delay_s: float = 0.0
    """Before each further word."""
    fail_after: int = _NEVER
    """The generation ends with EngineFailedError."""
    crash_after: int = _NEVER
    """The process aborts."""
    hang_after: int = _NEVER
    """The generation stops sending, and still can be cancelled."""
    stall_after: int = _NEVER
    """The generation stops sending and cannot be cancelled, as if it were stuck; the process still answers."""
    freeze_after: int = _NEVER
    """The whole process stops answering; only SIGKILL ends it."""
    logprob: float = -0.01
    """Of every word."""
    replies: Mapping[str, str] = field(default_factory=dict)
    """What to answer instead of echoing, by the last user message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EchoAdapter:
    """What an adapter changes."""

    says: str
    """A word that stands before the answer."""
    base_digest: str = ""
    """Of the model that it was made for; empty: of any."""


_FIELD_TYPES = {
    "load_delay_s": (int, float),
    "crash_on_load": (bool,),
    "refuse_load": (str,),
    "prefill_delay_s": (int, float),
    "token_delay_s": (int, float),
    "fail_after": (int,),
    "crash_after": (int,),
    "hang_after": (int,),
    "stall_after": (int,),
    "freeze_after": (int,),
    "logprob": (int, float),
    "replies": (dict,),
}
_PROMPT_FIELDS = frozenset(name for name, types in _FIELD_TYPES.items() if int in types and name != "load_delay_s")


def read_model_file(path: str) -> EchoScript:
    """The script in a model file; defaults for an empty path. Raises ModelRefusedError."""
    if not path:
        return EchoScript()
    try:
        document = _read_document(path, FORMAT)
    except ValueError as error:
        raise ModelRefusedError(f"{path} is no echo model: {error}.", hint=_FILE_HINT) from None
    for name, value in document.items():
        types = _FIELD_TYPES.get(name)
        if types is None or not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise ModelRefusedError(f"{path} sets {name} to {value!r}, which no echo model has.", hint=_FILE_HINT)
    script = EchoScript(**document)
    if script.refuse_load:
        raise ModelRefusedError(script.refuse_load)
    return script


def read_adapter_file(adapter: Adapter, model_digest: str) -> EchoAdapter:
    """What an adapter's file says, made for that model. Raises AdapterRefusedError."""
    try:
        document = _read_document(adapter.path, ADAPTER_FORMAT)
        read = EchoAdapter(**{name: str(value) for name, value in document.items()})
    except (ValueError, TypeError) as error:
        raise AdapterRefusedError(f"{adapter.path} is no echo adapter: {error}.", adapter=adapter.digest) from None
    if read.base_digest not in ("", model_digest):
        raise AdapterRefusedError(
            f"{adapter.path} was made for {read.base_digest}, and the model is {model_digest}.", adapter=adapter.digest
        )
    return read


def _read_document(path: str, form: str) -> dict[str, Any]:
    """Raises ValueError."""
    try:
        with Path(path).open("rb") as file:
            document = json.loads(file.read(MAX_FILE_BYTES))
    except (OSError, RecursionError) as error:
        raise ValueError(error) from None
    if not isinstance(document, dict) or document.pop("format", None) != form:
        raise ValueError(f'it does not say "format": "{form}"')
    return document


_FILE_HINT = "Write a JSON object with the fields that homebred_engines.echo_script.EchoScript lists."


def read_prompt(text: str, script: EchoScript) -> tuple[EchoScript, str]:
    """The script for one generation and the text to answer with. Raises InvalidRequestError for a bad directive."""
    line = _DIRECTIVE_LINE.match(text)
    if line:
        text = text[line.end() :]
        try:
            settings: dict[str, Any] = dict(map(_read_setting, line[1].split()))
            script = dataclasses.replace(script, **settings)
        except ValueError as error:
            raise InvalidRequestError(f"The directive {line[0].strip()!r} is not understood: {error}.") from None
    return script, script.replies.get(text, text)


def _read_setting(setting: str) -> tuple[str, int | float]:
    name, _, value = setting.partition("=")
    if name not in _PROMPT_FIELDS:
        raise ValueError(f"{name!r} cannot be set in a prompt")
    return name, float(value) if float in _FIELD_TYPES[name] else int(value)
