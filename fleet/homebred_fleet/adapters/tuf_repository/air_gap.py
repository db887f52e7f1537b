"""Signing where no network is: what waits goes out as one file, signatures come back as another.

    request   {"version": 1, "kind", "repository", "roles": [{"role", "prepared", "published"}]}
    answer    {"version": 1, "kind", "signatures": [{"role", "digest", "keyid", "sig"}]}

A request carries whole metadata, so that whoever signs can read it there; an answer nothing but signatures, each of
which is verified before it is taken. Neither is secret.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final

from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import CryptoSigner, Signature

from homebred_fleet.adapters.tuf_repository.changes import said
from homebred_fleet.adapters.tuf_repository.contents import Contents
from homebred_fleet.adapters.tuf_repository.editing import holds
from homebred_fleet.adapters.tuf_repository.metadata import AnyMetadata, body_of, keys_of, parsed
from homebred_fleet.core.repository_rules import ROOT
from homebred_fleet.errors import ConflictError, FleetError, NotFoundError, RequestError

REQUEST: Final = "homebred signing request"
ANSWER: Final = "homebred signing answer"
MAX_BYTES: Final = 64 * 1024 * 1024
_ANOTHER: Final = "have another request made, and find out who changed this one"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What somebody is asked to sign."""

    contents: Contents
    """As the asker says: nothing of it is verified."""

    def said_to(self, key_id: str) -> list[tuple[str, list[str]]]:
        """Role by role, what a key is asked to sign, in sentences."""
        return [
            (role, said(role, metadata, self.contents.published.get(role)))
            for role, metadata in self.contents.prepared.items()
            if holds(self.contents, role, key_id)
        ]


def request_of(contents: Contents) -> bytes:
    """A file with all that waits. Raises ConflictError: nothing does."""
    if not contents.prepared:
        raise ConflictError("nothing waits for signatures", hint="see `homebred-fleet repository status`")
    pieces = [
        {
            "role": role,
            "prepared": _plain(contents.prepared.get(role)),
            "published": _plain(contents.published.get(role)),
        }
        for role in contents.roles
    ]
    document = {"version": 1, "kind": REQUEST, "repository": contents.purpose.value, "roles": pieces}
    return json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"


def read_request(body: bytes) -> Request:
    """What is asked for. Raises RequestError: it is no request."""
    document = _document(body, REQUEST)
    prepared: dict[str, AnyMetadata] = {}
    published: dict[str, AnyMetadata] = {}
    try:
        for piece in document["roles"]:
            for name, into in (("prepared", prepared), ("published", published)):
                if piece[name] is not None:
                    into[piece["role"]] = parsed(json.dumps(piece[name]).encode(), piece["role"], piece["role"])
        contents = Contents(published, prepared)
        is_whole = set(contents.roles) >= prepared.keys() and contents.purpose.value == document["repository"]
    except FleetError as error:
        raise RequestError(f"what is asked for cannot be read: {error.message}", hint=_ANOTHER) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RequestError("what is asked for cannot be read", hint=_ANOTHER) from error
    if not is_whole:
        raise RequestError("what is asked for does not belong together", hint=_ANOTHER)
    return Request(contents=contents)


def answer_to(request: Request, signer: CryptoSigner) -> bytes:
    """A file with a key's signatures. Raises NotFoundError: nothing is asked of this key."""
    key_id = signer.public_key.keyid
    asked = [role for role, _ in request.said_to(key_id)]
    if not asked:
        raise NotFoundError(f"nothing here is for the key {key_id[:8]}", hint="see who is asked: `keys review FILE`")
    signatures = []
    for role in asked:
        metadata = request.contents.prepared[role]
        signature = signer.sign(metadata.signed_bytes)
        signatures.append({"role": role, "digest": _digest(metadata), **signature.to_dict()})
    document = {"version": 1, "kind": ANSWER, "signatures": signatures}
    return json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"


def take_answer(contents: Contents, body: bytes) -> list[tuple[str, str]]:
    """Adds the signatures of an answer to what waits; which roles, and the key's id.

    Raises:
        RequestError: it is no answer, or a signature in it does not hold.
        ConflictError: it answers another request.
    """
    entries = _document(body, ANSWER).get("signatures")
    try:
        answers = [(str(one["role"]), str(one["digest"]), _signature(one)) for one in entries or ()]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RequestError("this is no answer with signatures", hint="have it made again by `keys sign`") from error
    taken = [_verified(contents, role, digest, signature) for role, digest, signature in answers]
    if not taken:
        raise RequestError("there is no signature in it", hint="have it made again by `keys sign`")
    for metadata, signature, _ in taken:
        metadata.signatures[signature.keyid] = signature
    return [(role, signature.keyid) for _, signature, role in taken]


def _verified(contents: Contents, role: str, digest: str, signature: Signature) -> tuple[AnyMetadata, Signature, str]:
    metadata = contents.prepared.get(role)
    if metadata is None or _digest(metadata) != digest:
        raise ConflictError(
            f"it signs a {role} that is not what waits now", hint="make another request, and have that signed"
        )
    if not holds(contents, role, signature.keyid):
        raise RequestError(f"the key {signature.keyid[:8]} may not sign {role}", hint="have another holder sign")
    known = {**keys_of(contents.delegator(role)), **_keys_before(contents, role)}
    try:
        known[signature.keyid].verify_signature(signature, metadata.signed_bytes)
    except UnverifiedSignatureError as error:
        raise RequestError(f"the signature of {role} by {signature.keyid[:8]} does not hold") from error
    return metadata, signature, role


def _keys_before(contents: Contents, role: str) -> dict[str, Any]:
    before = contents.published.get(ROOT)
    return dict(before.signed.keys) if role == ROOT and before is not None else {}


def _signature(entry: dict[str, Any]) -> Signature:
    if not isinstance(entry["keyid"], str):
        raise TypeError("no key's id")
    return Signature.from_dict({"keyid": entry["keyid"], "sig": entry["sig"]})


def _plain(metadata: AnyMetadata | None) -> Any:
    return None if metadata is None else json.loads(body_of(metadata))


def _digest(metadata: AnyMetadata) -> str:
    return "sha256:" + hashlib.sha256(metadata.signed_bytes).hexdigest()


def _document(body: bytes, kind: str) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"this is no {kind}", hint="name the file that was made for it") from error
    if not isinstance(document, dict) or document.get("kind") != kind or document.get("version") != 1:
        raise RequestError(f"this is no {kind} that this version knows", hint="name the file that was made for it")
    return document
