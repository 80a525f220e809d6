"""What decoding bytes of another process may raise, where they are not what was expected."""

from __future__ import annotations

import msgspec

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""For `except`: no such message, a text that is no UTF-8, lists without end."""
