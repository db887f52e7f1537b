"""The words that people know for the numbers of homebred.v1's enums; a number of a newer version's stays a number."""

from __future__ import annotations

from typing import Final

from google.protobuf.descriptor import EnumDescriptor

from homebred_protocol.v1 import fleet_pb2, inference_pb2


class Words:
    """One enum, both ways."""

    def __init__(self, enum: EnumDescriptor, prefix: str) -> None:
        self._words = {value.number: value.name.removeprefix(prefix).lower() for value in enum.values}
        self._numbers = {word: number for number, word in self._words.items() if number}

    @property
    def known(self) -> tuple[str, ...]:
        """Every word."""
        return tuple(self._numbers)

    def word(self, number: int) -> str:
        """The word of a number; nothing of none."""
        return "" if number == 0 else self._words.get(number, str(number))

    def number(self, word: str) -> int | None:
        """The number of a word; None: it is none of them."""
        return self._numbers.get(word)

    def words(self, bits: int) -> list[str]:
        """The words of a set that is kept as bits."""
        return [self.word(number) for number in range(1, bits.bit_length()) if bits >> number & 1]


STREAMS: Final = Words(fleet_pb2.Stream.DESCRIPTOR, "STREAM_")
GAP_REASONS: Final = Words(fleet_pb2.GapReason.DESCRIPTOR, "GAP_REASON_")
ROUTE_REASONS: Final = Words(fleet_pb2.RouteReason.DESCRIPTOR, "ROUTE_REASON_")
CLASSES: Final = Words(fleet_pb2.DataClass.DESCRIPTOR, "DATA_CLASS_")
FINDINGS: Final = Words(fleet_pb2.RouteFinding.DESCRIPTOR, "ROUTE_FINDING_")
LINKS: Final = Words(fleet_pb2.RouteLink.DESCRIPTOR, "ROUTE_LINK_")
EVIDENCE_KINDS: Final = Words(fleet_pb2.EvidenceKind.DESCRIPTOR, "EVIDENCE_KIND_")
RECEIPT_KINDS: Final = Words(fleet_pb2.ReceiptKind.DESCRIPTOR, "RECEIPT_KIND_")
RUNTIMES: Final = Words(inference_pb2.Runtime.DESCRIPTOR, "RUNTIME_")
FALLBACKS: Final = Words(inference_pb2.FallbackTarget.DESCRIPTOR, "FALLBACK_TARGET_")
STATUSES: Final = Words(inference_pb2.OutcomeStatus.DESCRIPTOR, "OUTCOME_STATUS_")
