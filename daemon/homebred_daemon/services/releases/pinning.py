"""Pins both roots of an enrolment, once: what all that is signed for this device is judged from (docs/trust.md).

At enrolment, or at the first look after it where the controller had no repositories then. What is pinned for an
enrolment is never replaced by another root that somebody offers: later roots are taken by signatures alone
(`trusting`), others by a new enrolment. It looks at no target.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from homebred_daemon import fleet_messages
from homebred_daemon.core.pinning import MAX_OLDER, NOTHING_COMPARED, Compared, RootName, root_name, versions
from homebred_daemon.core.trust import DIRECTOR, IMAGE
from homebred_daemon.core.trust_floors import Floors
from homebred_daemon.core.trust_refusals import Reason, Refusal
from homebred_daemon.errors import ControllerUntrustedError, NotFoundError, StateError
from homebred_daemon.ports.clock import Clock
from homebred_daemon.ports.identity import Identity, IdentityStore
from homebred_daemon.ports.journal import Journal
from homebred_daemon.ports.trust import (
    Checked,
    HeldRepository,
    HeldTrust,
    RootOffers,
    RootPins,
    Roots,
    TrustChecker,
)

COMPARE = "compare it with what `homebred-fleet repository roots` prints where the repository is signed"


class _Nowhere:
    """A source of nothing: what is looked at with it shows whether its root is one."""

    async def fetch(self, name: str, at_most: int) -> bytes:  # noqa: ARG002  # as the port has it
        raise Refusal(reason=Reason.ABSENT, about=name).error()


async def offered_roots(
    offers: RootOffers, checker: TrustChecker, *, device: str, now_s: int, compared: Compared = NOTHING_COMPARED
) -> Roots | None:
    """The roots to pin, each verified to be one of its repository's; None: the controller offers none yet.

    Raises:
        ControllerUntrustedError: it offers none with a digest that was compared, or not what it names.
        UntrustedError: what it offers is no root of its repository's, or nobody could look.
        FleetError: it is unreachable or refuses.
    """
    offer = await offers.offer()
    if offer is None:
        if compared != NOTHING_COMPARED:
            raise ControllerUntrustedError(
                "the controller offers no signed repositories, so that no root of theirs can be compared",
                hint="publish them there, or enrol without --image-root and --director-root",
            )
        return None
    image = await _root(offers, IMAGE, offer.image, compared.image)
    director = await _root(offers, DIRECTOR, offer.director, compared.director)
    roots = Roots(image=image, director=director)
    held = HeldTrust(image=HeldRepository(pinned=image), director=HeldRepository(pinned=director), floors=Floors())
    checked = await checker.check(held, _Nowhere(), device=device, now_s=now_s)
    _require(IMAGE, image, checked.image)
    _require(DIRECTOR, director, checked.director)
    return roots


class Pinning:
    """The roots of a running daemon's enrolment."""

    def __init__(
        self,
        identity: Callable[[], Identity],
        identities: IdentityStore,
        pins: RootPins,
        offers: RootOffers,
        checker: TrustChecker,
        *,
        clock: Clock,
        journal: Journal,
    ) -> None:
        """`identity` is the one in force in this process; `pins` are of its enrolment."""
        self._identity = identity
        self._identities = identities
        self._pins = pins
        self._offers = offers
        self._checker = checker
        self._clock = clock
        self._journal = journal

    async def ready(self) -> bool:
        """Whether roots are pinned by now: those that the controller offers, where this enrolment has none yet.

        Raises:
            FleetError: the controller is unreachable or refuses; it is asked again at the next call.
            UntrustedError: what it offers is no root.
            StateError: what is pinned cannot be read or kept, or the device has been enrolled anew since.
        """
        if await asyncio.to_thread(self._pins.pinned) is not None:
            return True
        membership = self._identity().membership
        roots = await offered_roots(
            self._offers, self._checker, device=membership.device_id, now_s=int(self._clock.now().timestamp())
        )
        if roots is None:
            return False
        await asyncio.to_thread(self._pin, roots, membership.enrolment)
        image, director = root_name(roots.image), root_name(roots.director)
        self._journal.note(fleet_messages.ROOTS_PINNED, image_root=image.digest, director_root=director.digest)
        return True

    def _pin(self, roots: Roots, enrolment: str) -> None:
        in_force = self._identities.current()
        if in_force is None or in_force.membership.enrolment != enrolment:
            raise StateError(
                "this device was enrolled anew, or has left its fleet, since its daemon was started",
                hint="restart the daemon, so that it takes up what holds now: systemctl restart homebred",
            )
        self._pins.pin(roots)


async def _root(offers: RootOffers, about: str, newest: RootName, compared: str) -> bytes:
    """The newest, or the one whose digest was compared."""
    wanted = compared or newest.digest
    for version in versions(newest, compared):
        try:
            body = await offers.root(about, version)
        except NotFoundError:
            continue
        if _digest_of(body, about, version) == wanted:
            return body
    if compared:
        raise ControllerUntrustedError(
            f"none of the newest {MAX_OLDER} roots of the {about}'s that the controller offers is {compared}; "
            f"its newest is {newest}",
            hint=f"{COMPARE}; somebody may be in between",
        )
    raise ControllerUntrustedError(f"the controller offers another root {newest.version} of the {about}'s than it says")


def _digest_of(body: bytes, about: str, version: int) -> str:
    """Of a root that says of itself that it is this version."""
    try:
        name = root_name(body)
    except ValueError as error:
        raise Refusal(reason=Reason.MALFORMED, about=about, detail=str(error)).error() from error
    if name.version != version:
        detail = f"root {version} says that it is {name.version}"
        raise Refusal(reason=Reason.MISMATCHED, about=about, detail=detail).error()
    return name.digest


def _require(about: str, body: bytes, checked: Checked) -> None:
    """Raises UntrustedError where a root was not verified."""
    if checked.versions.root != root_name(body).version:
        raise (checked.refusal or Refusal(reason=Reason.MALFORMED, about=about)).error()
