"""What comes through the mailbox's connection is read, or refused by one kind of error."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol.mailbox import read_counts, read_drafts, read_greeting

READERS = (read_drafts, read_greeting, read_counts)
each = pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)


@each
@pytest.mark.parametrize("opening", [b"\x91", b"\x81\xa1a", b"\x81"], ids=repr)
def test_nesting_without_end_is_refused(read: Callable[[bytes], object], opening: bytes) -> None:
    with pytest.raises((msgspec.MsgspecError, UnicodeDecodeError)):
        read(opening * 3000)


@each
@given(message=st.binary(max_size=200))
def test_no_bytes_do_more_than_be_refused(read: Callable[[bytes], object], message: bytes) -> None:
    try:
        read(message)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        pass
