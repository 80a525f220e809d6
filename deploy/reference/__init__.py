"""The generated pages of docs/: settings, metrics and error codes, read from the code itself.

`make docs` writes them, and a test fails while a page differs from what would be written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from deploy.reference import errors, metrics, settings

PAGES: Mapping[str, Callable[[], str]] = {
    "errors.md": errors.page,
    "settings.md": settings.page,
    "metrics.md": metrics.page,
}
"""The text of each page, by its file's name in docs/."""
