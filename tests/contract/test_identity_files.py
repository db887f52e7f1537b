"""The device's identity on the disk: whole or not at all, its key nobody else's, wrong files refused in words."""

from __future__ import annotations

import json
import os
import shutil
import signal
import ssl
import stat
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from tests.support import identity_scenarios
from tests.support.fleet_authority import MEMBERSHIP, Authority
from tests.support.other_user import STRANGER, needs_root

from homebred_daemon.adapters.device_certificates import new_key
from homebred_daemon.adapters.identity_files import CREDENTIAL, IdentityFiles
from homebred_daemon.cli.fleet_checks import fleet_findings
from homebred_daemon.errors import ConfigurationError, StateError
from homebred_daemon.ports.identity import Identity

AUTHORITY = Authority()
PURPOSE = "enrolment"


def enrolled(state_dir: Path, *, at_s: int = 1, environ: dict[str, str] | None = None) -> Identity:
    files = IdentityFiles(state_dir, environ or {})
    pending = files.pending_key(PURPOSE)
    return files.take_up(pending, AUTHORITY.issued(pending.request_der, replace(MEMBERSHIP, enrolled_at_s=at_s)))


def test_a_device_that_was_never_enrolled_has_no_identity_and_no_folder(tmp_path: Path) -> None:
    assert IdentityFiles(tmp_path, {}).current() is None
    assert list(tmp_path.iterdir()) == []


def test_what_was_taken_up_is_read_back_by_the_next_process(tmp_path: Path) -> None:
    taken = enrolled(tmp_path)
    assert IdentityFiles(tmp_path, {}).current() == taken
    assert taken.membership == replace(MEMBERSHIP, enrolled_at_s=1)
    context = ssl.create_default_context(cafile=taken.credentials.authorities)
    context.load_cert_chain(taken.credentials.certificate, taken.credentials.key)


def test_nothing_of_it_can_be_read_by_others(tmp_path: Path) -> None:
    enrolled(tmp_path)
    IdentityFiles(tmp_path, {}).pending_key(PURPOSE)
    for path in (tmp_path / "identity").rglob("*"):
        if path.name not in {"current", "lock"}:
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_a_pending_key_stays_the_same_until_it_is_taken_up_and_is_another_then(tmp_path: Path) -> None:
    first = IdentityFiles(tmp_path, {}).pending_key(PURPOSE)
    assert IdentityFiles(tmp_path, {}).pending_key(PURPOSE).key_pem == first.key_pem
    assert IdentityFiles(tmp_path, {}).pending_key("renewal").key_pem != first.key_pem
    taken = enrolled(tmp_path)
    assert taken.credentials.key.read_bytes() == first.key_pem
    assert IdentityFiles(tmp_path, {}).pending_key(PURPOSE).key_pem != first.key_pem


def test_the_generation_before_stays_for_those_that_use_it_and_older_ones_go(tmp_path: Path) -> None:
    first, second = enrolled(tmp_path, at_s=1), enrolled(tmp_path, at_s=2)
    assert first.credentials.key.is_file()
    third = enrolled(tmp_path, at_s=3)
    assert not first.credentials.key.exists()
    assert second.credentials.key.is_file()
    assert IdentityFiles(tmp_path, {}).current() == third


@needs_root
def test_what_root_makes_belongs_to_whoever_owns_the_state_folder(tmp_path: Path) -> None:
    state_dir = tmp_path / "state"
    state_dir.mkdir()
    os.chown(state_dir, STRANGER, STRANGER)
    enrolled(state_dir)
    IdentityFiles(state_dir, {}).pending_key(PURPOSE)
    assert {path.stat().st_uid for path in state_dir.rglob("*")} == {STRANGER}


