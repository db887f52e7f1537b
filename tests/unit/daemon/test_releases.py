"""The record of a release that outlives a kill."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.release_manifests import SMALL, WHOLE, written

from homebred_daemon.core.releases import Release, ReleaseFile, read_release, release_of, release_record
from homebred_protocol.documents.fields import DocumentError
from homebred_protocol.documents.release import read_release as read_manifest
from homebred_protocol.documents.release_values import FORMS, MAKES, Constraints, GoldenDemand, Recipe, Shadow

words = st.text(min_size=1, max_size=8)
counts = st.integers(0, 2**53 - 1)
RECIPES = st.builds(
    Recipe,
    engine=st.sampled_from(("llamacpp", "edgellm")),
    form=st.sampled_from(FORMS),
    makes=st.sampled_from(MAKES),
    inputs=st.lists(words, min_size=1, max_size=3).map(tuple),
    arguments=st.dictionaries(st.sampled_from(("slots", "type")), counts | st.just("q4"), max_size=2),
)
releases = st.builds(
    Release,
    id=words,
    number=counts,
    title=words,
    target=words,
    digest=words,
    files=st.lists(st.builds(ReleaseFile, path=words, digest=words, length=counts), max_size=3).map(tuple),
    constraints=st.builds(Constraints, engine=words, engine_version=words, memory_bytes=counts, base_digest=words),
    golden=st.lists(
        st.builds(GoldenDemand, workflow=words, path=words, scorer=words, minimum_ppm=counts, maximum_p95_ms=counts),
        max_size=3,
    ).map(tuple),
    maximum_memory_bytes=counts,
    recipe=st.none() | RECIPES,
    shadow=st.none() | st.builds(Shadow, outcomes=counts, longest_s=counts),
)


@settings(max_examples=40)
@given(releases)
def test_a_record_is_read_back(release: Release) -> None:
    assert read_release(json.loads(json.dumps(release_record(release)))) == release


def test_it_knows_its_files_by_path_and_its_length() -> None:
    files = (ReleaseFile(path="a", digest="sha256:1", length=3), ReleaseFile(path="b", digest="sha256:2", length=4))
    release = Release(
        id="x", number=1, title="", target="", digest="", files=files, constraints=Constraints(engine="e"), golden=()
    )
    assert release.digests == {"a": "sha256:1", "b": "sha256:2"}
    assert release.length == 7


@pytest.mark.parametrize("document", [[], {}, {"id": 1}, {"id": "x", "number": "1"}])
def test_what_is_no_record_is_refused(document: object) -> None:
    with pytest.raises(DocumentError):
        read_release(document)


def test_a_trusted_manifest_says_how_it_is_compared_and_what_it_would_have_built_here() -> None:
    manifest = read_manifest(written(WHOLE))
    release = release_of(manifest, "models/clinic/intake/7.json", "sha256:d")
    assert (release.shadow, release.recipe) == (Shadow(outcomes=100, longest_s=86_400), manifest.recipe)
    plain = release_of(read_manifest(written(SMALL)), "models/clinic/intake/1.json", "sha256:d")
    assert (plain.shadow, plain.recipe) == (None, None)
