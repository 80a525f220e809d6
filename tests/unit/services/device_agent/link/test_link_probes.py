import pytest

from services.device_agent.link.link_probes import PAD_BYTES, PAD_EVERY_S, WARM_AFTER, LinkProbes


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def answered(probes: LinkProbes, clock: Clock, taken: float, idle: bool = False) -> int:
    """The size of the ping."""
    ping = probes.next(idle)
    clock.now += taken
    probes.answered(ping.n)
    return len(ping.pad)


def test_the_round_trip_is_a_running_mean() -> None:
    probes = LinkProbes(clock := Clock())
    answered(probes, clock, 0.1)
    assert probes.round_trip_s == pytest.approx(0.1)
    for _ in range(50):
        answered(probes, clock, 0.02)
    assert probes.round_trip_s == pytest.approx(0.02, rel=1e-3)


def test_what_is_measured_goes_into_the_next_ping() -> None:
    probes = LinkProbes(clock := Clock())
    answered(probes, clock, 0.1)
    assert probes.next(idle=False).round_trip_s == pytest.approx(0.1)


def test_the_bandwidth_is_measured_while_the_link_is_idle_and_warm_now_and_then() -> None:
    probes = LinkProbes(clock := Clock())
    sizes = [answered(probes, clock, 0.02, idle=True) for _ in range(WARM_AFTER)]
    assert set(sizes) == {0} and probes.warm and probes.bytes_per_s == 0
    assert answered(probes, clock, 0.02, idle=False) == 0
    assert answered(probes, clock, 0.02 + PAD_BYTES / 1e6, idle=True) == PAD_BYTES
    assert probes.bytes_per_s == pytest.approx(1e6, rel=1e-3)
    assert probes.round_trip_s == pytest.approx(0.02), "a probe of some size is no round trip"
    assert answered(probes, clock, 0.02, idle=True) == 0
    clock.now += PAD_EVERY_S
    assert answered(probes, clock, 0.02, idle=True) == PAD_BYTES
    assert probes.bytes_per_s > 0


def test_answers_to_nothing_are_ignored_and_lost_ones_forgotten() -> None:
    probes = LinkProbes(Clock())
    probes.answered(77)
    first = probes.next(idle=False)
    for _ in range(100):
        probes.next(idle=False)
    probes.answered(first.n)
    assert probes.round_trip_s == 0 and not probes.warm
