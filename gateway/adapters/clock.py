"""The real clock."""

import time


class MonotonicClock:
    def now(self) -> float:
        return time.perf_counter()
