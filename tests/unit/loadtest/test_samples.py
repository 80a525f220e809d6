from pathlib import Path

from loadtest.samples import Samples, table, totals


def some_samples() -> Samples:
    samples = Samples(tokens=12)
    for value in range(1, 101):
        samples.add("TTFT", "rill-edge > edge", float(value))
    samples.add("answer", "rill-edge > edge", 250.0)
    samples.add("tokens/s", "rill-edge > edge", 48.0)
    samples.fail("rill-cloud", "503: no endpoint")
    samples.fail("rill-cloud", "503: no endpoint")
    return samples


def test_the_table_has_the_percentiles_of_every_metric() -> None:
    rows = {line.split()[0]: line.split() for line in table(some_samples()).splitlines()}
    assert rows["metric"][-3:] == ["p50", "p95", "p99"]
    assert rows["TTFT"] == ["TTFT", "ms", "rill-edge", ">", "edge", "100", "50.5", "95.0", "99.0"]
    assert rows["tokens/s"][-1] == "48.0"


def test_failures_are_counted_by_their_cause() -> None:
    assert table(some_samples()).splitlines()[-1] == "failed: 2 x rill-cloud: 503: no endpoint"


def test_totals_are_rates_over_the_whole_run() -> None:
    text = totals(some_samples(), 2.0)
    assert text == "1 answers (0.50/s), 2 failures, 12 tokens (6.0/s) in 2 s"


def test_samples_survive_the_way_through_a_file(tmp_path: Path) -> None:
    some_samples().save(tmp_path / "samples.json")
    assert Samples.load(tmp_path / "samples.json") == some_samples()
