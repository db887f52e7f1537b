"""The wire's messages against the values they carry: the same fields in the same order, a number for every word."""

from __future__ import annotations

from dataclasses import fields

import pytest
from google.protobuf.descriptor import EnumDescriptor

from homebred_daemon.adapters.grpc_api.translate import FALLBACKS, RUNTIMES, STATUSES
from homebred_daemon.core.decision import Fallback, Runtime
from homebred_daemon.core.records import DECISION_FIELDS
from homebred_protocol.documents.task import Task
from homebred_protocol.v1 import inference_pb2 as wire

OF_THE_RECORD = ["route_id", "supersedes"]


def test_a_decision_has_its_fields_in_the_contracts_order_then_those_of_its_record() -> None:
    described = wire.RouteDecision.DESCRIPTOR.fields
    assert [field.name for field in described] == [*DECISION_FIELDS, *OF_THE_RECORD]
    assert [field.number for field in described] == list(range(1, len(described) + 1))


def words_of(enum: EnumDescriptor, prefix: str) -> dict[str, int]:
    """An enum's words as the core writes them, by number; its zero means that nothing was said."""
    assert enum.values[0].name == f"{prefix}_UNSPECIFIED"
    return {value.name.removeprefix(f"{prefix}_").lower(): value.number for value in enum.values[1:]}


@pytest.mark.parametrize(
    ("enum", "prefix", "words"),
    [
        (wire.Runtime.DESCRIPTOR, "RUNTIME", {runtime.value: RUNTIMES[runtime] for runtime in Runtime}),
        (wire.FallbackTarget.DESCRIPTOR, "FALLBACK_TARGET", {one.value: FALLBACKS[one] for one in Fallback}),
        (wire.OutcomeStatus.DESCRIPTOR, "OUTCOME_STATUS", STATUSES),
    ],
    ids=["runtime", "fallback", "status"],
)
def test_every_word_has_its_number_and_every_number_its_word(
    enum: EnumDescriptor, prefix: str, words: dict[str, int]
) -> None:
    assert words_of(enum, prefix) == words


def test_a_task_on_the_wire_is_a_task_and_its_content() -> None:
    on_the_wire = {field.name for field in wire.Task.DESCRIPTOR.fields}
    content = {"text", "messages", "response_schema", "tools", "tool_choice", "attachments", "constraints"}
    of_sessions = {"session_id", "rejects"}
    assert on_the_wire - content - of_sessions == {field.name for field in fields(Task)} - {"has_response_schema"}
    assert content <= on_the_wire
