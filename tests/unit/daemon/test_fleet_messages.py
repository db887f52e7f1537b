from __future__ import annotations

from homebred_daemon.core.fleet_messages import OWN, Desired, PartState
from homebred_protocol.v1 import fleet_pb2 as wire


def test_a_desired_state_without_documents_wants_the_devices_own_configuration() -> None:
    desired = Desired(device_id="dev-1", version=1)
    assert (desired.policy, desired.gazetteer) == (OWN, OWN)
    assert not OWN.digest


def test_the_words_for_a_part_are_those_of_the_protocol() -> None:
    assert {state.value for state in PartState} == {"applied", "refused", "fetching", "stopped"}
    assert wire.PartReport(state=PartState.APPLIED.value).state == "applied"
