"""Builds the standing from the model store and the policy.

It loads no model: a specialist is taken up by its files alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from homebred_daemon.core.embedders import EMBEDDINGS
from homebred_daemon.core.link import SeenLink
from homebred_daemon.core.records import canonical
from homebred_daemon.core.sensitivity import Detector
from homebred_daemon.core.shelf import Shelf, StoredSpecialist, registry_document
from homebred_daemon.document_files import SitePolicy
from homebred_daemon.ports.engines import ServedAdapter, ServedModel
from homebred_daemon.ports.specialists import SpecialistStore
from homebred_daemon.services.deciding import Decider
from homebred_daemon.services.recording import Recorder
from homebred_daemon.services.standing import Served, Standing
from homebred_protocol.digests import digest_of
from homebred_protocol.documents.policy import Policy
from homebred_protocol.documents.registry import read_registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What holds on this device beside its models."""

    policy: Policy
    """Already bounded by the site ceiling."""
    documents: tuple[tuple[str, str, bytes], ...]
    """Kind, digest and bytes of the documents that the policy was made of, for replay."""
    detector: Detector
    cloud_detector: Detector | None = None
    """Of what may leave, where anything may."""
    link: Callable[[Policy], SeenLink]
    """Of the policy's fallback model, as it is now."""
    context_tokens: int
    """Context of one generation, where a specialist names none, in tokens."""

    def under(self, site_policy: SitePolicy) -> Site:
        """The same device under another policy."""
        return replace(self, policy=site_policy.policy, documents=ledger_documents(site_policy))


def ledger_documents(site_policy: SitePolicy) -> tuple[tuple[str, str, bytes], ...]:
    """What the ledger keeps of a policy: kind, digest and bytes of each document."""
    return tuple((read.kind, read.digest, read.body) for read in site_policy.documents)


async def standing_of(site: Site, store: SpecialistStore, recorder: Recorder) -> Standing:
    """What holds now; every document that its decisions will name is in the ledger first.

    Raises:
        StateError: the store cannot be read, or the ledger cannot be written.
    """
    shelf = await asyncio.to_thread(store.contents)
    document = registry_document(shelf, default_context_tokens=site.context_tokens)
    body = canonical(document).encode()
    digest = digest_of(body)
    for kind, kept_digest, kept in (*site.documents, ("registry", digest, body)):
        await recorder.keep_document(kind, kept_digest, kept)
    registry = read_registry(document, digest)
    return Standing(
        decider=Decider(
            policy=site.policy, registry=registry, detector=site.detector, cloud_detector=site.cloud_detector
        ),
        specialists=_served(shelf, site.context_tokens),
        shelf=shelf,
        link=site.link(site.policy),
    )


def served_of(stored: StoredSpecialist, default_context_tokens: int) -> Served:
    """One specialist by itself, on a base that it shares with nobody."""
    return Served(manifest=stored.manifest, model=_model([stored], default_context_tokens), adapter=_adapter(stored))


def _served(shelf: Shelf, default_context_tokens: int) -> dict[str, Served]:
    """Those that are intact, by id; those on one base share its worker, which has the largest of their contexts."""
    on_base: dict[tuple[str, str, bool], list[StoredSpecialist]] = {}
    for stored in shelf.specialists:
        if stored.is_intact:
            on_base.setdefault(_base(stored), []).append(stored)
    return {
        stored.manifest.id: Served(manifest=stored.manifest, model=model, adapter=_adapter(stored))
        for siblings in on_base.values()
        for model in [_model(siblings, default_context_tokens)]
        for stored in siblings
    }


def _model(siblings: list[StoredSpecialist], default_context_tokens: int) -> ServedModel:
    """The base that these share."""
    one = siblings[0]
    return ServedModel(
        engine=one.manifest.engine,
        path=one.base_path,
        digest=one.base_digest,
        context_tokens=max(stored.context_tokens(default_context_tokens) for stored in siblings),
        embeds=EMBEDDINGS in one.manifest.capabilities,
        weights_bytes=one.base_bytes if one.kv_bytes_per_token else 0,  # a file that is no model takes no memory
        kv_bytes_per_token=one.kv_bytes_per_token,
        title=", ".join(stored.manifest.id for stored in siblings),
    )


def _adapter(stored: StoredSpecialist) -> ServedAdapter | None:
    if not stored.adapter_digest:
        return None
    return ServedAdapter(digest=stored.adapter_digest, path=stored.adapter_path, size_bytes=stored.adapter_bytes)


def _base(stored: StoredSpecialist) -> tuple[str, str, bool]:
    """What specialists must have in common to share a worker."""
    return stored.manifest.engine, stored.base_digest, EMBEDDINGS in stored.manifest.capabilities
