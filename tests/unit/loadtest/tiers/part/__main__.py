"""A benchmark that measures nothing: it prints a table and a last line, and ends as it is told."""

from __future__ import annotations

import os
import sys

print("a table")
print('{"step25_rtt50": 1.3, "further": 1, "mismatches": 0}')
sys.exit(int(os.environ["PART_CODE"]))
