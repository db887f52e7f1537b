"""A request, head and body, as a task to be answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from homebred_daemon.adapters.accepting import accepted
from homebred_daemon.adapters.openai_gateway.failures import ParameterError
from homebred_daemon.adapters.openai_gateway.http_connection import Request
from homebred_daemon.adapters.openai_gateway.labels import labels_of
from homebred_daemon.adapters.openai_gateway.parameters import Parameters
from homebred_daemon.core.task_content import attachments_of, schema_of, tools_of
from homebred_daemon.errors import RequestError
from homebred_daemon.inbound.answering import AcceptedTask
from homebred_daemon.strict_json import parse
from homebred_engines import api

Content = Callable[[Parameters, frozenset[str]], dict[str, Any]]
"""Reads an endpoint's own parameters: the content of a task document, given the tools that run on this device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request, read."""

    task: AcceptedTask
    model: str
    """As the caller wrote it."""
    streams: bool
    """Whether the answer is to come in pieces."""
    includes_usage: bool
    """Whether a stream ends with what it took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Reads requests as this device is configured."""

    workflows_for: Callable[[tuple[str, ...]], tuple[str, ...]]
    """The workflows that a caller may name as models."""
    default_deadline_s: float
    new_task_id: Callable[[], str]

    def asked(self, request: Request, body: bytes, caller: tuple[str, ...], content: Content) -> Asked:
        """The request as a checked task.

        Raises:
            RequestError: with every problem found.
        """
        document = json_object(body)
        labels = labels_of(request, document)
        parameters = Parameters(document)
        local_tools = frozenset(_names(labels.pop("local_tools", [])))
        attachments = attachments_of({"attachments": labels.pop("attachments", None)})
        task = {"task_id": self.new_task_id()} | labels | content(parameters, local_tools)
        generation = parameters.generation()
        parameters.finish()
        if (workflow := said_workflow(task, parameters.workflow(self.workflows_for(caller)))) is not None:
            task["workflow"] = workflow
        return Asked(
            task=accepted(
                task,
                attachments=attachments,
                options=lambda: _options(task, generation),
                caller=caller,
                deadline_s=self.default_deadline_s,
            ),
            model=parameters.model,
            streams=parameters.streams,
            includes_usage=parameters.includes_usage,
        )


def said_workflow(labels: Mapping[str, Any], of_model: str | None) -> str | None:
    """The workflow that labels and the model's name say; None: neither says one.

    Raises:
        ParameterError: they say different ones.
    """
    labelled: str | None = labels.get("workflow")
    if None not in (labelled, of_model) and labelled != of_model:
        raise ParameterError(
            "the model's name and the labels say different workflows", hint="say it once", parameter="model"
        )
    return labelled or of_model


def _options(task: dict[str, Any], generation: dict[str, Any]) -> api.GenerateOptions:
    return api.GenerateOptions(
        json_schema=schema_of(task), tools=tools_of(task), tool_choice=task.get("tool_choice") or "auto", **generation
    )


def json_object(body: bytes) -> dict[str, Any]:
    """A request's body. Raises RequestError where it is none."""
    try:
        value = parse(body)
    except ValueError as error:
        raise RequestError(f"the request's body {error}", hint="send one JSON object") from None
    if not isinstance(value, dict):
        raise RequestError("the request's body is no JSON object", hint="send one JSON object")
    return value


def _names(value: object) -> list[str]:
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return value
    raise ParameterError("local_tools is no list of names", hint="write the names of tools", parameter="local_tools")