@needs_root
def test_who_may_not_look_is_told_so_and_hears_of_no_fault(tmp_path: Path) -> None:
    state_dir = tmp_path / "state"
    state_dir.mkdir(mode=0o700)
    enrolled(state_dir)
    tmp_path.chmod(0o755)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.setuid(STRANGER)
        (found,) = fleet_findings(state_dir, {}, datetime.now(UTC))
        os.write(writing, f"{found.check} {found.status}: {found.what}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 1000).decode() == f"identity warning: user {STRANGER} may not look at it"
    os.close(reading)
    os.close(writing)


def test_forgetting_leaves_no_key(tmp_path: Path) -> None:
    enrolled(tmp_path)
    files = IdentityFiles(tmp_path, {})
    files.pending_key(PURPOSE)
    assert files.forget()
    assert files.current() is None
    assert list((tmp_path / "identity").rglob("*.pem")) == []
    assert not files.forget()


def key_of_another(identity: Identity) -> None:
    identity.credentials.key.write_bytes(new_key())


def open_key(identity: Identity) -> None:
    identity.credentials.key.chmod(0o640)


def linked_key(identity: Identity) -> None:
    key = identity.credentials.key
    key.rename(key.with_suffix(".moved"))
    key.symlink_to(key.with_suffix(".moved"))


def no_key(identity: Identity) -> None:
    identity.credentials.key.unlink()


def locked_key(identity: Identity) -> None:
    key = load_pem_private_key(identity.credentials.key.read_bytes(), password=None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    identity.credentials.key.write_bytes(locked)


def no_certificate(identity: Identity) -> None:
    identity.credentials.certificate.write_bytes(b"")


def no_authorities(identity: Identity) -> None:
    identity.credentials.authorities.unlink()


def record_of(identity: Identity) -> Path:
    return identity.credentials.certificate.with_name("identity.json")


def no_record(identity: Identity) -> None:
    record_of(identity).write_text("{}")


def another_device(identity: Identity) -> None:
    record = json.loads(record_of(identity).read_text())
    record_of(identity).write_text(json.dumps(record | {"device_id": "+"}))


def another_digest(identity: Identity) -> None:
    record = json.loads(record_of(identity).read_text())
    record["certificate"]["digest"] = "sha256:" + "0" * 64
    record_of(identity).write_text(json.dumps(record))


def pointer_to_elsewhere(identity: Identity) -> None:
    (identity.credentials.key.parents[2] / "current").write_text("../../etc")


def pointer_to_nothing(identity: Identity) -> None:
    (identity.credentials.key.parents[2] / "current").write_text("000099\n")


def huge_pointer(identity: Identity) -> None:
    (identity.credentials.key.parents[2] / "current").write_bytes(b"0" * 1_000_000)


WRONG: list[tuple[Callable[[Identity], None], str]] = [
    (key_of_another, "do not belong together"),
    (open_key, "others than its owner may read"),
    (linked_key, "is no file"),
    (no_key, "could not be read"),
    (locked_key, "cannot be used"),
    (no_certificate, "cannot be used"),
    (no_authorities, "cannot be used"),
    (no_record, "not what an enrolment writes"),
    (another_device, "not what an enrolment writes"),
    (another_digest, "not the certificate that was taken up"),
    (pointer_to_elsewhere, "names no generation"),
    (pointer_to_nothing, "could not be read"),
    (huge_pointer, "names no generation"),
]


@pytest.mark.parametrize(("spoil", "what"), WRONG, ids=[spoil.__name__ for spoil, _ in WRONG])
def test_wrong_files_are_refused_in_words_that_say_what_next(
    tmp_path: Path, spoil: Callable[[Identity], None], what: str
) -> None:
    spoil(enrolled(tmp_path))
    with pytest.raises(StateError, match=what) as refused:
        IdentityFiles(tmp_path, {}).current()
    assert refused.value.hint


@pytest.mark.parametrize(("spoil", "what"), WRONG, ids=[spoil.__name__ for spoil, _ in WRONG])
def test_every_spoilt_identity_can_be_replaced(tmp_path: Path, spoil: Callable[[Identity], None], what: str) -> None:
    spoil(enrolled(tmp_path))
    replaced = enrolled(tmp_path, at_s=2)
    assert IdentityFiles(tmp_path, {}).current() == replaced


def test_a_key_that_systemd_passes_is_used_and_is_never_written_into_the_state_folder(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    passed = new_key()
    (credentials / CREDENTIAL).touch(mode=0o440)
    (credentials / CREDENTIAL).write_bytes(passed)
    environ = {"CREDENTIALS_DIRECTORY": str(credentials)}
    state_dir = tmp_path / "state"
    state_dir.mkdir()
    taken = enrolled(state_dir, environ=environ)
    assert taken.credentials.key == credentials / CREDENTIAL
    assert list(state_dir.rglob("*key*")) == []
    assert passed not in b"".join(path.read_bytes() for path in state_dir.rglob("*") if path.is_file())
    assert IdentityFiles(state_dir, environ).current() == taken
    (credentials / CREDENTIAL).chmod(0o444)
    with pytest.raises(StateError, match="others than its owner"):
        IdentityFiles(state_dir, environ).current()


def test_a_credential_that_is_no_p256_key_is_refused(tmp_path: Path) -> None:
    rsa = generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for body in (b"nonsense", rsa):
        (tmp_path / CREDENTIAL).unlink(missing_ok=True)
        (tmp_path / CREDENTIAL).touch(mode=0o400)
        (tmp_path / CREDENTIAL).write_bytes(body)
        with pytest.raises(ConfigurationError, match=r"no EC P-256 key"):
            IdentityFiles(tmp_path, {"CREDENTIALS_DIRECTORY": str(tmp_path)}).pending_key(PURPOSE)


def test_threads_that_take_up_at_once_leave_one_whole_identity(tmp_path: Path) -> None:
    files = IdentityFiles(tmp_path, {})
    enrolled(tmp_path)
    failures: list[BaseException] = []

    def renew(number: int) -> None:
        try:
            pending = files.pending_key(f"of-{number}")
            files.take_up(pending, AUTHORITY.issued(pending.request_der, replace(MEMBERSHIP, enrolled_at_s=number)))
        except BaseException as error:  # noqa: BLE001 - told below
            failures.append(error)

    threads = [threading.Thread(target=renew, args=(number,)) for number in range(2, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    held = IdentityFiles(tmp_path, {}).current()
    assert held is not None
    assert held.generation == "000009"


def killed_before(number: int, root: Path) -> bool:
    """Enrols again in a child that is killed before its n-th call on files below the folder; whether it survived."""
    child = os.fork()
    if not child:
        left = number

        def hook(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal left
            place = arguments[0] if arguments else None
            if isinstance(place, str | Path) and str(place).startswith(str(root)):
                left -= 1
                if not left:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        identity_scenarios.enrolled(IdentityFiles(root, {}), at_s=2)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_kill_before_any_step_leaves_the_old_identity_or_the_new_one_whole(tmp_path: Path) -> None:
    template = tmp_path / "template"
    template.mkdir()
    identity_scenarios.enrolled(IdentityFiles(template, {}), at_s=1)
    number, survived, left = 0, False, set()
    while not survived:
        number += 1
        root = tmp_path / str(number)
        shutil.copytree(template, root)
        survived = killed_before(number, root)
        held = IdentityFiles(root, {}).current()
        assert held is not None
        left.add(held.membership.enrolled_at_s)
        identity_scenarios.check(root, ["enrolled 1"])
    assert number > 25
    assert left == {1, 2}
