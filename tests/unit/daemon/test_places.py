from __future__ import annotations

import asyncio

import pytest
from tests.support.fake_workers import Fleet
from tests.support.manual_clock import ManualClock

from homebred_daemon.core.memory_plan import Bounds, Need
from homebred_daemon.ports.engines import ServedModel
from homebred_daemon.services.adapting import Adapting
from homebred_daemon.services.places import STAY_S, Moves, Place, Places, Resident
from homebred_engines.api import ModelRefusedError


def model(name: str) -> ServedModel:
    return ServedModel(engine="echo", path=name, digest=f"sha256:{name}", context_tokens=512, title=name)


async def resident(*, since_s: float, streams: int) -> Resident:
    worker = await Fleet.free().start("echo")
    adapting = Adapting(worker, ManualClock(), most=1, limit_s=1, own=unheard, on_change=unheard)
    return Resident(worker=worker, adapting=adapting, since_s=since_s, streams=streams)


def unheard(what: object) -> None:
    """Nobody listens."""


async def loaded(places: Places, name: str, *, used_s: float = 0.0, since_s: float = 0.0, holders: int = 0) -> Resident:
    """Has a model take its room; its worker."""
    place = places.hold(model(name))
    places.wait_for_room(place)
    assert place in places.settle().newcomers
    place.resident = await resident(since_s=since_s, streams=holders)
    place.used_s, place.holders = used_s, holders
    return place.resident


def waiting(places: Places, name: str) -> Place:
    place = places.hold(model(name))
    places.wait_for_room(place)
    return place


def names(places: Places) -> list[str]:
    return [place.model.path for place in places]


async def test_while_there_is_room_nobody_leaves() -> None:
    places = Places(Bounds(max_models=2))
    await loaded(places, "a")
    newcomer = waiting(places, "b")
    moves = places.settle()
    assert (moves.leaving, moves.newcomers, newcomer.has_room) == ([], [newcomer], True)


async def test_a_guest_may_take_what_is_left_while_nobody_is_served_or_waits() -> None:
    places = Places(Bounds(max_models=2, ram=100), lambda wanted: Need(ram=60 if wanted == model("a") else 0))
    assert places.spare(Need(ram=100)) == Need(ram=100)
    await loaded(places, "a")
    assert places.spare(Need(ram=40)) == Need(ram=40)
    assert places.spare(Need(ram=41)) is None
    place = places.hold(model("a"))
    assert places.spare(Need(ram=1)) is None
    place.holders -= 1
    waiting(places, "b")
    assert places.spare(Need(ram=1)) is None
    places.settle()
    assert places.spare(Need(ram=1)) is None, "as many models as may be are loaded, and one of them loads"


async def test_the_longest_unused_leaves_and_is_forgotten() -> None:
    places = Places(Bounds(max_models=2))
    older, newer = await loaded(places, "a", used_s=5), await loaded(places, "b", used_s=4)
    waiting(places, "c")
    assert places.settle().leaving == [newer]
    assert not older.over.is_set()
    assert names(places) == ["a", "c"]


async def test_who_is_held_or_loading_stays_and_the_newcomer_waits() -> None:
    places = Places(Bounds(max_models=2))
    await loaded(places, "held", holders=1)
    await loaded(places, "loading")
    loading = places.find(model("loading"))
    assert loading is not None
    loading.loading = asyncio.get_running_loop().create_future()
    newcomer = waiting(places, "c")
    moves = places.settle()
    assert (moves.leaving, moves.newcomers, places.is_waiting(newcomer)) == ([], [], True)
    loading.loading = None
    assert places.settle().newcomers == [newcomer]


async def test_room_goes_to_the_first_who_asked_even_if_the_second_asks_more() -> None:
    places = Places(Bounds(max_models=1))
    await loaded(places, "a", holders=1)
    first, second = waiting(places, "b"), waiting(places, "c")
    places.hold(model("c"))
    assert places.requests_waiting == 3
    held = places.find(model("a"))
    assert held is not None
    held.holders = 0
    assert places.settle().newcomers == [first]
    assert places.is_waiting(second)


