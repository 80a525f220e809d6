"""The generated pages of docs/: settings, metrics, error codes and routes, from the code itself.

`make docs` writes them, and a test fails while a page differs from what would be written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from deploy.reference import errors, metrics, routes, settings

PAGES: Mapping[str, Callable[[], str]] = {
    "errors.md": errors.page,
    "settings.md": settings.page,
    "metrics.md": metrics.page,
    "routes.md": routes.page,
}
"""The text of each page, by its file's name in docs/."""
