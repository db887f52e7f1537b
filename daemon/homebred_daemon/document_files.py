"""Reads policy, site ceiling and registry files, and says in which file and on which line something is wrong.

What the documents mean is the protocol's affair. A file is read once: its digest is of the bytes that were parsed.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Generic, TypeVar

from typing_extensions import override

from homebred_daemon import strict_json
from homebred_daemon.errors import ConfigurationError
from homebred_daemon.toml_lines import key_lines, line_of
from homebred_protocol.digests import digest_of
from homebred_protocol.documents.fields import DocumentError, Problem, dotted
from homebred_protocol.documents.policy import Policy, SiteCeiling, bounded, read_ceiling, read_policy
from homebred_protocol.documents.registry import Registry, read_registry

T = TypeVar("T")
BUILT_IN_POLICY = "policy_default.toml"
_AT_LINE = re.compile(r" \(at line (\d+), column \d+\)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """One thing that is wrong with a file."""

    file: str
    line: int | None
    """Counted from 1; None: it concerns no line."""
    key: str
    """Dotted path of the key; empty: it concerns none."""
    what: str
    hint: str
    """What to write instead."""

    @override
    def __str__(self) -> str:
        """Place, what, what next: one line."""
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.key} {self.what}; {self.hint}" if self.key else f"{place}: {self.what}; {self.hint}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadDocument(Generic[T]):
    """A file as read: its bytes, and what they mean or what is wrong with them."""

    kind: str
    """`policy`, `ceiling` or `registry`: the ledger's word for it."""
    digest: str
    """`sha256:` of the bytes."""
    body: bytes
    value: T | None
    """None: something is wrong."""
    complaints: tuple[Complaint, ...] = ()

    def required(self) -> T:
        """The value.

        Raises:
            ConfigurationError: with every complaint.
        """
        if self.value is None:
            lines = [f"{len(self.complaints)} things are wrong", *map(str, self.complaints)]
            only = self.complaints[0] if len(self.complaints) == 1 else None
            message = "\n  ".join(lines) if only is None else str(only).removesuffix(f"; {only.hint}")
            raise ConfigurationError(message, hint="correct each of them" if only is None else only.hint)
        return self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class SitePolicy:
    """The policy as it holds on a site, with the files it is made of."""

    policy: Policy
    """Already bounded by the ceiling."""
    documents: tuple[ReadDocument[Any], ...]
    """What a ledger must keep for its decisions to be decided again: the policy, then the ceiling if there is one."""

    @property
    def body(self) -> bytes:
        """The policy's own bytes."""
        return self.documents[0].body


def built_in_policy() -> bytes:
    """The annotated policy that holds where a site names none."""
    return (resources.files("homebred_daemon") / BUILT_IN_POLICY).read_bytes()


def site_policy(policy_file: Path | None, ceiling_file: Path | None) -> SitePolicy:
    """The policy of a site; None: the built-in policy, no ceiling.

    Raises:
        ConfigurationError: a file cannot be read or is wrong, with every complaint about it.
    """
    return under_ceiling(policy_document(policy_file), ceiling_file)


def under_ceiling(read: ReadDocument[Policy], ceiling_file: Path | None) -> SitePolicy:
    """A policy as it holds under a site's ceiling; None: there is none.

    Raises:
        ConfigurationError: one of them is wrong, or the ceiling cannot be read; with every complaint about it.
    """
    if ceiling_file is None:
        return SitePolicy(policy=read.required(), documents=(read,))
    ceiling = ceiling_document(ceiling_file)
    return SitePolicy(policy=bounded(read.required(), ceiling.required()), documents=(read, ceiling))


def policy_document(path: Path | None) -> ReadDocument[Policy]:
    """A policy file; None: the built-in policy.

    Raises:
        ConfigurationError: the file cannot be read at all.
    """
    if path is None:
        return policy_from("the built-in policy", built_in_policy())
    return policy_from(str(path), _bytes(path))


def policy_from(name: str, body: bytes) -> ReadDocument[Policy]:
    """A policy's bytes as read; `name` stands in its complaints for the file."""
    return _toml("policy", name, body, read_policy)


def ceiling_document(path: Path) -> ReadDocument[SiteCeiling]:
    """A site ceiling file.

    Raises:
        ConfigurationError: the file cannot be read at all.
    """
    return _toml("ceiling", str(path), _bytes(path), read_ceiling)


def registry_document(path: Path) -> ReadDocument[Registry]:
    """A registry file.

    Raises:
        ConfigurationError: the file cannot be read at all.
    """
    body = _bytes(path)
    digest = digest_of(body)
    try:
        registry = read_registry(strict_json.parse(body), digest)
    except DocumentError as error:
        complaints = _complaints(str(path), error.problems, {})
        return ReadDocument(kind="registry", digest=digest, body=body, value=None, complaints=complaints)
    except ValueError as error:
        complaint = Complaint(file=str(path), line=None, key="", what=str(error), hint="write one JSON object in UTF-8")
        return ReadDocument(kind="registry", digest=digest, body=body, value=None, complaints=(complaint,))
    return ReadDocument(kind="registry", digest=digest, body=body, value=registry)


def _toml(kind: str, name: str, body: bytes, read: Callable[[object, str], T]) -> ReadDocument[T]:
    digest = digest_of(body)
    try:
        text = body.decode("utf-8")
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        complaint = _syntax_complaint(name, body, error)
        return ReadDocument(kind=kind, digest=digest, body=body, value=None, complaints=(complaint,))
    try:
        return ReadDocument(kind=kind, digest=digest, body=body, value=read(document, digest))
    except DocumentError as error:
        complaints = _complaints(name, error.problems, key_lines(text))
        return ReadDocument(kind=kind, digest=digest, body=body, value=None, complaints=complaints)


def _syntax_complaint(name: str, body: bytes, error: Exception) -> Complaint:
    if isinstance(error, UnicodeDecodeError):
        line = body.count(b"\n", 0, error.start) + 1
        return Complaint(file=name, line=line, key="", what=f"is not UTF-8: {error.reason}", hint="save it as UTF-8")
    found = _AT_LINE.search(str(error))
    return Complaint(
        file=name,
        line=int(found.group(1)) if found is not None else None,
        key="",
        what=f"is not valid TOML: {_AT_LINE.sub('', str(error))}",
        hint="correct the syntax there; see `homebred policy default` for an example",
    )


def _complaints(
    name: str, problems: tuple[Problem, ...], lines: Mapping[tuple[str, ...], int]
) -> tuple[Complaint, ...]:
    found = (
        Complaint(
            file=name,
            line=line_of(lines, problem.path),
            key=dotted(problem.path) if problem.path else "",
            what=problem.what,
            hint=problem.hint,
        )
        for problem in problems
    )
    return tuple(sorted(found, key=lambda complaint: complaint.line or 0))


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error.strerror}", hint="correct the path, or the file's permissions"
        ) from error