async def test_who_is_wanted_by_nobody_any_more_leaves_the_queue() -> None:
    places = Places(Bounds(max_models=1))
    await loaded(places, "a", holders=1)
    left, stays = waiting(places, "b"), waiting(places, "c")
    left.holders = 0
    places.settle()
    assert (places.is_waiting(left), places.is_waiting(stays), names(places)) == (False, True, ["a", "c"])


async def test_what_the_store_no_longer_has_leaves_once_it_is_idle() -> None:
    places = Places(Bounds(max_models=3))
    await loaded(places, "stays")
    idle, busy = await loaded(places, "idle"), await loaded(places, "busy", holders=1)
    places.keep_only({model("stays")})
    assert places.settle().leaving == [idle]
    held = places.find(model("busy"))
    assert held is not None
    held.holders = 0
    assert places.settle().leaving == [busy]
    assert names(places) == ["stays"]


async def test_what_the_store_has_again_stays() -> None:
    places = Places(Bounds(max_models=1))
    await loaded(places, "a", holders=1)
    places.keep_only(())
    places.keep_only({model("a")})
    held = places.find(model("a"))
    assert held is not None
    held.holders = 0
    assert places.settle().leaving == []


async def test_clearing_forgets_all_and_names_whose_workers_are_left() -> None:
    places = Places(Bounds(max_models=1))
    worker = await loaded(places, "a", holders=1)
    waiting(places, "b")
    assert places.clear() == [worker]
    assert (names(places), places.requests_waiting) == ([], 0)


async def test_a_pinned_model_is_never_the_one_that_makes_room() -> None:
    places = Places(Bounds(max_models=2))
    await loaded(places, "pinned", used_s=1)
    other = await loaded(places, "other", used_s=2)
    places.pin(frozenset({model("pinned")}))
    waiting(places, "c")
    assert places.settle().leaving == [other]
    assert places.is_pinned(model("pinned"))


async def test_a_closing_place_leaves_when_its_last_answer_ends_though_others_wait_for_its_next_turn() -> None:
    places = Places(Bounds(max_models=1))
    resident = await loaded(places, "a", holders=1)
    place = waiting(places, "a")
    place.is_closing = True
    assert (places.settle(), places.is_waiting(place)) == (Moves(leaving=[], newcomers=[]), True)
    resident.streams = 0
    moves = places.settle()
    assert (moves.leaving, moves.newcomers, place.is_closing) == ([resident], [place], False)


async def test_who_waits_behind_a_closing_place_need_not_wait_for_it() -> None:
    places = Places(Bounds(max_models=2))
    await loaded(places, "closing", holders=1)
    idle = await loaded(places, "idle")
    waiting(places, "closing").is_closing = True
    newcomer = waiting(places, "b")
    moves = places.settle()
    assert (moves.leaving, moves.newcomers) == ([idle], [newcomer])


async def test_a_busy_model_closes_after_its_time_once_another_waits() -> None:
    places = Places(Bounds(max_models=1))
    await loaded(places, "a", holders=1)
    held = places.find(model("a"))
    assert held is not None
    assert not places.is_closed_to_newcomers(held, 1000), "nobody waits"
    waiting(places, "b")
    places.settle()
    assert not places.is_closed_to_newcomers(held, STAY_S - 1)
    assert places.is_closed_to_newcomers(held, STAY_S)


async def test_only_as_many_close_as_wait_and_the_longest_loaded_first() -> None:
    places = Places(Bounds(max_models=3))
    for since_s, name in ((2.0, "second"), (1.0, "first"), (0.0, "pinned")):
        await loaded(places, name, since_s=since_s, holders=1)
    places.pin(frozenset({model("pinned")}))
    waiting(places, "newcomer")
    places.settle()
    closed = {
        place.model.path: places.is_closed_to_newcomers(place, 100) for place in places if place.resident is not None
    }
    assert closed == {"second": False, "first": True, "pinned": False}
    waiting(places, "another")
    assert [places.is_closed_to_newcomers(place, 100) for place in places if place.model == model("second")] == [True]


