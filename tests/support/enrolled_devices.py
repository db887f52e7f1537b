"""A device that a real controller has let in, with its identity where a daemon would look for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from tests.support.controller import Controller
from tests.support.fleet_authority import MEMBERSHIP

from homebred_daemon.adapters import device_certificates
from homebred_daemon.adapters.identity_files import IdentityFiles
from homebred_daemon.ports.identity import Identity, Issued


def enrolled(controller: Controller, state_dir: Path, *, site: str = "clinic-east") -> Identity:
    """A new device of a site."""
    files = IdentityFiles(state_dir, {})
    pending = files.pending_key("enrolment")
    key = load_pem_private_key(pending.key_pem, None)
    assert isinstance(key, EllipticCurvePrivateKey)
    let_in = controller.enrol(controller.token(site=site), key)
    issued = Issued(
        certificates_pem=let_in.credentials.certificate.read_bytes(),
        authorities_pem=controller.folder.authorities.read_bytes(),
        facts=device_certificates.facts(let_in.certificate),
        membership=replace(MEMBERSHIP, device_id=let_in.id, site=site, controller_url=controller.url),
    )
    return files.take_up(pending, issued)
