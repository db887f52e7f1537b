"""The fleet's messages as an older and a newer version of homebred know them, from descriptors made here."""

from __future__ import annotations

import functools
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FieldDescriptorProto
from google.protobuf.message import Message

from homebred_protocol.v1 import fleet_pb2, inference_pb2

# What three versions ago did not have yet, as this test supposes.
NOT_YET = {
    "RouteEvent": {"findings", "link", "confidence_ppm", "policy_digest", "first_token_ms"},
    "EvidenceEvent": {"fingerprint", "has_correction"},
    "HealthEvent": {"worker_failures", "reviews_waiting"},
    "Reported": {"parts", "registry_digest", "architecture", "labels", "stop_epoch"},
    "TelemetryAck": {"refused_up_to_seq", "refusal_code"},
    "Desired": {"gazetteer", "labels"},
    "Command": {"parameters"},
    "CommandResult": {"attachment", "answer"},
    "StopOrder": {"reason_code"},
}
LATER = 900
"""Number of a field that the next version adds to every message."""


def message(kind: str, **fields: Any) -> Any:
    """A new message of a version: `Older.RouteEvent`, `Newer.Desired`."""
    version, _, name = kind.partition(".")
    return _class(version, name)(**fields)


def read(kind: str, payload: bytes) -> Any:
    """What a version reads of bytes."""
    version, _, name = kind.partition(".")
    return _class(version, name).FromString(payload)


@functools.cache
def _class(version: str, name: str) -> type[Message]:
    pool = _pool(version)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"homebred.v1.{name}"))


@functools.cache
def _pool(version: str) -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    added: set[str] = set()

    def add(file: Any) -> None:
        if file.name in added:
            return
        for dependency in file.dependencies:
            add(dependency)
        added.add(file.name)
        described = descriptor_pb2.FileDescriptorProto()
        file.CopyToProto(described)
        if file.name == fleet_pb2.DESCRIPTOR.name:
            _older(described) if version == "Older" else _newer(described)
        pool.Add(described)

    add(inference_pb2.DESCRIPTOR)
    add(fleet_pb2.DESCRIPTOR)
    return pool


def _older(file: descriptor_pb2.FileDescriptorProto) -> None:
    for kind in file.message_type:
        missing = NOT_YET.get(kind.name, set())
        kept = [field for field in kind.field if field.name not in missing]
        _renumber_oneofs(kind, kept)


def _renumber_oneofs(kind: descriptor_pb2.DescriptorProto, kept: list[FieldDescriptorProto]) -> None:
    """An optional field brings a oneof of its own along: those that are left out take theirs with them."""
    used = sorted({field.oneof_index for field in kept if field.HasField("oneof_index")})
    oneofs = [kind.oneof_decl[index] for index in used]
    copies = []
    for field in kept:
        copy = FieldDescriptorProto()
        copy.CopyFrom(field)
        if field.HasField("oneof_index"):
            copy.oneof_index = used.index(field.oneof_index)
        copies.append(copy)
    names = [descriptor_pb2.OneofDescriptorProto(name=one.name) for one in oneofs]
    del kind.field[:]
    del kind.oneof_decl[:]
    kind.field.extend(copies)
    kind.oneof_decl.extend(names)


def _newer(file: descriptor_pb2.FileDescriptorProto) -> None:
    for kind in file.message_type:
        kind.field.add(
            name="of_the_next_version",
            number=LATER,
            label=FieldDescriptorProto.LABEL_OPTIONAL,
            type=FieldDescriptorProto.TYPE_STRING,
        )
    for enum in file.enum_type:
        enum.value.add(name=f"{enum.name.upper()}_OF_THE_NEXT_VERSION", number=77)
