from __future__ import annotations

from tests.support.scripted_source import ScriptedSource

from homebred_daemon.services.releases.release_sources import ReleaseSources

ONE, OTHER = "sha256:1", "sha256:2"


class Sources(ReleaseSources):
    """With one that is always there, and one that may be carried here."""

    def __init__(self) -> None:
        self.fleet, self.stick = ScriptedSource({}), ScriptedSource({})
        self.closed = 0
        super().__init__([self.fleet])

    def close(self) -> None:
        self.closed += 1


async def test_a_folder_is_asked_first_for_all_until_it_is_known_what_is_in_it() -> None:
    sources = Sources()
    assert sources.of(ONE) == (sources.fleet,)
    sources.carry(sources.stick, sources.close)
    assert sources.of(ONE) == sources.of(OTHER) == (sources.stick, sources.fleet)
    sources.keep_for([ONE])
    assert sources.of(ONE) == (sources.stick, sources.fleet)
    assert sources.of(OTHER) == (sources.fleet,)
    assert sources.closed == 0


async def test_one_that_holds_nothing_and_one_that_another_takes_the_place_of_are_closed() -> None:
    sources = Sources()
    sources.carry(sources.stick, sources.close)
    sources.carry(sources.stick, sources.close)
    assert sources.closed == 1
    sources.keep_for([])
    sources.let_go()
    assert sources.closed == 2
    assert sources.of(ONE) == (sources.fleet,)


async def test_who_waits_hears_of_each_change() -> None:
    sources = Sources()
    first = sources.change()
    assert not first.is_set()
    sources.carry(sources.stick, sources.close)
    assert first.is_set()
    second = sources.change()
    sources.keep_for([ONE])
    assert not second.is_set()
    sources.let_go()
    assert second.is_set()
