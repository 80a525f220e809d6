from __future__ import annotations

from gateway.core.cascade.agreement import agreement


def test_agreement_is_the_share_of_samples_that_say_the_same() -> None:
    samples = ["Answer: 4", "It is.\nAnswer: 4", "Answer: 5", "4"]
    assert agreement("Answer: 4", samples, "Answer:") == 0.75
    assert agreement("Answer: 4", [], "Answer:") == 0.0
