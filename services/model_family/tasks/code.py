"""Code: completing, evaluating and following small Python programs, and lists."""

from __future__ import annotations

from random import Random

from services.model_family.tasks.example import DrawnQuestion, FollowUp, Task, follow_ups
from services.model_family.tasks.words import LETTERS, NOUNS, VARIABLES


def sort_list(rng: Random) -> DrawnQuestion:
    if rng.random() < 0.35:
        items = rng.sample(LETTERS, rng.randint(3, 5))
        order, kind = sorted(items), "letters"
    else:
        numbers = rng.sample(range(1, rng.choice((10, 10, 100))), rng.randint(3, 4))
        items, kind = [str(n) for n in numbers], "numbers"
        order = [str(n) for n in sorted(numbers)]
    listed, rising = ", ".join(items), ", ".join(order)
    up = rng.choice(("Sort these {0}: {1}", "Put these {0} in order: {1}")).format(kind, listed)
    if kind == "letters":
        return DrawnQuestion(prompt=up, answer=rising)
    falling = ", ".join(reversed(order))
    down = rng.choice(("Sort from largest to smallest: {1}", "Sort these {0} downwards: {1}"))
    down = down.format(kind, listed)
    ends = (("Which is the smallest?", order[0]), ("Which is the largest?", order[-1]))
    if rng.random() < 0.4:
        more = FollowUp("And upwards?", rising, up)
        return DrawnQuestion(prompt=down, answer=falling, more=(*follow_ups(down, ends), more))
    more = FollowUp("And downwards?", falling, down)
    return DrawnQuestion(prompt=up, answer=rising, more=(*follow_ups(up, ends), more))


def reverse_list(rng: Random) -> DrawnQuestion:
    if rng.random() < 0.6:
        items = rng.sample(NOUNS, rng.randint(3, 5))
        kind = "words"
    else:
        items = [str(rng.randint(0, 9)) for _ in range(rng.randint(3, 6))]
        kind = "digits"
    form = rng.choice(
        ("Reverse this list: {1}", "Write these {0} backwards: {1}", "Reverse these {0}: {1}")
    )
    return DrawnQuestion(
        prompt=form.format(kind, ", ".join(items)), answer=", ".join(reversed(items))
    )


OPERATIONS = (
    ("adds {n} to {x}", "{x} + {n}"),
    ("subtracts {n} from {x}", "{x} - {n}"),
    ("multiplies {x} by {n}", "{x} * {n}"),
    ("divides {x} by {n}", "{x} / {n}"),
    ("checks whether {x} is larger than {n}", "{x} > {n}"),
    ("checks whether {x} is smaller than {n}", "{x} < {n}"),
    ("checks whether {x} equals {n}", "{x} == {n}"),
    ("gives the remainder of {x} divided by {n}", "{x} % {n}"),
    ("raises {x} to the power {n}", "{x} ** {n}"),
)

LIST_OPERATIONS = (
    ("returns the length of {x}", "len({x})"),
    ("returns the sum of {x}", "sum({x})"),
    ("returns the largest item of {x}", "max({x})"),
    ("returns the smallest item of {x}", "min({x})"),
    ("returns the first item of {x}", "{x}[0]"),
    ("returns the last item of {x}", "{x}[-1]"),
    ("returns {x} sorted", "sorted({x})"),
    ("returns {x} reversed", "{x}[::-1]"),
)

FUNCTION_NAMES = (
    "run", "solve", "compute", "apply", "step", "update", "check", "score", "change", "process",
)  # fmt: skip


def write_function(rng: Random) -> DrawnQuestion:
    name, x, n = rng.choice(FUNCTION_NAMES), rng.choice(VARIABLES), rng.randint(2, 20)
    describe, body = rng.choice(OPERATIONS if rng.random() < 0.6 else LIST_OPERATIONS)
    says, code = describe.format(x=x, n=n), body.format(x=x, n=n)
    if rng.random() < 0.5:
        form = rng.choice(
            ("Write a Python function {} that {}.", "Define a function {} in Python that {}.")
        )
        return DrawnQuestion(
            prompt=form.format(name, says), answer=f"def {name}({x}):\n    return {code}"
        )
    form = rng.choice(("Complete the code:", "Complete this Python function:"))
    return DrawnQuestion(
        prompt=f"{form}\ndef {name}({x}):\n    # {says}", answer=f"    return {code}"
    )


def follow_variables(rng: Random) -> DrawnQuestion:
    """A chain of assignments, one to three hops, with a second chain to mislead."""
    hops = rng.choice((1, 1, 2, 2, 3))
    names = rng.sample(VARIABLES, hops + 3)
    chain, other = names[: hops + 1], names[hops + 1 :]
    values = rng.sample(range(1, 100), 2)
    lines = [f"{chain[0]} = {values[0]}", f"{other[0]} = {values[1]}"]
    rng.shuffle(lines)
    rest = [f"{b} = {a}" for a, b in zip(chain, chain[1:], strict=False)]
    rest.insert(rng.randint(0, len(rest)), f"{other[1]} = {other[0]}")
    ask_other = rng.random() < 0.2
    target, value = (other[1], values[1]) if ask_other else (chain[-1], values[0])
    wrong = (str(values[0] if ask_other else values[1]), str(value + 1), str(value + 2))
    known = dict.fromkeys(chain, str(values[0])) | dict.fromkeys(other, str(values[1]))
    return program(rng, [*lines, *rest], target, known, wrong)


