"""Finds policies and gazetteers among what is signed for this device, by the digest that the fleet asks for.

The digest comes over the broker, which is trusted with nothing: only what director and image repository agree upon,
under a lease in force, is handed out. It applies nothing, and fetches no list of a gazetteer.
"""

from __future__ import annotations

from homebred_daemon.core.trust import Agreed, refused_lease
from homebred_daemon.core.trust_refusals import Reason, Refusal
from homebred_daemon.services.releases.looking import Looking
from homebred_daemon.services.releases.trusting import Looked
from homebred_protocol.targets import Kind, read_target


class SignedDocumentDesk:
    """Fulfils `ports.fleet.SignedDocuments`."""

    def __init__(self, looking: Looking) -> None:
        self._looking = looking

    async def document(self, kind: Kind, digest: str, *, stop_epoch: int) -> bytes:
        """As the port says."""
        sight, trusting = await self._looking.look(), self._looking.trusting
        if sight is None:
            raise Refusal(reason=Reason.UNREACHABLE, about=digest, detail="the controller offers no roots yet").error()
        agreed = _agreed(sight.looked, kind, digest)
        refused = refused_lease(
            agreed.lease,
            device=trusting.here.device,
            digest=agreed.digest,
            stop_epoch=max(stop_epoch, trusting.stop_epoch),
            now_s=trusting.now_s(),
        )
        if refused is not None:
            raise refused.error()
        taken = await trusting.take(agreed, sight.source)
        return taken.body


def _agreed(looked: Looked, kind: Kind, digest: str) -> Agreed:
    """The target of that kind and digest.

    Raises:
        UntrustedError: there is none. What was refused of this kind says why, or of a whole repository: a refusal knows
            paths, and no digests.
    """
    for agreed in looked.agreed:
        if (agreed.target.kind, agreed.digest) == (kind, digest):
            return agreed
    for refused in looked.refused:
        if _may_be_about(refused, kind):
            raise refused.error()
    raise Refusal(reason=Reason.NOT_DIRECTED, about=digest).error()


def _may_be_about(refused: Refusal, kind: Kind) -> bool:
    target = read_target(refused.about)
    is_of_a_repository = target is None and refused.reason is not Reason.UNKNOWN_PATH
    return is_of_a_repository or (target is not None and target.kind is kind)
