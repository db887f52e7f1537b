"""What an admin changes: each change in one transaction with its row in the audit, then the reconciler is woken.

Who may do what is checked before (core/admin_actions.py); what devices are told, and when, is the reconciler's work.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from homebred_fleet.adapters.blob_folder import BlobFolder
from homebred_fleet.adapters.store import (
    assignments,
    audit,
    cohorts,
    commands,
    desired,
    devices,
    documents,
    identities,
    stops,
)
from homebred_fleet.adapters.store.database import Database
from homebred_fleet.core import command_orders, site_documents
from homebred_fleet.core.admins import Admin
from homebred_fleet.core.enrolment import Token
from homebred_fleet.core.filter_values import Pattern
from homebred_fleet.core.filters import EVERY, And, Comparison, FilterError, Tree, parse
from homebred_fleet.core.tokens import new_token
from homebred_fleet.errors import ConflictError, NotFoundError, RequestError, StateError
from homebred_fleet.ports.intents import OWN, DocumentRef
from homebred_protocol.ids import is_label, is_site
from homebred_protocol.limits import MAX_LABELS
from homebred_protocol.targets import Kind
from homebred_protocol.targets import Target as SignedTarget

MAX_DEVICES: Final = 50_000
"""Of one change."""
_REASON: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")
_ENROLLED: Final = Comparison(key="state", operator="==", values=(Pattern("enrolled"),))


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Whom a change concerns: exactly one of these."""

    device: str = ""
    filter: str = ""
    cohort: str = ""

    def named(self) -> dict[str, str]:
        """As the audit has it."""
        named = {"device": self.device, "filter": self.filter, "cohort": self.cohort}
        return {name: value for name, value in named.items() if value}


def tree_of(text: str) -> Tree:
    """A filter as it was written.

    Raises:
        RequestError: it cannot be read; where, why, what next.
    """
    try:
        return parse(text)
    except FilterError as error:
        raise RequestError(str(error), hint=error.hint, code="bad_filter") from None


