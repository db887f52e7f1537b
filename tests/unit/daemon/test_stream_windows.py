"""HTTP/2 as it goes by: frames however they are cut, and streams that a client leaves unread."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from homebred_daemon.adapters.grpc_api.frames import (
    ACK,
    CLIENT_PREFACE_BYTES,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Frames,
)
from homebred_daemon.adapters.grpc_api.stream_windows import CONNECTION, LEAST_ROOM_BYTES, StreamWindows

WINDOW = 65_535
LONGEST = 16_384


def frame(kind: int, stream: int = 0, payload: bytes = b"", flags: int = 0) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def settings(initial_window: int) -> bytes:
    return frame(SETTINGS, payload=b"\x00\x03\x00\x00\x00\x10" + b"\x00\x04" + initial_window.to_bytes(4, "big"))


def room(stream: int, size: int) -> bytes:
    return frame(WINDOW_UPDATE, stream, size.to_bytes(4, "big"))


class Line:
    """A connection after its preface; `at` is the time of what follows."""

    def __init__(self) -> None:
        self.windows = StreamWindows()
        self.windows.from_client(b"P" * CLIENT_PREFACE_BYTES)

    def at(self, now_s: float) -> Line:
        self.windows.now_s = now_s
        return self

    def client(self, *sent: bytes) -> Line:
        assert self.windows.from_client(b"".join(sent)) == b"".join(sent)
        return self

    def server(self, *sent: bytes) -> Line:
        assert self.windows.from_server(b"".join(sent)) == b"".join(sent)
        return self

    def answers(self, stream: int, size: int) -> Line:
        while size:
            step = min(size, LONGEST)
            self.server(frame(DATA, stream, b"x" * step))
            size -= step
        return self

    def shut(self, since_s: float = 1e9) -> list[int]:
        return sorted(self.windows.shut_before(since_s))


def roomy() -> Line:
    """A client that keeps the connection's own window wide open, as gRPC's do."""
    return Line().client(room(CONNECTION, 1 << 30))


def test_a_stream_is_shut_once_its_window_is_used_up_and_not_before() -> None:
    line = roomy().at(5).answers(1, WINDOW - 1)
    assert line.shut() == []
    line.answers(1, 1)
    assert (line.shut(5), line.shut(4.9)) == ([1], [])


def test_time_counts_from_when_it_shut() -> None:
    line = roomy().at(1).answers(1, WINDOW).at(9).answers(3, WINDOW)
    assert (line.shut(1), line.shut(9)) == ([1], [1, 3])


def test_room_opens_it_again() -> None:
    line = roomy().at(1).answers(1, WINDOW).at(2).client(room(1, LEAST_ROOM_BYTES + 1))
    assert line.shut() == []


def test_a_trickle_of_room_is_no_reading() -> None:
    line = roomy().at(1).answers(1, WINDOW)
    for _ in range(50):
        line.at(20).client(room(1, 10)).answers(1, 10)
    assert line.shut(1) == [1]


def test_a_larger_initial_window_holds_for_open_streams_too() -> None:
    line = roomy().answers(1, WINDOW).client(settings(WINDOW + LEAST_ROOM_BYTES + 1))
    assert line.shut() == []
    line.answers(1, LEAST_ROOM_BYTES + 1)
    assert line.shut() == [1]


def test_an_acknowledgement_of_settings_changes_nothing() -> None:
    line = roomy().answers(1, WINDOW).client(frame(SETTINGS, flags=ACK))
    assert line.shut() == [1]


def test_a_connection_without_room_is_shut_whatever_its_streams_have() -> None:
    line = Line().client(settings(1 << 30)).answers(1, WINDOW)
    assert line.shut() == [CONNECTION]
    assert line.client(room(CONNECTION, WINDOW)).shut() == []


def test_a_stream_that_ended_is_forgotten() -> None:
    for end in (
        frame(DATA, 1, b"", END_STREAM),
        frame(HEADERS, 1, b"trailers", END_STREAM | END_HEADERS),
        frame(RST_STREAM, 1, b"\0\0\0\0"),
    ):
        line = roomy().answers(1, WINDOW)
        assert line.server(end).shut() == []
        assert line.windows._credit.keys() == {CONNECTION}
    line = roomy().answers(1, WINDOW).client(frame(RST_STREAM, 1, b"\0\0\0\0"))
    assert line.shut() == []


def test_room_for_a_stream_without_an_answer_is_not_kept() -> None:
    line = roomy()
    for stream in range(1, 2001, 2):
        line.client(room(stream, 100))
    assert line.windows._credit.keys() == {CONNECTION}


def test_a_reset_tells_both_sides_and_forgets_the_stream() -> None:
    line = roomy().answers(5, WINDOW)
    to_client, to_server = line.windows.reset(5)
    assert to_client == to_server == frame(RST_STREAM, 5, (8).to_bytes(4, "big"))
    assert line.shut() == []


def test_a_reset_waits_for_the_end_of_a_frame_that_is_half_sent() -> None:
    line = roomy().answers(5, WINDOW)
    data = frame(DATA, 7, b"y" * 100)
    line.windows.from_server(data[:50])
    to_client, to_server = line.windows.reset(5)
    assert (to_client, bool(to_server)) == (b"", True)
    assert line.windows.from_server(data[50:] + frame(DATA, 7, b"z")) == data[50:] + to_server + frame(DATA, 7, b"z")


def test_nothing_comes_between_the_frames_of_a_header_block() -> None:
    line = roomy().answers(5, WINDOW)
    line.windows.from_server(frame(HEADERS, 7, b"h"))
    assert line.windows.reset(5)[0] == b""
    rest = frame(CONTINUATION, 7, b"c", END_HEADERS)
    assert line.windows.from_server(rest) == rest + frame(RST_STREAM, 5, (8).to_bytes(4, "big"))


frames = st.lists(
    st.builds(
        frame,
        st.sampled_from((DATA, HEADERS, SETTINGS, WINDOW_UPDATE, 0x6, 0x7)),
        st.integers(0, 9),
        st.binary(max_size=30),
        st.just(END_HEADERS),
    ),
    max_size=8,
)


@given(frames, st.lists(st.integers(0, 200), max_size=8), st.booleans())
def test_frames_are_found_however_the_bytes_are_cut_and_the_bytes_stay_as_they_are(
    sent: list[bytes],
    cuts: list[int],
    inserts: bool,  # noqa: FBT001  # hypothesis gives it
) -> None:
    told: list[tuple[int, int, int, bytes]] = []
    follower = Frames(
        lambda kind, flags, stream, length, payload: told.append((kind, stream, length, payload)),
        read_kinds=(SETTINGS, WINDOW_UPDATE),
    )
    whole = b"".join(sent)
    places = sorted({cut for cut in cuts if cut <= len(whole)} | {0, len(whole)})
    ours = frame(RST_STREAM, 1, b"ours")
    out, waiting = b"", inserts
    for start, end in itertools.pairwise(places):
        out += follower.relayed(whole[start:end])
        if waiting:
            out, waiting = out + follower.insert(ours), False
    assert [(kind, stream, length) for kind, stream, length, _ in told] == [
        (one[3], one[8], len(one) - 9) for one in sent
    ]
    read = [payload for kind, _, _, payload in told if kind in (SETTINGS, WINDOW_UPDATE)]
    assert read == [one[9:] for one in sent if one[3] in (SETTINGS, WINDOW_UPDATE)]
    if not inserts or len(places) < 2:
        assert out == whole
    else:
        ends = [sum(map(len, sent[:number])) for number in range(len(sent) + 1)]
        assert out in [whole[:at] + ours + whole[at:] for at in ends]
