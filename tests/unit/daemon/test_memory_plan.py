from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from homebred_daemon.core.memory_plan import Bounds, Need, Tenant, all_fit, chosen_adapters, who_leaves

MB = 1_000_000


def tenant(key: str, ram: int, used_s: float, *, may_leave: bool = True) -> Tenant[str]:
    return Tenant(key=key, need=Need(ram=ram), used_s=used_s, may_leave=may_leave)


def test_nobody_leaves_while_there_is_room() -> None:
    assert who_leaves(Need(ram=5), [tenant("a", 5, 0)], Bounds(max_models=2, ram=10)) == []


def test_the_longest_unused_leaves_first() -> None:
    tenants = [tenant("new", 5, 2), tenant("old", 5, 1)]
    assert who_leaves(Need(ram=5), tenants, Bounds(max_models=2, ram=10)) == ["old"]


def test_the_count_is_a_bound_of_its_own() -> None:
    tenants = [tenant("a", 1, 1), tenant("b", 1, 2)]
    assert who_leaves(Need(ram=1), tenants, Bounds(max_models=2)) == ["a"]


def test_a_small_one_stays_where_a_large_one_makes_room_enough() -> None:
    tenants = [tenant("small", 1, 1), tenant("large", 9, 2)]
    assert who_leaves(Need(ram=9), tenants, Bounds(max_models=9, ram=10)) == ["large"]


def test_the_memory_of_a_gpu_is_bounded_apart() -> None:
    tenants = [Tenant(key="gpu", need=Need(gpu=8), used_s=2, may_leave=True), tenant("ram", 8, 1)]
    bounds = Bounds(max_models=9, ram=10, gpu=10)
    assert who_leaves(Need(gpu=5), tenants, bounds) == ["gpu"]
    assert who_leaves(Need(ram=5), tenants, bounds) == ["ram"]
    assert bounds.beside([Need(gpu=8), Need(ram=3)]) == Need(ram=7, gpu=2)


_tenants = st.lists(
    st.builds(
        tenant,
        st.uuids().map(str),
        st.integers(0, 50),
        st.floats(0, 100),
        may_leave=st.booleans(),
    ),
    max_size=6,
)


@given(st.integers(0, 120), _tenants, st.integers(1, 6), st.none() | st.integers(0, 150))
def test_who_leaves_is_enough_never_too_many_and_never_somebody_who_must_stay(
    ram: int, tenants: list[Tenant[str]], max_models: int, budget: int | None
) -> None:
    bounds = Bounds(max_models=max_models, ram=budget)
    leaving = who_leaves(Need(ram=ram), tenants, bounds)
    unmovable = [each.need for each in tenants if not each.may_leave]
    if leaving is None:
        assert not all_fit([Need(ram=ram)], unmovable, bounds)
        return
    assert all(each.may_leave for each in tenants if each.key in leaving)
    assert all_fit([Need(ram=ram)], [each.need for each in tenants if each.key not in leaving], bounds)
    for one in leaving:
        without = [each.need for each in tenants if each.key not in leaving or each.key == one]
        assert not all_fit([Need(ram=ram)], without, bounds), "it left needlessly"


def test_adapters_that_are_needed_come_first_then_the_last_used_then_in_order() -> None:
    wanted, used_s = ("a", "b", "c", "d"), {"c": 5.0, "d": 7.0}
    assert chosen_adapters(wanted, needed=(), used_s={}, most=2) == ("a", "b")
    assert chosen_adapters(wanted, needed=("b",), used_s=used_s, most=2) == ("b", "d")
    assert chosen_adapters(wanted, needed=("gone",), used_s=used_s, most=3) == ("c", "d", "gone")
    assert chosen_adapters(wanted, needed=("d", "b", "a"), used_s=used_s, most=2) == ("b", "d")