async def test_a_turn_that_nobody_waits_for_any_more_can_be_asked_for_again() -> None:
    places = Places(Bounds(max_models=1))
    await loaded(places, "a", holders=1)
    place = waiting(places, "a")
    place.loading = asyncio.get_running_loop().create_future()
    place.holders -= 1
    places.settle()
    assert not places.is_waiting(place)
    assert place.loading is None


def by_size(bounds: Bounds, **sizes: int) -> Places:
    """Models that take so many bytes, by name."""
    return Places(bounds, lambda model: Need(ram=sizes[model.path]))


async def test_as_many_leave_as_it_takes_and_none_needlessly() -> None:
    places = by_size(Bounds(max_models=9, ram=100), a=10, b=50, c=40, newcomer=45)
    await loaded(places, "a", used_s=1)
    large, _ = await loaded(places, "b", used_s=2), await loaded(places, "c", used_s=3)
    waiting(places, "newcomer")
    assert places.settle().leaving == [large]
    assert names(places) == ["a", "c", "newcomer"]


async def test_busy_models_close_until_those_who_wait_will_have_room() -> None:
    places = by_size(Bounds(max_models=9, ram=100), a=30, b=30, c=40, newcomer=55)
    for since_s, name in enumerate(("a", "b", "c")):
        await loaded(places, name, since_s=since_s, holders=1)
    waiting(places, "newcomer")
    places.settle()
    held = [place for place in places if place.resident is not None]
    assert [places.is_closed_to_newcomers(place, 100) for place in held] == [True, True, False]


async def test_a_model_may_take_what_the_others_leave() -> None:
    places = by_size(Bounds(max_models=9, ram=100), a=30, b=30)
    await loaded(places, "a")
    assert places.beside(waiting(places, "b")) == Need(ram=70)
    assert Places(Bounds(max_models=1)).beside(Place(model=model("a"))) == Need()


async def test_what_can_never_fit_is_refused_and_it_says_what_would_have_to_go() -> None:
    places = by_size(Bounds(max_models=9, ram=100_000_000), small=60_000_000, middle=50_000_000, large=200_000_000)
    await loaded(places, "small", holders=1)
    places.require_possible(waiting(places, "middle"))
    places.pin(frozenset({model("small")}))
    with pytest.raises(ModelRefusedError, match=r"about 50 MB .* may take 100 MB\. Pinned are small \(60 MB\)") as told:
        places.require_possible(waiting(places, "middle"))
    assert told.value.hint == "Unpin one of these, or raise engine.memory_budget_mb."
    places.pin(frozenset())
    with pytest.raises(ModelRefusedError, match=r"about 200 MB of memory, .* may take 100 MB\. Choose"):
        places.require_possible(waiting(places, "large"))


async def test_a_model_that_a_gpu_cannot_hold_is_told_of_its_budget() -> None:
    places = Places(Bounds(max_models=1, gpu=1_000_000), lambda _: Need(gpu=2_000_000))
    with pytest.raises(ModelRefusedError, match="2 MB of GPU memory") as told:
        places.require_possible(waiting(places, "a"))
    assert "engine.gpu_memory_budget_mb" in told.value.hint


async def test_what_nobody_has_used_leaves_unless_it_is_pinned_or_busy() -> None:
    places = Places(Bounds(max_models=9))
    old = await loaded(places, "old", used_s=5)
    for name, used_s, holders in (("fresh", 6, 0), ("busy", 1, 1), ("pinned", 1, 0)):
        await loaded(places, name, used_s=used_s, holders=holders)
    places.pin(frozenset({model("pinned")}))
    assert places.unused_since(5) == [old]
