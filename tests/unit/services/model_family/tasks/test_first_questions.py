"""First questions: every answer is right, by recomputing it from the prompt's text alone."""

import ast
import re
from random import Random

import pytest

from services.model_family.evaluation.scoring import final_answer
from services.model_family.tasks.dialogue import CAPITALS
from services.model_family.tasks.example import Example
from services.model_family.tasks.first import TASKS
from services.model_family.tasks.first.facts import LENGTHS, MORE_CAPITALS
from services.model_family.tasks.first.lists import WORDS
from services.model_family.tasks.first.sums import spelled
from services.model_family.tasks.first.wording import command, expand, question, slip
from services.model_family.tasks.words import MONTHS, WEEKDAYS
from services.model_family.wordings.scoring import says_unknown

BY_NAME = {task.name: task for task in TASKS}
DRAWS = 600
SPELLED = {spelled(number): number for number in range(100)}
NUMBER = re.compile("|".join([r"\d+", *sorted(SPELLED, key=len, reverse=True)]))


def examples(name: str) -> list[Example]:
    rng = Random(f"test:{name}")
    return [BY_NAME[name].example(rng) for _ in range(DRAWS)]


def numbers(text: str) -> list[int]:
    """Those in digits and in words, where no slip of the fingers hides one."""
    return [
        int(found) if found.isdigit() else SPELLED[found] for found in NUMBER.findall(text.lower())
    ]


@pytest.mark.parametrize("name", BY_NAME)
def test_no_form_leaves_a_slot_or_an_alternative_in_the_text(name: str) -> None:
    for example in examples(name):
        assert example.prompt.strip() and not re.search(r"[{}|]", example.prompt), example.prompt


@pytest.mark.parametrize(
    ("name", "results"),
    [
        ("first_sum", lambda a, b: {a + b}),
        ("first_difference", lambda a, b: {abs(a - b)}),
        ("first_product", lambda a, b: {a * b}),
        ("first_quotient", lambda a, b: {a // b if b else None, b // a if a else None}),
        ("long_sum", lambda a, b: {a + b}),
    ],
)
def test_a_calculation_has_its_value(name: str, results: object) -> None:
    assert callable(results)
    checked = 0
    for example in examples(name):
        given = [int(number) for number in re.findall(r"\d+", example.prompt)]
        if len(given) == 2 and numbers(example.prompt) == given:
            assert int(final_answer(example.answer)) in results(*given), example.prompt
            checked += 1
    assert checked > DRAWS // 4


def test_a_list_is_in_order() -> None:
    for example in examples("first_sort"):
        items = final_answer(example.answer).split(", ")
        order = sorted(items, key=lambda item: (len(item), item) if item.isdigit() else (0, item))
        assert items in (order, order[::-1]), example.prompt


def test_a_reversed_word_is_one_of_the_prompt() -> None:
    for example in examples("first_reversal"):
        word = final_answer(example.answer)[::-1]
        assert word in WORDS and word in example.prompt.lower()


def test_a_capital_and_its_country_belong_together() -> None:
    cities = {city: country for country, city in CAPITALS + MORE_CAPITALS}
    for example in examples("first_capital"):
        answer = final_answer(example.answer)
        if answer in cities.values():
            city = next(city for city, country in cities.items() if country == answer)
            assert city.lower() in example.prompt.lower()
        else:
            assert answer in cities


def test_days_and_months_follow_each_other() -> None:
    checked = 0
    for example in examples("first_date"):
        prompt, answer = example.prompt.lower(), final_answer(example.answer)
        if answer in MONTHS or answer in WEEKDAYS:
            names = MONTHS if answer in MONTHS else WEEKDAYS
            given = [name for name in names if name.lower() in prompt]
            if len(given) == 1 and not numbers(prompt) and "after tomorrow" not in prompt:
                distance = (names.index(answer) - names.index(given[0])) % len(names)
                assert distance in (0, 1, 2, len(names) - 1), example.prompt
                checked += 1
        month = re.search(rf"days.*\b({'|'.join(MONTHS)})\b", example.prompt)
        if month is not None and answer.isdigit() and "number" not in prompt:
            assert int(answer) == LENGTHS[MONTHS.index(month[1])], example.prompt
    assert checked > DRAWS // 10


def test_a_line_is_python() -> None:
    for example in examples("first_line"):
        assert ast.parse(example.answer).body


def test_what_lies_outside_is_answered_by_saying_so_and_nothing_else_is() -> None:
    for name in BY_NAME:
        for example in examples(name):
            assert says_unknown(example.answer) is (name == "first_outside"), example.answer


def test_a_form_gives_one_of_its_alternatives() -> None:
    texts = {expand(Random(n), "[a|b [c|d]] {x}[!|]") for n in range(60)}
    assert texts == {"a {x}!", "a {x}", "b c {x}!", "b c {x}", "b d {x}!", "b d {x}"}


def test_slips_and_case_leave_what_is_put_in_untouched() -> None:
    for n in range(300):
        assert "{word}" in slip(Random(n), "spell {word} backwards now")
        for ask in (question, command):
            assert "McDonald 12" in ask(Random(n), ("how is {word} spelled",), word="McDonald 12")
