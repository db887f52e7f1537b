"""OpenAI's parameters that chat and completions share, and those that are refused: none is ever ignored."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from homebred_daemon.adapters.openai_gateway.failures import ModelNotFoundError, ParameterError
from homebred_protocol.documents.fields import Fields, Problem, dotted

MODEL: Final = "homebred"
"""The one model: the router decides who answers. A specialist's id is none: nobody chooses past the contract."""
WORKFLOW_PREFIX: Final = f"{MODEL}/"
"""Before a workflow's name, for clients that can send no labels."""

_ONE_ANSWER = "send 1 or leave it out: there is one answer to a task"
_NO_PROBABILITIES = "leave it out: no probabilities are handed on; homebred.outcome.confidence has their mean"
_NOT_HANDED_ON = "leave it out: it is not handed on to engines"
NEUTRAL: Final[Mapping[str, tuple[tuple[Any, ...], str]]] = MappingProxyType(
    {
        "n": ((1,), _ONE_ANSWER),
        "best_of": ((1,), _ONE_ANSWER),
        "logprobs": ((False,), _NO_PROBABILITIES),
        "top_logprobs": ((), _NO_PROBABILITIES),
        "frequency_penalty": ((0, 0.0), _NOT_HANDED_ON),
        "presence_penalty": ((0, 0.0), _NOT_HANDED_ON),
        "logit_bias": (({},), _NOT_HANDED_ON),
        "echo": ((False,), "leave it out: an answer does not repeat its prompt"),
        "suffix": (("",), "leave it out: engines here write on, not in between"),
        "parallel_tool_calls": ((True,), "leave it out: a model may ask for several tools at once"),
        "store": ((False,), "leave it out: the content of answers is not kept"),
        "modalities": ((["text"],), "leave it out: answers are text"),
    }
)
"""Values that change nothing, and what to do about others."""


class Parameters:
    """The body of one request while it is read; problems are collected."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self.fields = Fields(body)
        self.model = self.fields.text("model", required=True) or ""
        self.streams = bool(self.fields.boolean("stream"))
        self.includes_usage = self._includes_usage()
        for name, (values, hint) in NEUTRAL.items():
            value = self.fields.raw(name)
            if value is not None and not any(type(value) is type(one) and value == one for one in values):
                self.fields.complain((name,), "is not supported", hint)

    def workflow(self, workflows: tuple[str, ...]) -> str | None:
        """The workflow that the model's name says; `workflows` are those that its caller may name.

        Raises:
            ModelNotFoundError: there is no such model.
        """
        workflow = self.model.removeprefix(WORKFLOW_PREFIX)
        if self.model == MODEL:
            return None
        if workflow == self.model or workflow not in workflows:
            raise ModelNotFoundError(
                f"there is no model {self.model!r} here: who answers is decided by the routing contract, task by task",
                hint=f"send {MODEL!r}, or one of those that GET /v1/models lists",
            )
        return workflow

    def generation(self) -> dict[str, Any]:
        """What is asked of the generation, as fields of GenerateOptions."""
        return {
            "max_tokens": self._max_tokens(),
            "temperature": self.fields.number("temperature", low=0, high=2),
            "top_p": self.fields.number("top_p", low=0, high=1),
            "seed": self.fields.integer("seed"),
            "stop": self._stop(),
        }

    def finish(self) -> None:
        """Complains of every parameter that nobody read. Raises ParameterError for all problems."""
        self.fields.raw("homebred")
        self.fields.finish()
        refuse(self.fields.problems)

    def _includes_usage(self) -> bool:
        inner = self.fields.table("stream_options")
        if inner is None:
            return False
        if not self.streams:
            self.fields.complain(("stream_options",), "is there without stream", "send stream, or leave it out")
        includes = bool(inner.boolean("include_usage"))
        if inner.boolean("include_obfuscation"):
            inner.complain(("include_obfuscation",), "is not supported", "leave it out: nobody listens on loopback")
        inner.finish()
        return includes

    def _max_tokens(self) -> int:
        names = ("max_completion_tokens", "max_tokens")
        given = {value for name in names if (value := self.fields.integer(name, low=1)) is not None}
        if len(given) > 1:
            self.fields.complain(("max_tokens",), "is not what max_completion_tokens is", "send one of the two")
        return min(given, default=0)

    def _stop(self) -> tuple[str, ...]:
        value = self.fields.raw("stop")
        if isinstance(value, str):
            return (value,)
        return self.fields.texts("stop")


def refuse(problems: list[Problem]) -> None:
    """Raises ParameterError where there are any."""
    if problems:
        told = "; ".join(problem.sentence() for problem in problems)
        raise ParameterError(f"the request cannot be taken: {told}", parameter=dotted(problems[0].path))
