"""`homebred enroll`: makes this device a member of a fleet, with a token that the fleet's administrator made.

The token need not stand on the command line, where every user of the machine could read it. It restarts nothing: a
running daemon takes its identity up at its next start.
"""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from homebred_daemon.cli.exits import write_json
from homebred_daemon.core.pinning import Compared, root_name
from homebred_daemon.errors import ClockWrongError, ConflictError, RequestError, StateError

if TYPE_CHECKING:
    from homebred_daemon.adapters.fleet_https import ControllerHttps
    from homebred_daemon.adapters.identity_files import IdentityFiles
    from homebred_daemon.ports.identity import Identity, Issued, PendingKey
    from homebred_daemon.ports.trust import Roots

PURPOSE = "enrolment"
MAX_TOKEN_BYTES = 4096
STANDARD_INPUT = "-"
RESTART = "systemctl restart homebred"
DROP_IN = "/usr/share/homebred/fleet.conf"

app = typer.Typer()


@app.command()
def enroll(
    url: Annotated[str, typer.Argument(metavar="URL", help="The controller: https://HOST[:PORT].")],
    *,
    token: Annotated[
        str | None, typer.Option("--token", help="The token. Other users of this machine can see it: rather a file.")
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option("--token-file", help="File that holds it; - for standard input.")
    ] = None,
    fingerprint: Annotated[
        str | None,
        typer.Option(
            "--fingerprint", help="Of the controller's root, as `homebred-fleet init` printed it; else asked."
        ),
    ] = None,
    image_root: Annotated[
        str | None,
        typer.Option(
            "--image-root",
            help="Digest of an image root, as `homebred-fleet repository roots` prints it: no other is pinned.",
        ),
    ] = None,
    director_root: Annotated[str | None, typer.Option("--director-root", help="The same of a director's root.")] = None,
    replaces: Annotated[
        bool, typer.Option("--replace", help="Replace the identity that this device has, once the new one is there.")
    ] = False,
    config: Annotated[Path | None, typer.Option("--config", help="Configuration file.")] = None,
    state_dir: Annotated[str | None, typer.Option("--state-dir", help="The state folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object; nothing is asked.")] = False,
) -> None:
    """Make this device a member of a fleet: a key is made here, and the controller certifies it."""
    from homebred_daemon.adapters.fleet_https import ControllerHttps  # noqa: PLC0415  # with pydantic and ssl
    from homebred_daemon.adapters.identity_files import IdentityFiles  # noqa: PLC0415
    from homebred_daemon.adapters.system_clock import SystemClock  # noqa: PLC0415
    from homebred_daemon.config import load  # noqa: PLC0415
    from homebred_daemon.core import enrolling  # noqa: PLC0415

    settings = load(config, {} if state_dir is None else {"--state-dir": state_dir}, os.environ)
    files, line = IdentityFiles(settings.paths.state_dir, os.environ), ControllerHttps(SystemClock())
    _require_free(files, replaces=replaces)
    try:
        address = enrolling.controller_url(url)
    except ValueError as error:
        raise RequestError(f"{url!r} cannot be used: {error}", hint="copy it from the controller") from None
    compared = Compared(image=_digest("--image-root", image_root), director=_digest("--director-root", director_root))
    pinned = _digest("--fingerprint", fingerprint)
    if not pinned:
        pinned = asyncio.run(_asked(line, address, may_ask=not as_json and sys.stdin.isatty()))
    try:
        typed = enrolling.token(_token(token, token_file))
    except ValueError as error:
        raise RequestError(
            f"what was given is no token: {error}", hint="have the administrator make one: homebred-fleet tokens create"
        ) from None
    enrolled = _enrolled(settings.paths.state_dir, files, line, Wish(address, pinned, typed, compared))
    _show(*asyncio.run(enrolled), as_json=as_json)


class Wish(NamedTuple):
    """What a technician has typed."""

    url: str
    fingerprint: str
    token: str
    compared: Compared


async def _enrolled(
    state_dir: Path, files: IdentityFiles, line: ControllerHttps, wish: Wish
) -> tuple[Identity, Roots | None]:
    """The whole way. The key is on the disk before the token is spent: an answer that was lost is asked for again."""
    from homebred_daemon.adapters.trust.checker import ChildChecker  # noqa: PLC0415
    from homebred_daemon.adapters.trust.offers import RootsOverHttps  # noqa: PLC0415
    from homebred_daemon.services.releases.pinning import offered_roots  # noqa: PLC0415

    authorities = await line.trusted(wish.url, wish.fingerprint)
    pending = await asyncio.to_thread(files.pending_key, PURPOSE)
    issued = await line.enrol(wish.url, authorities, wish.token, pending)
    roots = await offered_roots(
        RootsOverHttps.of_newcomer(line, issued, pending),
        ChildChecker(),
        device=issued.membership.device_id,
        now_s=issued.membership.enrolled_at_s,
        compared=wish.compared,
    )
    return await asyncio.to_thread(take_up, state_dir, files, pending, issued, roots), roots


