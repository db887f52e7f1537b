"""A repository in a folder, as its admins work on it: each command is one change, kept whole or not at all.

It holds no key: whoever signs brings one along. Commands that only look take no lock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from securesystemslib.signer import CryptoSigner, Key
from tuf.api.metadata import TargetFile

from homebred_fleet.adapters.tuf_repository import air_gap, editing
from homebred_fleet.adapters.tuf_repository.checking import Checked, Problem, check
from homebred_fleet.adapters.tuf_repository.contents import Contents, RoleStanding
from homebred_fleet.adapters.tuf_repository.editing import Signing
from homebred_fleet.adapters.tuf_repository.folder import RepositoryFolder, file_name, read, root_numbers
from homebred_fleet.adapters.tuf_repository.metadata import body_of, expires_at_s, parsed
from homebred_fleet.core.keyholders import Purpose, named
from homebred_fleet.core.repository_rules import MAX_METADATA_BYTES, ROOT, TARGETS, TOP_ROLES, Freshness
from homebred_fleet.errors import ConflictError, StateError
from homebred_protocol.digests import digest_of
from homebred_protocol.targets import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRoot:
    """One root that is served."""

    version: int
    digest: str
    """`sha256:…` of its file: what people compare with what devices have pinned."""
    expires_at_s: int


class Repository:
    """One folder. Every method may raise what its `editing` function does, and StateError."""

    def __init__(self, path: Path) -> None:
        self._folder = RepositoryFolder(path)

    @property
    def published(self) -> Path:
        """What devices are to be served."""
        return self._folder.published

    def init(self, purpose: Purpose, signing: Mapping[str, Signing], now_s: int) -> None:
        """Begins a repository, to be signed and published. Raises ConflictError: there is one."""
        contents = editing.founded(purpose, signing, now_s)
        with self._folder.locked():
            if self._folder.exists:
                raise ConflictError(f"there is a repository in {self._folder.path}", hint="name another folder")
            contents.settle(now_s)
            self._folder.save(contents.prepared)

    def contents(self) -> Contents:
        """What is published and what waits."""
        return self._folder.contents()

    def roots(self) -> list[PublishedRoot]:
        """Those that are served, the newest first."""
        found = []
        for version in reversed(root_numbers(self.published)):
            name = file_name(ROOT, version)
            body = read(self.published / "metadata" / name)
            ends_s = expires_at_s(parsed(body, ROOT, name))
            found.append(PublishedRoot(version=version, digest=digest_of(body), expires_at_s=ends_s))
        return found

    def standings(self, now_s: int) -> list[RoleStanding]:
        """How each role stands."""
        contents = self.contents()
        return [contents.standing(role, now_s) for role in contents.roles]

    def delegate(self, kind: Kind, family: str, signing: Signing, now_s: int) -> str:
        """See `editing.delegate`."""
        with self._edited(now_s) as contents:
            return editing.delegate(contents, kind, family, signing, now_s)

    def add(self, path: str, body: bytes, site: str, now_s: int) -> TargetFile:
        """See `editing.add_target`; the bytes are kept before anything names them."""
        with self._edited(now_s) as contents:
            file = editing.add_target(contents, path, body, site, now_s)
            self._folder.keep_target(body, file)
            return file

    def remove(self, path: str, now_s: int) -> None:
        """See `editing.remove_target`."""
        with self._edited(now_s) as contents:
            editing.remove_target(contents, path, now_s)

    def rotate(
        self,
        role: str,
        *,
        add: Sequence[Key] = (),
        drop: Sequence[str] = (),
        threshold: int | None = None,
        now_s: int,
    ) -> None:
        """See `editing.rotate`."""
        with self._edited(now_s) as contents:
            editing.rotate(contents, role, add=add, drop=drop, threshold=threshold, now_s=now_s)

    def revoke(self, word: str, replacement: Key | None, now_s: int) -> tuple[str, ...]:
        """See `editing.revoke`."""
        with self._edited(now_s) as contents:
            return editing.revoke(contents, word, replacement, now_s)

    def is_online(self, word: str) -> bool:
        """Whether a word means the director's online key, and no root holder. Raises what `keyholders.named` does."""
        contents = self.contents()
        root, online = (editing.quorum_now(contents, role).holders for role in (ROOT, TARGETS))
        return named(word, (*root, *online)) in online

    def renew(self, roles: Sequence[str], now_s: int) -> tuple[str, ...]:
        """Prepares roles anew: those named, else all in the last third of their life; which."""
        with self._edited(now_s) as contents:
            ending = (role for role in contents.roles if contents.standing(role, now_s).freshness is not Freshness.GOOD)
            chosen = tuple(roles or ending)
            editing.renew(contents, chosen, now_s)
            return chosen

    def sign(self, signer: CryptoSigner, now_s: int) -> tuple[str, ...]:
        """See `editing.sign`."""
        with self._edited(now_s) as contents:
            return editing.sign(contents, signer)

    def request(self) -> bytes:
        """See `air_gap.request_of`."""
        return air_gap.request_of(self.contents())

    def answer(self, body: bytes, now_s: int) -> list[tuple[str, str]]:
        """See `air_gap.take_answer`."""
        with self._edited(now_s) as contents:
            return air_gap.take_answer(contents, body)

    def discard(self) -> None:
        """Gives up what waits. Raises ConflictError: nothing was published yet, so nothing would be left."""
        with self._folder.locked():
            if not self._folder.published.exists():
                raise ConflictError("nothing is published yet", hint="remove the folder to begin again")
            self._folder.discard()

    def publish(self, now_s: int) -> list[Problem]:
        """Serves what waits from now on, all of it; what is old besides, and stays served as it is.

        Raises:
            ConflictError: nothing waits, or signatures are missing.
            StateError: a device would not take it.
        """
        with self._folder.locked():
            contents = self.contents()
            _must_be_complete(contents, now_s)
            left: list[Problem] = []

            def must_hold(generation: Path) -> None:
                left.extend(_stale_or_raised(check(generation, now_s), contents))

            self._folder.publish(contents, must_hold)
            return left

    def check(self, now_s: int) -> Checked:
        """Looks at what is served as a stranger would; also at a copy of `published` that lies elsewhere."""
        is_copy = (self._folder.path / "metadata").is_dir()
        return check(self._folder.path if is_copy else self._folder.published, now_s)

    @contextmanager
    def _edited(self, now_s: int) -> Iterator[Contents]:
        with self._folder.locked():
            contents = self.contents()
            yield contents
            contents.settle(now_s)
            for role, metadata in contents.prepared.items():
                size = len(body_of(metadata))
                if size > MAX_METADATA_BYTES:
                    raise ConflictError(
                        f"{role} would have {size:,} bytes, and devices take {MAX_METADATA_BYTES:,} at most",
                        hint="begin another family of models, or drop keys that nobody needs",
                    )
            self._folder.save(contents.prepared)


