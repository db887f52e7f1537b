"""Whatever commands are given in whatever order: what is served is taken, no version falls, none is given twice."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from tests.support.image_repository import ADMINS, THRESHOLD, image_signing, key, manifest, signing
from tests.support.tuf_client import Client
from typing_extensions import override

from homebred_fleet.adapters.system_clock import unix_s
from homebred_fleet.adapters.tuf_repository.air_gap import answer_to, read_request
from homebred_fleet.adapters.tuf_repository.repository import Repository
from homebred_fleet.core.keyholders import Purpose
from homebred_fleet.errors import FleetError
from homebred_protocol.targets import Kind

NOW_S = unix_s() - 60
FAMILIES = ("qa", "ocr")
HOLDERS = (*ADMINS, "targets", "snapshot", "timestamp", "models-qa", "policies", "dora", "emil")
ROLES = ("root", "targets", "snapshot", "timestamp", "models-qa", "models-ocr", "policies", "nothing")

holders = st.sampled_from(HOLDERS)
paths = st.builds(
    lambda family, name, number: f"models/{family}/{name}/{number}.json",
    st.sampled_from(FAMILIES),
    st.sampled_from(["a", "b"]),
    st.integers(1, 5),
)


class Commands(RuleBasedStateMachine):
    """One folder, many commands; refusals are part of it, defects are not."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="hb"))
        self.there = Repository(self.folder / "image")
        self.there.init(Purpose.IMAGE, image_signing(*ADMINS, threshold=THRESHOLD), NOW_S)
        self.there.delegate(Kind.RELEASE, "qa", signing("models-qa"), NOW_S)
        self.bodies: dict[str, bytes] = {}
        """All that was ever served, by name: what a name once meant, it means for ever."""
        self.versions: dict[str, int] = {}
        self.is_looked_at = False
        self.publish_when_all_have_signed()
        self.device = Client(self.folder / "device", self.there.published)

    @override
    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    def attempt(self, command: Callable[[], object]) -> bool:
        try:
            command()
        except FleetError as refused:
            said = refused.record()
            assert said["message"]
            assert said["hint"]
            return False
        return True

    @rule(path=paths)
    def add(self, path: str) -> None:
        _, family, name, last = path.split("/")
        body = manifest(family, name, int(last.removesuffix(".json")))
        self.attempt(lambda: self.there.add(path, body, "", NOW_S))

    @rule(number=st.integers(1, 5))
    def add_policy(self, number: int) -> None:
        self.attempt(lambda: self.there.add(f"policies/east/main/{number}.toml", b"version = 1\n", "", NOW_S))

    @rule(path=paths)
    def remove(self, path: str) -> None:
        self.attempt(lambda: self.there.remove(path, NOW_S))

    @rule(kind=st.sampled_from([Kind.RELEASE, Kind.POLICY]), family=st.sampled_from(FAMILIES), names=st.lists(holders))
    def delegate(self, kind: Kind, family: str, names: list[str]) -> None:
        self.attempt(lambda: self.there.delegate(kind, family, signing(*names), NOW_S))

    @rule(
        role=st.sampled_from(ROLES),
        add=st.lists(holders, max_size=2),
        drop=st.lists(holders, max_size=2),
        threshold=st.none() | st.integers(1, 3),
    )
    def rotate(self, role: str, add: list[str], drop: list[str], threshold: int | None) -> None:
        added = [key(name).public for name in add]
        self.attempt(lambda: self.there.rotate(role, add=added, drop=drop, threshold=threshold, now_s=NOW_S))

    @rule(name=holders, replacement=st.none() | holders)
    def revoke(self, name: str, replacement: str | None) -> None:
        other = None if replacement is None else key(replacement).public
        self.attempt(lambda: self.there.revoke(name, other, NOW_S))

    @rule(role=st.sampled_from(ROLES))
    def renew(self, role: str) -> None:
        self.attempt(lambda: self.there.renew([role], NOW_S))

    @rule(name=holders)
    def sign(self, name: str) -> None:
        self.attempt(lambda: self.there.sign(key(name).signer, NOW_S))

    @rule(name=holders)
    def sign_where_no_network_is(self, name: str) -> None:
        def carried() -> None:
            answer = answer_to(read_request(self.there.request()), key(name).signer)
            self.there.answer(answer, NOW_S)

        self.attempt(carried)

    @rule()
    def discard(self) -> None:
        self.attempt(self.there.discard)

    @rule()
    def publish(self) -> None:
        if self.attempt(lambda: self.there.publish(NOW_S)):
            self.is_looked_at = False

    @precondition(lambda self: self.there.contents().prepared)
    @rule()
    def publish_when_all_have_signed(self) -> None:
        """Whatever has been prepared, its holders can always bring it to its end."""
        for name in HOLDERS:
            self.attempt(lambda name=name: self.there.sign(key(name).signer, NOW_S))  # type: ignore[misc]
        self.there.publish(NOW_S)
        self.is_looked_at = False

    @precondition(lambda self: not self.is_looked_at)
    @invariant()
    def what_is_served_is_taken_and_never_falls(self) -> None:
        assert self.there.check(NOW_S).problems == ()
        newcomer = Client(Path(tempfile.mkdtemp(dir=self.folder)), self.there.published)
        for client in (self.device, newcomer) if hasattr(self, "device") else (newcomer,):
            looking = client.looked()
            for path, served in self.served_targets().items():
                found = looking.get_targetinfo(path)
                assert found is not None
                assert Path(looking.download_target(found)).read_bytes() == served
        for piece in (self.there.published / "metadata").iterdir():
            body, name = piece.read_bytes(), piece.name
            if name == "timestamp.json":
                name = f"{json.loads(body)['signed']['version']}.timestamp.json"
            assert self.bodies.setdefault(name, body) == body
        versions = {one.role: one.published for one in self.there.standings(NOW_S)}
        assert all(version >= self.versions.get(role, 0) for role, version in versions.items())
        self.versions = versions
        self.is_looked_at = True

    def served_targets(self) -> dict[str, bytes]:
        targets = self.there.published / "targets"
        return {
            path: (targets / file.get_prefixed_paths()[0]).read_bytes()
            for metadata in self.there.contents().published.values()
            for path, file in getattr(metadata.signed, "targets", {}).items()
        }


def run(examples: int, steps: int) -> None:
    run_state_machine_as_test(
        Commands, settings=settings(max_examples=examples, stateful_step_count=steps, deadline=None)
    )


def test_any_sequence_of_commands_leaves_what_devices_take() -> None:
    run(examples=8, steps=25)


@pytest.mark.thorough("150 long sequences take minutes")
@pytest.mark.timeout(1200)
def test_any_long_sequence_of_commands_leaves_what_devices_take() -> None:
    run(examples=150, steps=60)
