"""Keys that sign metadata: made, written as a private and a public file, and read again. Whom they belong to is theirs.

A private file is PKCS#8, locked by a passphrase; the public one is the key as metadata names it, with its holder's
name. It signs nothing itself.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from securesystemslib.signer import CryptoSigner, Key, SSlibKey

from homebred_fleet.adapters.durable_files import PUBLIC, SECRET, create
from homebred_fleet.core.keyholders import NAME, Holder, Purpose
from homebred_fleet.errors import ConflictError, NotPermittedError, RequestError

SigningKey = CryptoSigner
"""A private key that is ready to sign."""
HOLDER_FIELD: Final = "x-homebred-holder"
PURPOSE_FIELD: Final = "x-homebred-purpose"
MIN_PASSPHRASE: Final = 20
"""Characters. Whoever has copied the file may guess for years, and `cryptography` slows a guess by no more than 2,048
rounds of PBKDF2 where it writes PKCS#8: it is the passphrase's length that protects."""
MAX_FILE_BYTES: Final = 16_384


def make_key(path: Path, name: str, purpose: Purpose, passphrase: str) -> Holder:
    """Makes a key: the private half at the path, the public one beside it, as `….pub`.

    Raises:
        ConflictError: there is a file of that name, which stays as it is.
        RequestError: the name cannot be one, the passphrase is too short, or a file cannot be written.
    """
    if NAME.fullmatch(name) is None:
        raise RequestError(f"{name!r} is no holder's name", hint="write small letters, digits and . - _, 40 at most")
    private = Ed25519PrivateKey.generate()
    public = public_key(private, name, purpose)
    beside = public_path(path)
    if beside.exists():
        raise ConflictError(f"{beside} is there already", hint="name another file: keys are never written over")
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, _lock(purpose, passphrase)
    )
    try:
        if not create(path, pem, mode=SECRET):
            raise ConflictError(f"{path} is there already", hint="name another file: keys are never written over")
        create(beside, public_document(public), mode=PUBLIC)
    except OSError as error:
        raise RequestError(f"{path} cannot be written: {error.strerror}", hint="name a folder that is there") from error
    return holder_of(public)


def public_path(path: Path) -> Path:
    """Where the public half of a key lies."""
    return path.with_name(f"{path.name}.pub")


def public_key(private: Ed25519PrivateKey, name: str, purpose: Purpose) -> SSlibKey:
    """The public half, as metadata names it."""
    key = SSlibKey.from_crypto(private.public_key())
    key.unrecognized_fields.update({HOLDER_FIELD: name, PURPOSE_FIELD: purpose.value})
    return key


def public_document(key: Key) -> bytes:
    """What stands in a public file."""
    return json.dumps(key.to_dict(), indent=1, sort_keys=True).encode() + b"\n"


def read_public(path: Path, purpose: Purpose) -> SSlibKey:
    """A key from a public file; its id is worked out, never believed.

    Raises:
        RequestError: it cannot be read, is none, or was made for something else.
    """
    try:
        document = json.loads(_body(path))
        key = SSlibKey.from_crypto(_ed25519(document))
        name, made_for = document[HOLDER_FIELD], document[PURPOSE_FIELD]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RequestError(
            f"{path} is no public key of a holder", hint="name a .pub file that `homebred-fleet keys make` wrote"
        ) from error
    if not isinstance(name, str) or NAME.fullmatch(name) is None:
        raise RequestError(f"{path} names no holder", hint="name a .pub file that `homebred-fleet keys make` wrote")
    if made_for != purpose.value:
        raise RequestError(
            f"{path} was made for {made_for!r}, and this needs a key for {purpose.value!r}",
            hint=f"have the holder make another one: `homebred-fleet keys make {name} --for {purpose.value}`."
            " One key for both would let a thief of the controller's key take over the image repository",
        )
    key.unrecognized_fields.update({HOLDER_FIELD: name, PURPOSE_FIELD: purpose.value})
    return key


def purpose_of_file(path: Path) -> Purpose:
    """What a public file says that its key was made for. Raises RequestError."""
    try:
        return Purpose(json.loads(_body(path))[PURPOSE_FIELD])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RequestError(
            f"{path} is no public key of a holder", hint="name a .pub file that `homebred-fleet keys make` wrote"
        ) from error


def open_key(path: Path, passphrase: str) -> SigningKey:
    """A private key, ready to sign.

    Raises:
        RequestError: it cannot be read, or is no key of ours.
        NotPermittedError: the passphrase is wrong, or others may read the file.
    """
    body = _body(path)
    if stat.S_IMODE(path.stat().st_mode) & 0o077 and os.name == "posix":
        raise NotPermittedError(f"others than its owner may read {path}", hint=f"chmod 600 {path}")
    try:
        private = serialization.load_pem_private_key(body, passphrase.encode() or None)
    except TypeError as error:
        said = "is locked, and no passphrase was given" if not passphrase else "is not locked, and has no passphrase"
        raise NotPermittedError(f"{path} {said}", hint="see --passphrase-file") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        is_locked = b"ENCRYPTED" in body
        if is_locked:
            raise NotPermittedError(f"the passphrase does not open {path}", hint="try again") from error
        raise RequestError(f"{path} is no private key", hint="name a file that `keys make` wrote") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise RequestError(f"{path} is no ed25519 key", hint="name a file that `homebred-fleet keys make` wrote")
    return CryptoSigner(private)


def is_locked(path: Path) -> bool:
    """Whether a private key needs a passphrase. Raises RequestError."""
    return b"ENCRYPTED" in _body(path)


def holder_of(key: Key) -> Holder:
    """Whose a key is, by what is signed beside it."""
    name = key.unrecognized_fields.get(HOLDER_FIELD)
    return Holder(key_id=key.keyid, name=name if isinstance(name, str) and NAME.fullmatch(name) else "unnamed")


def is_named_by_its_bytes(key: Key) -> bool:
    """Whether a key's id is its own: else another key could pass for a holder's, whose id people compare."""
    try:
        return SSlibKey.from_crypto(_ed25519(key.to_dict())).keyid == key.keyid
    except (ValueError, KeyError, TypeError):
        return False


def _ed25519(document: dict[str, Any]) -> Ed25519PublicKey:
    if document["keytype"] != "ed25519" or document["scheme"] != "ed25519":
        raise ValueError("another kind of key")
    return Ed25519PublicKey.from_public_bytes(bytes.fromhex(document["keyval"]["public"]))


def _lock(purpose: Purpose, passphrase: str) -> serialization.KeySerializationEncryption:
    if not passphrase and purpose is Purpose.ONLINE:
        return serialization.NoEncryption()
    if len(passphrase) < MIN_PASSPHRASE:
        raise RequestError(
            f"a passphrase of {len(passphrase)} characters is too short",
            hint=f"take {MIN_PASSPHRASE} at least: five words that have nothing to do with each other",
        )
    return serialization.BestAvailableEncryption(passphrase.encode())


def _body(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            body = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror}", hint="correct the path") from error
    if len(body) > MAX_FILE_BYTES:
        raise RequestError(f"{path} is longer than any key", hint="correct the path")
    return body
