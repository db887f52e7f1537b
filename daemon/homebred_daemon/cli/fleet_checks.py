"""Checks of a device's place in its fleet: identity, certificate, controller, broker. They change nothing."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from homebred_daemon.adapters.broker_probe import probe
from homebred_daemon.adapters.fleet_https import CLOCKS_APART_S, ControllerHttps
from homebred_daemon.adapters.identity_files import IdentityFiles
from homebred_daemon.adapters.system_clock import SystemClock
from homebred_daemon.adapters.trust.files import TrustFiles
from homebred_daemon.cli.finding import ERROR, OK, WARNING, Finding
from homebred_daemon.core.pinning import root_name
from homebred_daemon.core.renewal import Life, Standing, luck_of, standing
from homebred_daemon.errors import HomebredError
from homebred_daemon.ports.identity import Identity

WITHOUT = "the device serves without its fleet: it sends no telemetry and hears of no change"


def fleet_findings(state_dir: Path, environ: Mapping[str, str], now: datetime) -> Iterator[Finding]:
    """All of them; one where the device is in no fleet."""
    try:
        identity = IdentityFiles(state_dir, environ).current()
    except HomebredError as error:
        if isinstance(error.__cause__, PermissionError):
            what, why = f"user {os.getuid()} may not look at it", "the daemon may run as another user, who may"
            yield Finding(check="identity", status=WARNING, what=what, why=why, next="run this as root")
        else:
            yield Finding(check="identity", status=ERROR, what=error.message, why=WITHOUT, next=error.hint)
        return
    if identity is None:
        yield Finding(check="identity", status=OK, what="none: this device is in no fleet")
        return
    membership = identity.membership
    what = f"{membership.device_id} of the site {membership.site}, at {membership.controller_url}"
    yield Finding(check="identity", status=OK, what=what)
    yield certificate_finding(identity, now)
    yield roots_finding(state_dir, identity)
    yield controller_finding(identity)
    yield broker_finding(identity)


def certificate_finding(identity: Identity, now: datetime) -> Finding:
    """Whether the certificate holds, and for how long."""
    certificate = identity.certificate
    life = Life(begins_s=certificate.begins_s, ends_s=certificate.ends_s, luck=luck_of(certificate.digest))
    begins, ends = (datetime.fromtimestamp(at_s, UTC).date() for at_s in (certificate.begins_s, certificate.ends_s))
    match standing(life, now.timestamp()):
        case Standing.GOOD | Standing.DUE:
            return Finding(check="certificate", status=OK, what=f"valid until {ends}; it is renewed by itself")
        case Standing.NOT_YET:
            return Finding(
                check="certificate",
                status=ERROR,
                what=f"valid from {begins} on, and the clock says {now.date()}",
                why="the clock is wrong, so that neither this device nor its controller can believe the other",
                next="set the clock: `timedatectl set-ntp true`, or by hand where there is no network time",
            )
        case Standing.ENDED:
            return Finding(
                check="certificate",
                status=ERROR,
                what=f"ended on {ends}",
                why=WITHOUT,
                next="see whether the clock is right; else enrol it again: homebred enroll URL --replace",
            )
        case _:
            return Finding(
                check="certificate",
                status=WARNING,
                what=f"ends on {ends} and was not renewed so far",
                why="the daemon renews it where it reaches the controller; once it has ended, a token is needed",
                next="see what the log says of certificate_not_renewed, and check that the controller can be reached",
            )


def roots_finding(state_dir: Path, identity: Identity) -> Finding:
    """Which roots are pinned: by what else is signed for this device it is judged."""
    try:
        roots = TrustFiles(state_dir, identity.membership).pinned()
    except HomebredError as error:
        why = "what runs goes on; no release, policy or gazetteer is taken"
        return Finding(check="roots", status=ERROR, what=error.message, why=why, next=error.hint)
    if roots is None:
        return Finding(
            check="roots",
            status=WARNING,
            what="none are pinned: no signed releases are set up on this device",
            why="the controller had no signed repositories when it was asked last",
            next="publish both there (docs/signing.md); they are pinned by themselves at the daemon's next look",
        )
    image, director = root_name(roots.image), root_name(roots.director)
    return Finding(check="roots", status=OK, what=f"image root {image}; director root {director}")


def controller_finding(identity: Identity) -> Finding:
    """Whether the controller answers, and whether the two clocks agree."""
    url = identity.membership.controller_url
    try:
        ahead_s = asyncio.run(ControllerHttps(SystemClock()).clock_ahead_s(identity))
    except HomebredError as error:
        why = (
            "the certificate is renewed there, and large documents are fetched from there; it is tried again by itself"
        )
        return Finding(check="controller", status=WARNING, what=error.message, why=why, next=error.hint)
    if ahead_s is None or abs(ahead_s) < CLOCKS_APART_S:
        return Finding(check="controller", status=OK, what=f"{url} answers, and its clock agrees with this device's")
    return Finding(
        check="controller",
        status=WARNING,
        what=f"{url} answers, and its clock is {abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} this one",
        why="certificates and deadlines are judged by them",
        next="set the clock that is wrong: `timedatectl set-ntp true`",
    )


def broker_finding(identity: Identity) -> Finding:
    """Whether the broker lets this device in."""
    place = f"{identity.membership.broker_host}:{identity.membership.broker_port}"
    try:
        took_s = probe(identity)
    except HomebredError as error:
        why = f"{WITHOUT}; telemetry is kept until it is back"
        return Finding(check="broker", status=WARNING, what=error.message, why=why, next=error.hint)
    return Finding(check="broker", status=OK, what=f"{place} lets this device in, after {took_s * 1000:.0f} ms")
