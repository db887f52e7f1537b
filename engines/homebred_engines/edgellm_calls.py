"""What a worker and the process of its runtime say to each other. Values alone."""

from __future__ import annotations

from dataclasses import dataclass

from homebred_engines.api import EngineError, EngineFailedError, GenerateOptions, Message
from homebred_engines.edgellm_batches import Row
from homebred_engines.edgellm_library import Chunk
from homebred_engines.xgrammar_guidance import Guidance


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An error, as it crosses."""

    why: str
    hint: str

    @classmethod
    def of(cls, error: EngineError) -> Failure:
        """Its words."""
        return cls(why=error.why, hint=error.hint)

    def error(self) -> EngineFailedError:
        """For whoever asked."""
        return EngineFailedError(self.why, hint=self.hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request."""

    number: int
    """Names it to both."""
    messages: tuple[Message, ...]
    options: GenerateOptions
    guidance: Guidance
    row: Row | None = None
    """Once its tokens are counted."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The runtime may be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """Count its prompt's tokens."""

    asked: Asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """So many, or why not."""

    number: int
    tokens: int = 0
    failure: Failure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunBatch:
    """Answer these as one batch."""

    batch: tuple[Asked, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """End a row at its next token."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A row's next chunk."""

    number: int
    chunk: Chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """Nothing more comes of a row."""

    number: int
    failure: Failure | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Over:
    """The batch has ended, all rows before it."""

    failure: Failure | None
