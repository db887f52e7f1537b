"""The site's policies in memory; fulfils `ports.policies.PolicyStore`."""

from __future__ import annotations

from pathlib import Path

from homebred_daemon.document_files import policy_document, policy_from, under_ceiling
from homebred_daemon.errors import StateError
from homebred_daemon.ports.policies import PolicyInForce


class FakePolicies:
    """Keeps what is set; the configured policy is the built-in one, or the file it is given."""

    def __init__(self, *, policy_file: Path | None = None, ceiling_file: Path | None = None) -> None:
        self.kept: bytes | None = None
        self.is_full = False
        """Whether nothing can be stored."""
        self._policy_file = policy_file
        self._ceiling_file = ceiling_file

    def in_force(self) -> PolicyInForce:
        return self.configured() if self.kept is None else self.offered(self.kept)

    def configured(self) -> PolicyInForce:
        site = under_ceiling(policy_document(self._policy_file), self._ceiling_file)
        return PolicyInForce(site=site, origin="default" if self._policy_file is None else "file")

    def offered(self, body: bytes) -> PolicyInForce:
        return PolicyInForce(site=under_ceiling(policy_from("policy", body), self._ceiling_file), origin="set")

    def keep(self, body: bytes) -> None:
        self._must_have_room()
        self.kept = body

    def forget(self) -> None:
        self._must_have_room()
        self.kept = None

    def _must_have_room(self) -> None:
        if self.is_full:
            raise StateError("the policy could not be stored: no space left")