class Administering:
    """The changes; blocking, from any thread. Every method may raise StoreError."""

    def __init__(
        self, database: Database, blobs: BlobFolder, *, clock: Callable[[], int], wake: Callable[[], None]
    ) -> None:
        """Takes the clock in Unix seconds, and what tells the reconciler that there is something new."""
        self._database = database
        self._blobs = blobs
        self._clock = clock
        self._wake = wake

    def relabel(self, doer: Admin, device: str, changes: Mapping[str, str | None]) -> dict[str, str]:
        """Sets labels of a device, and removes those that are None; all that it has then."""
        _refuse(
            [f"{word!r} is no label's key or value" for pair in changes.items() for word in pair if not _fits(word)],
            "write lower-case letters, digits and . _ - alone",
        )
        with self._database.writing() as connection:
            labels = devices.set_labels(connection, device, changes)
            number = devices.number_of(connection, device)
            if labels is None or number is None:
                raise _no_device(device)
            _refuse(
                [f"{device} would have {len(labels)} labels; {MAX_LABELS} are taken"] * (len(labels) > MAX_LABELS),
                "remove some that nobody needs",
            )
            desired.assign(connection, device_numbers=[number], by=doer.name, now_s=self._clock())
            self._note(connection, doer, "device.label", device, {"labels": dict(changes)})
        self._wake()
        return labels

    def put_cohort(self, doer: Admin, name: str, selector: str) -> int:
        """Names a filter; how many devices it means now."""
        _refuse([] if is_label(name) else [f"{name!r} is no cohort's name"], "write lower-case letters, digits, . _ -")
        tree = tree_of(selector)
        with self._database.writing() as connection:
            cohorts.put(connection, name, selector, now_s=self._clock())
            self._note(connection, doer, "cohort.put", name, {"selector": selector})
            return devices.count(connection, tree, now_s=self._clock())

    def remove_cohort(self, doer: Admin, name: str) -> None:
        """Forgets a cohort; what was assigned to its devices stays."""
        with self._database.writing() as connection:
            if not cohorts.remove(connection, name):
                raise NotFoundError(f"there is no cohort {name!r}", hint="see `homebred-fleet cohorts list`")
            self._note(connection, doer, "cohort.remove", name, {})

    def add_list(self, doer: Admin, *, site: str, body: bytes) -> str:
        """Checks and keeps the list of a site's gazetteer; its digest. No device has it before a manifest is signed."""
        if not is_site(site):
            raise RequestError(f"{site!r} is no site", hint="a gazetteer is one site's own: name the site")
        _refuse(site_documents.problems_of_list(body), "correct the gazetteer, then add it again")
        try:
            digest = self._blobs.keep(body)  # before its row: a row without bytes would be a promise nobody can keep
        except OSError as error:
            raise StateError(f"the list cannot be kept: {error.strerror}") from error
        with self._database.writing() as connection:
            bound_to = documents.add(
                connection, digest=digest, site=site, length=len(body), by=doer.name, now_s=self._clock()
            )
            if bound_to is not None:
                raise ConflictError(
                    f"the same list is {bound_to}'s",
                    hint="where it should be another's too, add an entry to it",
                )
            self._note(connection, doer, "document.add", digest, {"site": site, "bytes": len(body)})
        return digest

    def assign_release(
        self, doer: Admin, whom: Target, release: SignedTarget, held: DocumentRef, *, sites: Collection[str] = ()
    ) -> int:
        """Has devices run what is signed, a release at these sites alone (none: at any); how many.

        The devices hear of it by a new version of their desired state, and of what exactly from the director. Of a
        policy or gazetteer the desired state names the digest, too.
        """
        with self._database.writing() as connection:
            meant = self._meant(connection, whom)
            _check_site(release, {release.group} if release.kind.is_for_a_site else sites, meant)
            numbers = {number: device for number, device, _ in meant}
            newer = assignments.assign(connection, numbers, release, by=doer.name, now_s=self._clock())
            if newer:
                raise ConflictError(
                    f"{len(newer)} of these devices have a newer one already, {newer[0]} among them",
                    hint="numbers never fall: to go back, sign the older content under a higher number",
                )
            self._ask(connection, doer, numbers, release.kind, held)
            details = {**whom.named(), "devices": len(numbers)}
            self._note(connection, doer, "release.assign", release.path, details)
        self._wake()
        return len(numbers)

    def withdraw_release(self, doer: Admin, whom: Target, line: str) -> int:
        """Asks nothing of a line of devices any more: they keep what they serve; of how many it changes anything.

        Where it is a policy's or gazetteer's, the part is given back to the device's own configuration.
        """
        with self._database.writing() as connection:
            numbers = {number for number, _, _ in self._meant(connection, whom)}
            changed = assignments.withdraw(connection, numbers, line)
            self._ask(connection, doer, changed, assignments.kind_of(line), OWN)
            self._note(connection, doer, "release.withdraw", line, {**whom.named(), "devices": len(changed)})
        self._wake()
        return len(changed)

    def reset(self, doer: Admin, whom: Target, kind: Kind) -> int:
        """Gives devices their own policy or gazetteer back, whatever line it is of; of how many it changes anything."""
        with self._database.writing() as connection:
            numbers = {number for number, _, _ in self._meant(connection, whom)}
            changed = assignments.withdraw_kind(connection, numbers, kind)
            self._ask(connection, doer, changed, kind, OWN)
            self._note(connection, doer, "release.reset", kind.value, {**whom.named(), "devices": len(changed)})
        self._wake()
        return len(changed)

    def enrolled(self, whom: Target) -> list[tuple[str, str]]:
        """Id and site of the enrolled devices that somebody means."""
        with self._database.reading() as connection:
            return [(device, site) for _, device, site in self._meant(connection, whom)]

    def note_bundle(self, doer: Admin, whom: Target, *, devices: int, life_s: int) -> None:
        """That leases are about to be given which cannot be taken back."""
        with self._database.writing() as connection:
            self._note(connection, doer, "bundle.make", "", {**whom.named(), "devices": devices, "lease_s": life_s})

    def note(self, doer: Admin, action: str, target: str, details: Mapping[str, object]) -> None:
        """Writes down what an admin has done to the controller's files."""
        with self._database.writing() as connection:
            self._note(connection, doer, action, target, details)

    def order(
        self, doer: Admin, target: Target, *, op: str, parameters: Mapping[str, str], wait_s: int
    ) -> dict[str, str]:
        """Gives devices a command that may wait so long for them; its id by device."""
        _refuse(command_orders.problems_of(op, parameters, wait_s), "correct the command")
        now_s = self._clock()
        with self._database.writing() as connection:
            names = {number: device for number, device, _ in self._meant(connection, target)}
            issued = commands.issue_to_all(
                connection,
                device_numbers=names,
                op=op,
                parameters=parameters,
                deadline_s=now_s + wait_s,
                by=doer.name,
                now_s=now_s,
            )
            ordered = {names[number]: identity for number, identity in issued.items()}
            details = {**target.named(), "devices": len(ordered), "parameters": dict(parameters)}
            self._note(connection, doer, "command.issue", op, details)
        self._wake()
        return ordered

    def stop(self, doer: Admin, *, stopped: bool, reason_code: str) -> int:
        """Stops every device of the fleet, or lets it go on; the order's epoch."""
        problems = [] if _REASON.fullmatch(reason_code) else [f"{reason_code!r} is no reason"]
        _refuse(problems, "give one word of lower-case letters, digits and -, such as `recall`")
        with self._database.writing() as connection:
            epoch = stops.order(connection, stopped=stopped, reason_code=reason_code, by=doer.name, now_s=self._clock())
            action = "stop.on" if stopped else "stop.off"
            self._note(connection, doer, action, str(epoch), {"reason": reason_code})
        self._wake()
        return epoch

    def create_token(
        self, doer: Admin, *, site: str, labels: Mapping[str, str], device: str, replaces: str, life_s: int
    ) -> tuple[str, Token]:
        """Makes an enrolment token; its text is told here and never again. A known device's site is its own."""
        site = self._site_for(site, device or replaces)
        made = new_token(
            site=site,
            labels=dict(labels),
            device=device,
            replaces=replaces,
            life_s=life_s,
            by=doer.name,
            now_s=self._clock(),
            random_bytes=secrets.token_bytes,
        )
        with self._database.writing() as connection:
            identities.create_token(connection, made.token, token_hash=made.hash)
        return made.text, made.token

    def withdraw_token(self, doer: Admin, token_id: str) -> bool:
        """Makes a token useless; False: it was used or withdrawn already."""
        with self._database.writing() as connection:
            return identities.withdraw_token(connection, token_id, by=doer.name, now_s=self._clock())

    def _site_for(self, site: str, known: str) -> str:
        if not known:
            return site
        with self._database.reading() as connection:
            facts = devices.facts_of(connection, known)
        if facts is None:
            raise _no_device(known)
        if site not in {"", facts.site}:
            raise RequestError(f"{known} is at site {facts.site}, not {site}", hint="leave the site out")
        return facts.site

    def _meant(self, connection: Connection, target: Target) -> list[tuple[int, str, str]]:
        """Number, id and site of the enrolled devices that a change concerns."""
        named = target.named()
        if len(named) != 1:
            raise RequestError("name one device, one filter or one cohort", hint="`site==*` means every device")
        if target.device:
            tree: Tree = Comparison(key="id", operator="==", values=(Pattern(target.device),))
            if devices.number_of(connection, target.device) is None:
                raise _no_device(target.device)
        else:
            tree = tree_of(target.filter or _selector(connection, target.cohort))
        if tree == EVERY:
            raise RequestError("an empty filter means every device", hint="write `site==*` if that is meant")
        meant = list(devices.numbers(connection, And((tree, _ENROLLED)), now_s=self._clock()))
        if not meant:
            raise NotFoundError("no enrolled device fits", hint="see `homebred-fleet devices list --filter …`")
        if len(meant) > MAX_DEVICES:
            raise RequestError(f"{len(meant):,} devices are more than {MAX_DEVICES:,}", hint="go site by site")
        return meant

    def _ask(
        self, connection: Connection, doer: Admin, numbers: Iterable[int], kind: Kind | None, held: DocumentRef
    ) -> None:
        """A new version for each, with the part that is of this kind."""
        desired.assign(
            connection,
            device_numbers=numbers,
            by=doer.name,
            now_s=self._clock(),
            policy=held if kind is Kind.POLICY else None,
            gazetteer=held if kind is Kind.GAZETTEER else None,
        )

    def _note(self, connection: Connection, doer: Admin, action: str, target: str, details: Mapping[str, Any]) -> None:
        audit.append(connection, at_s=self._clock(), actor=doer.name, action=action, target=target, details=details)


def _check_site(release: SignedTarget, sites: Collection[str], meant: list[tuple[int, str, str]]) -> None:
    strangers = sorted({site for _, _, site in meant} - {*sites}) if sites else []
    if strangers:
        own = sorted(sites)
        narrowed = f"site=={own[0]}" if len(own) == 1 else f"site in ({', '.join(own)})"
        raise RequestError(
            f"{release.path} is signed for {'site' if len(own) == 1 else 'sites'} {', '.join(own)}, "
            f"and some devices are at {', '.join(strangers[:5])}",
            hint=f"narrow whom you mean, such as with `{narrowed}`",
        )


def _selector(connection: Connection, cohort: str) -> str:
    selector = cohorts.selector_of(connection, cohort)
    if selector is None:
        raise NotFoundError(f"there is no cohort {cohort!r}", hint="see `homebred-fleet cohorts list`")
    return selector


def _fits(word: str | None) -> bool:
    return word is None or is_label(word)


def _refuse(problems: list[str], hint: str) -> None:
    """Raises RequestError where there are any."""
    if problems:
        raise RequestError("; ".join(problems), hint=hint)


def _no_device(device: str) -> NotFoundError:
    return NotFoundError(f"there is no device {device!r}", hint="see `homebred-fleet devices list`")