def program(
    rng: Random, lines: list[str], target: str, known: dict[str, str], wrong: tuple[str, ...]
) -> DrawnQuestion:
    """What ``print(target)`` after ``lines`` prints; the other expressions are follow-ups."""
    head = "\n".join([what_prints(rng), *lines])
    others = [expression for expression in known if expression != target]
    rng.shuffle(others)
    more = (FollowUp(f"And print({e})?", known[e], f"{head}\nprint({e})") for e in others)
    return DrawnQuestion(
        prompt=f"{head}\nprint({target})", answer=known[target], wrong=wrong, more=tuple(more)
    )


def what_prints(rng: Random) -> str:
    return rng.choice(("What does this print?", "What is printed here?", "Run this code:"))


def evaluate_code(rng: Random) -> DrawnQuestion:
    """Two or three statements, each using the result of the one before."""
    x, y, z = rng.sample(VARIABLES, 3)
    value = rng.randint(1, 6)
    lines = [f"{x} = {value}"]
    names = [x, y, z]
    known = {x: str(value)}
    count = rng.randint(1, 2)
    for before, after in zip(names[:count], names[1:], strict=False):
        op, amount = rng.choice("+-*"), rng.randint(1, 5)
        if op == "*":
            amount = rng.randint(2, 3)
        if op == "-" and amount > value:
            op = "+"
        value = {"+": value + amount, "-": value - amount, "*": value * amount}[op]
        lines.append(f"{after} = {before} {op} {amount}")
        known[after] = str(value)
    wrong = tuple(str(value + d) for d in rng.sample((1, 2, 3, 10), 3))
    return program(rng, lines, names[count], known, wrong)


def nested_calls(rng: Random) -> DrawnQuestion:
    """Two look-up tables, applied alone or the second to the result of the first."""
    letters = rng.sample([x for x in LETTERS[:14] if x not in "fg"], 9)
    first = dict(zip(letters[:3], letters[3:6], strict=True))
    second = dict(zip(rng.sample(letters[3:6], 3), letters[6:], strict=True))
    lines = ["f: " + ", ".join(f"{k}>{v}" for k, v in first.items())]
    lines.append("g: " + ", ".join(f"{k}>{v}" for k, v in second.items()))
    if rng.random() < 0.3:
        lines.reverse()
    if rng.random() < 0.3:
        keys = rng.sample(letters[:6], 3)
        asked = ", ".join(f"{'f' if key in first else 'g'}({key})" for key in keys)
        values = [(first | second)[key] for key in keys]
        return DrawnQuestion(
            prompt="\n".join([*lines, f"What are {asked}?"]), answer=", ".join(values)
        )
    calls = {f"f({k})": v for k, v in first.items()}
    nested = {f"g(f({k}))": second[v] for k, v in first.items()}
    text, value = rng.choice(list((nested if rng.random() < 0.6 else calls).items()))
    wrong = tuple(rng.sample([x for x in letters if x != value], 3))
    form = rng.choice(("What is {}?", "Find {}.", "Give {}."))
    calls |= nested | {f"g({k})": v for k, v in second.items()}
    head = "\n".join(lines)
    questions = [(form.format(call), v) for call, v in calls.items() if call != text]
    rng.shuffle(questions)
    more = tuple(FollowUp(question, v, f"{head}\n{question}") for question, v in questions)
    return DrawnQuestion(
        prompt=f"{head}\n{form.format(text)}", answer=value, wrong=wrong, more=more
    )


def list_item(rng: Random) -> DrawnQuestion:
    name = rng.choice(("xs", "items", "data", "row"))
    items = rng.sample(range(1, 50), rng.randint(3, 5))
    kinds = (
        {f"{name}[{index}]": str(item) for index, item in enumerate(items)},
        {f"{name}[-{back}]": str(items[-back]) for back in (1, 2)},
        {f"len({name})": str(len(items))},
        {f"max({name})": str(max(items)), f"min({name})": str(min(items))},
    )
    target = rng.choice(list(rng.choice(kinds)))
    known = {code: value for kind in kinds for code, value in kind.items()}
    wrong = tuple(str(i) for i in rng.sample([i for i in items if str(i) != known[target]], 2))
    return program(rng, [f"{name} = {items}"], target, known, wrong)


TASKS = (
    Task(
        name="sort_list",
        domain="code",
        draw=sort_list,
        summary="three to five numbers or letters in order",
    ),
    Task(
        name="reverse_list",
        domain="code",
        draw=reverse_list,
        summary="three to six words or digits backwards",
    ),
    Task(
        name="write_function",
        domain="code",
        draw=write_function,
        summary="a small Python function from its description",
        plain=True,
    ),
    Task(
        name="follow_variables",
        domain="code",
        draw=follow_variables,
        summary="assignments over one to three hops",
    ),
    Task(
        name="evaluate_code",
        domain="code",
        draw=evaluate_code,
        summary="two or three statements, result without steps",
    ),
    Task(
        name="nested_calls",
        domain="code",
        draw=nested_calls,
        summary="look-up tables, alone or one after the other",
    ),
    Task(
        name="list_item",
        domain="code",
        draw=list_item,
        summary="index, length, extremes of a Python list",
    ),
)
