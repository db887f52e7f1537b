from __future__ import annotations

from homebred_daemon.core.builds import NOT_BUILT, Built, build_facts

ONE = Built(digest="sha256:1", builder="homebred 1, echo 2")


def test_a_first_build_has_nothing_to_be_compared_with() -> None:
    assert build_facts(NOT_BUILT, ONE, built_bytes=5, took_ms=7) == {"built_bytes": 5, "build_ms": 7}


def test_the_same_builder_is_held_to_its_bytes() -> None:
    other = Built(digest="sha256:2", builder=ONE.builder)
    assert build_facts(ONE, ONE, built_bytes=5, took_ms=7)["same_bytes"] == 1
    assert build_facts(ONE, other, built_bytes=5, took_ms=7)["same_bytes"] == 0


def test_another_builder_may_make_other_bytes() -> None:
    other = Built(digest="sha256:2", builder="homebred 2, echo 2")
    assert "same_bytes" not in build_facts(ONE, other, built_bytes=5, took_ms=7)
