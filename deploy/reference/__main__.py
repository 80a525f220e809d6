"""Write the generated pages and files of charts: `python -m deploy.reference`, or `make docs`."""

from __future__ import annotations

from pathlib import Path

from deploy.charts import GENERATED
from deploy.reference import PAGES

DOCS = Path(__file__).resolve().parents[2] / "docs"


def main() -> None:
    for name, page in PAGES.items():
        (DOCS / name).write_text(page())
    for file, text in GENERATED.items():
        file.write_text(text())


if __name__ == "__main__":
    main()
