from __future__ import annotations

from homebred_daemon.core.floor_telling import AGAIN_AFTER_S, ALL_EVERY_S, EVERY_S, LONGEST_AGAIN_S, FloorTelling


def told(telling: FloorTelling, now_s: float, pages: int) -> float:
    """Reads and delivers pages of two floors, then an empty one; when the next is due."""
    for number in range(pages):
        assert telling.next_page(now_s) == 2 * number
        telling.was_read([1, 2], now_s)
        telling.was_delivered(1, now_s, heard=True)
        assert telling.next_page(now_s) is None
        telling.was_delivered(2, now_s, heard=True)
    assert telling.next_page(now_s) == 2 * pages
    telling.was_read([], now_s)
    due_s = telling.due_s()
    assert due_s is not None
    return due_s


def test_all_pages_are_told_first_and_the_newest_alone_now_and_then() -> None:
    telling = FloorTelling()
    assert told(telling, 0.0, pages=40) == EVERY_S
    assert telling.next_page(EVERY_S) == 0
    telling.was_read([81], EVERY_S)
    telling.was_delivered(81, EVERY_S, heard=True)
    assert telling.due_s() == 2 * EVERY_S


def test_a_page_that_was_not_heard_is_told_again_after_ever_longer() -> None:
    telling, now_s = FloorTelling(), 0.0
    for wait_s in (AGAIN_AFTER_S, 120, 240, 480, LONGEST_AGAIN_S, LONGEST_AGAIN_S):
        assert telling.next_page(now_s) == 0
        telling.was_read([1, 2], now_s)
        telling.was_delivered(1, now_s, heard=False)
        telling.was_delivered(2, now_s, heard=True)
        now_s += wait_s
        assert telling.due_s() == now_s
    told(telling, now_s, pages=2)


def test_a_page_on_its_way_as_the_connection_ends_is_told_in_the_next() -> None:
    telling = FloorTelling()
    telling.next_page(0.0)
    telling.was_read([1], 0.0)
    telling.lose_sight(5.0)
    telling.was_delivered(1, 5.0, heard=True)
    told(telling, 5.0, pages=1)


def test_a_page_that_could_not_be_read_is_read_again_later() -> None:
    telling = FloorTelling()
    telling.next_page(0.0)
    telling.could_not_be_read(0.0)
    assert telling.due_s() == AGAIN_AFTER_S
    telling.could_not_be_read(1.0)
    assert telling.due_s() == AGAIN_AFTER_S


def test_an_older_controller_is_told_all_again_but_not_more_often_than_in_ten_minutes() -> None:
    telling = FloorTelling()
    told(telling, 0.0, pages=2)
    for _ in range(3):
        telling.tell_all(10.0)
        assert telling.due_s() == ALL_EVERY_S
    assert told(telling, ALL_EVERY_S, pages=2) == ALL_EVERY_S + EVERY_S


def test_what_was_told_before_the_controller_was_older_is_told_once_more() -> None:
    telling = FloorTelling()
    assert telling.next_page(0.0) == 0
    telling.was_read([1], 0.0)
    telling.tell_all(0.0)
    telling.was_delivered(1, 0.0, heard=True)
    assert telling.next_page(0.0) == 1
    telling.was_read([], 0.0)
    assert told(telling, ALL_EVERY_S, pages=1) == ALL_EVERY_S + EVERY_S
