"""Which of the outbox's floors the controller is told, and when: page by page, so that a long history is no burst.

All that are known are told at a boot's first connection, and once more where the controller shows that it is an older
copy of itself: the device may have been started often since that copy was made, and keeps no longer what was
acknowledged. Now and then the newest are told again. A page counts as told once the broker took each of it and had a
controller to give it to. It reads no outbox and publishes nothing: `fleet_session` does.
"""

from __future__ import annotations

EVERY_S = 6 * 3600.0
"""Between two tellings of the newest page, where nothing shows that they are wanted."""
ALL_EVERY_S = 600.0
"""At least, between two beginnings of telling all: answers that show an old copy come many at a time."""
AGAIN_AFTER_S = 60.0
"""Before a page that was not taken, or not heard, is told again; doubled each time."""
LONGEST_AGAIN_S = 960.0


class FloorTelling:
    """How far the floors are told. Times are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._skip = 0
        """Floors before the page that is next."""
        self._all = True
        """Whether the pages after the first are told too."""
        self._once_more = False
        """Whether all are told again after that."""
        self._due_s: float | None = 0.0
        """When the next page is read; None: one is being read, or on its way."""
        self._again_after_s = AGAIN_AFTER_S
        self._began_all_s: float | None = None
        self._on_their_way: set[int] = set()
        self._page = 0
        self._failed = False

    def due_s(self) -> float | None:
        """When `next_page` may have something to say; None: not before something happens."""
        return self._due_s

    def next_page(self, now_s: float) -> int | None:
        """How many floors to pass over before those to be read now; None: none are due."""
        if self._due_s is None or now_s < self._due_s:
            return None
        self._due_s = None
        if self._all and self._skip == 0:
            self._began_all_s = now_s
        return self._skip

    def was_read(self, tokens: list[int], now_s: float) -> None:
        """The page is published under these tokens; none: no floors are left."""
        self._on_their_way, self._page, self._failed = set(tokens), len(tokens), False
        if not tokens:
            self._rest(now_s)

    def was_delivered(self, token: int, now_s: float, *, heard: bool) -> None:
        """The broker's word on one of them."""
        if token not in self._on_their_way:
            return
        self._on_their_way.remove(token)
        self._failed = self._failed or not heard
        if self._on_their_way:
            return
        if self._failed:
            self._put_off(now_s)
        elif self._all:
            self._skip, self._due_s, self._again_after_s = self._skip + self._page, now_s, AGAIN_AFTER_S
        else:
            self._rest(now_s)

    def could_not_be_read(self, now_s: float) -> None:
        """The outbox is in trouble."""
        if self._due_s is None and not self._on_their_way:
            self._put_off(now_s)

    def lose_sight(self, now_s: float) -> None:
        """The connection ended: nobody knows what of the page was heard."""
        self._again_after_s = AGAIN_AFTER_S
        self._on_their_way.clear()
        if self._due_s is None:
            self._due_s = now_s

    def tell_all(self, now_s: float) -> None:
        """The controller has less than it had acknowledged."""
        if self._all:
            self._once_more = self._skip > 0 or self._due_s is None  # where some of them were told already
            return
        self._all, self._skip = True, 0
        if self._due_s is not None:
            self._due_s = self._may_begin_s(now_s)

    def _put_off(self, now_s: float) -> None:
        self._due_s = now_s + self._again_after_s
        self._again_after_s = min(2 * self._again_after_s, LONGEST_AGAIN_S)

    def _rest(self, now_s: float) -> None:
        self._skip, self._all, self._once_more = 0, self._once_more, False
        self._due_s = self._may_begin_s(now_s) if self._all else now_s + EVERY_S
        self._again_after_s = AGAIN_AFTER_S

    def _may_begin_s(self, now_s: float) -> float:
        return now_s if self._began_all_s is None else max(now_s, self._began_all_s + ALL_EVERY_S)
