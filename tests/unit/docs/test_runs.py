"""Of every example it is said what runs it: `make test`, `make test-examples`, or why neither."""

from __future__ import annotations

import re
from collections import Counter

from tests.documents.blocks import examples, examples_on
from tests.documents.runs import LONG, NEEDS, QUICK, run_by
from tests.examples import parts


def test_every_example_is_run_or_has_a_reason() -> None:
    assert [str(each) for each in examples() if not run_by(each)] == []


def test_what_is_said_to_be_run_is_played_by_some_module() -> None:
    modules = {parts.PAGES, parts.OWN_MODELS, parts.RELIABILITY, parts.MEASUREMENTS}
    run = Counter(parts.played_in(each) for each in examples() if run_by(each) in (QUICK, LONG))
    assert run.keys() == modules


def test_every_need_is_some_examples() -> None:
    texts = [each.text for each in examples()]
    assert [mark for mark in NEEDS if not any(re.search(mark, text) for text in texts)] == []


def test_all_that_ask_a_gateway_are_run() -> None:
    found = Counter(run_by(each) for each in examples())
    assert found[QUICK] >= 30 and found[LONG] >= 40


def test_commands_in_sentences_are_examples_but_those_that_a_block_shows_whole() -> None:
    page = "Type `make down`, `make ask` or `make down`.\n\n```\n$ make ask Q=1\n`make logs`\n```\n"
    found = [each.text for each in examples_on("README.md", page)]
    assert found == ["make down", "make ask Q=1"]