def take_up(
    state_dir: Path, files: IdentityFiles, pending: PendingKey, issued: Issued, roots: Roots | None
) -> Identity:
    """Has an enrolment hold, roots first, in a folder that it alone looks at.

    Whenever this ends, the device has its old identity with all that it trusted, or the new one with these roots.

    Raises:
        StateError: it cannot be kept.
    """
    from homebred_daemon.adapters.trust.files import TrustFiles  # noqa: PLC0415

    pins = TrustFiles(state_dir, issued.membership)
    if roots is not None:
        pins.pin(roots)
    identity = files.take_up(pending, issued)
    pins.forget_others()
    return identity


def _digest(option: str, given: str | None) -> str:
    """A digest as it is compared; empty: it was not given."""
    from homebred_daemon.core.enrolling import fingerprint  # noqa: PLC0415

    try:
        return "" if given is None else fingerprint(given)
    except ValueError as error:
        raise RequestError(
            f"{option} cannot be used: {error}", hint="copy it whole from where it was printed"
        ) from None


def _require_free(files: IdentityFiles, *, replaces: bool) -> None:
    """Raises ConflictError where the device has an identity that nobody said to replace; StateError: a damaged one."""
    if replaces:
        return
    try:
        held = files.current()
    except StateError as error:
        raise ConflictError(f"this device has an identity already, and {error.message}", hint=error.hint) from error
    if held is not None:
        raise ConflictError(
            f"this device is {held.membership.device_id} at {held.membership.controller_url} already",
            hint="with --replace it becomes another one, which needs a token of its own",
        )


async def _asked(line: ControllerHttps, url: str, *, may_ask: bool) -> str:
    """The fingerprint that a person has compared."""
    from homebred_daemon.adapters.fleet_https import CLOCKS_APART_S  # noqa: PLC0415

    look = await line.look(url)
    shown = " or ".join(look.fingerprints) or "nothing"
    if not may_ask or len(look.fingerprints) != 1:
        raise RequestError(
            f"nobody has compared the fingerprint of {url}: it shows {shown}",
            hint="compare it with what `homebred-fleet init` printed, then give it with --fingerprint",
        )
    typer.echo(f"{url} shows the fingerprint\n  {shown}")
    if look.clock_ahead_s is not None and abs(look.clock_ahead_s) > CLOCKS_APART_S:
        raise ClockWrongError(
            f"its clock is {look.clock_ahead_s:.0f} s ahead of this device's: certificates cannot be judged"
        )
    if not typer.confirm("Is it the one that `homebred-fleet init` printed?"):
        raise RequestError("the fingerprint is another", hint="somebody may be in between: nothing was sent")
    return look.fingerprints[0]


def _token(given: str | None, file: Path | None) -> str:
    """From where it was given; else it is asked for, or read from standard input."""
    if given is not None and file is not None:
        raise RequestError("--token and --token-file are both given", hint="give one of them")
    if given is not None:
        return given
    if file is not None and str(file) != STANDARD_INPUT:
        try:
            with file.open(encoding="ascii", errors="replace") as text:
                return text.read(MAX_TOKEN_BYTES)
        except OSError as error:
            raise RequestError(f"{file} cannot be read: {error.strerror}", hint="correct the path") from None
    if file is None and sys.stdin.isatty():
        return str(typer.prompt("Token", hide_input=True))
    return sys.stdin.read(MAX_TOKEN_BYTES)


def _show(identity: Identity, roots: Roots | None, *, as_json: bool) -> None:
    membership = identity.membership
    image, director = (None, None) if roots is None else (root_name(roots.image), root_name(roots.director))
    if as_json:
        write_json(
            {
                "device_id": membership.device_id,
                "site": membership.site,
                "labels": dict(membership.labels),
                "controller": membership.controller_url,
                "broker": f"{membership.broker_host}:{membership.broker_port}",
                "certificate_ends_s": identity.certificate.ends_s,
                "image_root": None if image is None else asdict(image),
                "director_root": None if director is None else asdict(director),
            }
        )
        return
    typer.echo(f"enrolled: {membership.device_id}, site {membership.site}, at {membership.controller_url}")
    if image is None:
        typer.echo("no signed releases: the controller has no repositories yet; their roots are pinned once it has")
    else:
        typer.echo(f"image root     {image}\ndirector root  {director}")
        typer.echo("      compare both with what `homebred-fleet repository roots` prints where they are signed")
    typer.echo(f"next: {RESTART}")
    if Path(DROP_IN).exists() and not Path("/etc/systemd/system/homebred.service.d/fleet.conf").exists():
        typer.echo(
            f"      first let the service reach its fleet: install -Dt /etc/systemd/system/homebred.service.d {DROP_IN}"
        )
        typer.echo("      systemctl daemon-reload")
