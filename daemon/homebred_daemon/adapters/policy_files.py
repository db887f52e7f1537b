"""The site's policies as files: the configured one, the ceiling, and what an operator set (kept in the state folder).

A policy that was set and cannot be read any more stops the start: falling back to another could let data out.
"""

from __future__ import annotations

from pathlib import Path

from homebred_daemon.adapters.durable_files import flush_folder, replace_alone
from homebred_daemon.document_files import policy_document, policy_from, under_ceiling
from homebred_daemon.errors import StateError
from homebred_daemon.ports.policies import PolicyInForce

KEPT_NAME = "policy.toml"


class PolicyFiles:
    """Fulfils `ports.policies.PolicyStore`."""

    def __init__(self, state_dir: Path, *, policy_file: Path | None, ceiling_file: Path | None) -> None:
        self._kept = state_dir / KEPT_NAME
        self._policy_file = policy_file
        self._ceiling_file = ceiling_file

    def in_force(self) -> PolicyInForce:
        """As the port says."""
        try:
            is_set = self._kept.exists()
        except OSError as error:
            raise StateError(
                f"the state folder {self._kept.parent} cannot be looked into: {error.strerror}",
                hint="run as the user it belongs to, or choose another with --state-dir",
            ) from error
        if not is_set:
            return self.configured()
        return PolicyInForce(site=under_ceiling(policy_document(self._kept), self._ceiling_file), origin="set")

    def configured(self) -> PolicyInForce:
        """As the port says."""
        site = under_ceiling(policy_document(self._policy_file), self._ceiling_file)
        return PolicyInForce(site=site, origin="default" if self._policy_file is None else "file")

    def offered(self, body: bytes) -> PolicyInForce:
        """As the port says."""
        return PolicyInForce(site=under_ceiling(policy_from("policy", body), self._ceiling_file), origin="set")

    def keep(self, body: bytes) -> None:
        """As the port says; a kill leaves the old or the new one, never a mixture."""
        try:
            replace_alone(self._kept, body)
        except OSError as error:
            raise self._failure("stored", error) from error

    def forget(self) -> None:
        """As the port says."""
        try:
            self._kept.unlink(missing_ok=True)
            flush_folder(self._kept.parent)
        except OSError as error:
            raise self._failure("removed", error) from error

    def _failure(self, what: str, error: OSError) -> StateError:
        return StateError(
            f"the policy {self._kept} could not be {what}: {error.strerror}; the one before still holds",
            hint="free disk space, and check that the state folder belongs to the daemon's user",
        )
