"""The real clock."""

import time


class MonotonicClock:
    """The `Clock` port on the system's monotonic clock."""

    def now(self) -> float:
        return time.perf_counter()
