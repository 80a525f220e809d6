from hypothesis import given
from hypothesis import strategies as st

from loadtest.measure.streams import EventParser

STREAM = (
    'data: {"a": "ü"}\n\n: a comment\n\nevent: x\r\ndata:one\r\ndata: two\r\n\r\ndata: [DONE]\n\n'
).encode()
EVENTS = ['{"a": "ü"}', "one\ntwo", "[DONE]"]


@given(st.sets(st.integers(1, len(STREAM) - 1)))
def test_events_do_not_depend_on_where_the_stream_is_cut(cuts: set[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    parser = EventParser()
    pieces = [STREAM[a:b] for a, b in zip(edges, edges[1:], strict=False)]
    assert [event for piece in pieces for event in parser.feed(piece)] == EVENTS


def test_an_unfinished_event_is_held_back() -> None:
    parser = EventParser()
    assert parser.feed(b"data: 1\n") == []
    assert parser.feed(b"\n") == ["1"]
