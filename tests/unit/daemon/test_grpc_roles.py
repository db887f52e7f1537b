"""Which role each method needs: nobody adds one without saying."""

from __future__ import annotations

from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from homebred_daemon.adapters.grpc_api.access import ROLES
from homebred_daemon.core.access import Role
from homebred_protocol.v1 import control_pb2, inference_pb2

SERVED = (inference_pb2, control_pb2, health_pb2, reflection_pb2)


def methods() -> set[str]:
    return {
        f"/{service.full_name}/{method.name}"
        for module in SERVED
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }


def test_every_method_has_a_role_and_every_role_a_method() -> None:
    assert methods() == set(ROLES)


def test_callers_ask_reviewers_review_and_operators_do_the_rest() -> None:
    for method, role in ROLES.items():
        service, name = method.rsplit("/", 1)
        if service != "/homebred.v1.Control" or name == "GetStatus":
            assert role is Role.CALLER, method
        else:
            assert role is (Role.REVIEWER if "Review" in name else Role.OPERATOR), method
