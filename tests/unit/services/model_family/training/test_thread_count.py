from services.model_family.training.thread_count import ThreadChooser


def run(chooser: ThreadChooser, rates: dict[int, float], steps: int) -> list[int]:
    counts, count = [], chooser.count
    for _ in range(steps):
        counts.append(count)
        count = chooser.next_count(rates[count])
    return counts


def test_the_faster_count_is_used_most_of_the_time() -> None:
    for rates, best in (({1: 3000.0, 2: 5000.0}, 2), ({1: 3000.0, 2: 1000.0}, 1)):
        counts = run(ThreadChooser(2), rates, 200)
        assert counts.count(best) > 160


def test_it_follows_a_change_of_what_is_faster() -> None:
    chooser = ThreadChooser(2)
    run(chooser, {1: 3000.0, 2: 5000.0}, 100)
    counts = run(chooser, {1: 3000.0, 2: 1000.0}, 200)
    assert counts[-100:].count(1) > 80


def test_a_single_core_is_never_left() -> None:
    assert set(run(ThreadChooser(1), {1: 1000.0}, 50)) == {1}
