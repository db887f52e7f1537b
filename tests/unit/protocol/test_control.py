"""Without a daemon. Its calls are tests/contract/test_client.py's."""

from __future__ import annotations

import pytest

from homebred_protocol.client import Control
from homebred_protocol.client.control import resolution
from homebred_protocol.v1 import control_pb2


def test_every_call_of_the_wire_is_offered() -> None:
    offered = {name.replace("_", "") for name in vars(Control) if not name.startswith("_")}
    calls = {method.name.lower() for method in control_pb2.DESCRIPTOR.services_by_name["Control"].methods}
    assert (calls - {"getstatus"}) | {"status", "resume", "close"} == offered


def test_a_review_is_resolved_either_with_an_answer_or_with_a_reason() -> None:
    assert resolution("r", "c", "", None).WhichOneof("resolution") == "output"
    assert resolution("r", "c", None, "no").declined == "no"
    for output, declined in ((None, None), ("a", "b")):
        with pytest.raises(TypeError, match="either"):
            resolution("r", "c", output, declined)
