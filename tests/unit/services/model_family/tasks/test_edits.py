"""Texts with a small change: what is not named stays as it is."""

import re
from random import Random

from services.model_family.evaluation.scoring import final_answer
from services.model_family.tasks.edits import edit_code, edit_list

NAMED = (
    re.compile(r"^(?:Replace|Rename the variable|Rename) (?P<old>\w+) (?:by|to) (?P<new>\w+)\b"),
    re.compile(r"with (?P<new>\w+) instead of (?P<old>\w+):"),
    re.compile(r"^Change every (?P<old>\w+) to (?P<new>\w+):"),
)


def change(prompt: str) -> tuple[str, str] | None:
    """The word that is asked to go, and the one in its place."""
    for form in NAMED:
        if found := form.search(prompt.splitlines()[0]):
            return found["old"], found["new"]
    return None


def test_a_list_keeps_its_words_but_for_the_one_that_is_replaced() -> None:
    rng, copies = Random(1), 0
    for _ in range(300):
        drawn = edit_list(rng)
        words = drawn.prompt.split(": ", 1)[1].split(", ")
        pair = change(drawn.prompt)
        copies += pair is None
        old, new = pair or ("", "")
        assert not pair or old in words
        right = [new if word == old else word for word in words]
        assert final_answer(f"Answer: {drawn.answer}") == ", ".join(right)
    assert 0 < copies < 100


def test_code_with_a_renamed_variable_compiles_and_is_the_same_otherwise() -> None:
    rng = Random(2)
    for _ in range(300):
        drawn = edit_code(rng)
        pair = change(drawn.prompt)
        assert pair is not None
        old, new = pair
        code = drawn.prompt.split("\n", 1)[1]
        compile(drawn.answer, "answer", "exec")
        assert drawn.answer == re.sub(rf"\b{old}\b", new, code) != code