def _must_be_complete(contents: Contents, now_s: int) -> None:
    if not contents.prepared:
        raise ConflictError("nothing waits to be published", hint="see `homebred-fleet repository status`")
    short = [contents.standing(role, now_s) for role in contents.roles if role in contents.prepared]
    said = [
        f"{one.role} needs {quorum.missing(one.signed)} of {', '.join(who.text for who in quorum.waiting(one.signed))}"
        for one in short
        for quorum in one.quorums
        if quorum.missing(one.signed)
    ]
    if said:
        raise ConflictError(
            f"signatures are missing: {'; '.join(dict.fromkeys(said))}",
            hint="`homebred-fleet repository sign FOLDER --key FILE`, or `repository request` where no network is",
        )


def _stale_or_raised(checked: Checked, contents: Contents) -> list[Problem]:
    """What does not stop others: an old delegation that is not part of this, which keeps its own targets back alone."""
    stale = [
        one
        for one in checked.problems
        if one.expired and one.role not in contents.prepared and one.role not in TOP_ROLES
    ]
    wrong = [one for one in checked.problems if one not in stale]
    if wrong:
        raise StateError(
            f"no device would take this: {'; '.join(f'{one.role}: {one.what}' for one in wrong)}",
            hint="`homebred-fleet repository renew FOLDER` where something has expired, then have it signed",
        )
    return stale
