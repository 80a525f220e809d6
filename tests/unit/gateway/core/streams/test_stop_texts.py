"""Stop texts in an answer that several engines write one after the other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.streams.stop_texts import StopScanner

LETTERS = st.text("ab", max_size=30)
STOPS = st.lists(st.text("ab", min_size=1, max_size=4), max_size=3)


@given(LETTERS, STOPS, st.lists(st.integers(1, 6), min_size=30, max_size=30), st.booleans())
def test_in_whatever_pieces_text_comes_it_stops_as_letter_by_letter(
    text: str, stops: list[str], sizes: list[int], include: bool
) -> None:
    def played(pieces: list[str]) -> tuple[str, str | None]:
        watch = StopScanner(stops=stops, include=include)
        out = "".join(watch.feed(piece) for piece in pieces)
        return out + watch.rest(), watch.stopped

    pieces, place = [], 0
    for size in sizes:
        pieces.append(text[place : place + size])
        place += size
    out, stopped = played(pieces)
    alone, first = played(list(text))
    assert (out, stopped) == (alone, first)
    if stopped is None:
        assert out == text
    else:
        end = out if include else out + stopped
        assert text.startswith(end) and end.endswith(stopped)


@given(LETTERS, STOPS)
def test_nothing_is_held_back_that_begins_no_stop_text(text: str, stops: list[str]) -> None:
    watch = StopScanner(stops=stops)
    out = watch.feed(text)
    if watch.stopped is None:
        held = text[len(out) :]
        assert text.startswith(out)
        assert held == "" or any(stop.startswith(held) for stop in stops)
