"""Code: completing, evaluating and following small Python programs, and lists."""

from __future__ import annotations

from random import Random

from services.model_family.tasks.example import Draft, Task
from services.model_family.tasks.words import LETTERS, NOUNS, VARIABLES


def sort_list(rng: Random) -> Draft:
    if rng.random() < 0.35:
        items = rng.sample(LETTERS, rng.randint(3, 5))
        order, kind = sorted(items), "letters"
    else:
        numbers = rng.sample(range(1, rng.choice((10, 10, 100))), rng.randint(3, 4))
        items, kind = [str(n) for n in numbers], "numbers"
        order = [str(n) for n in sorted(numbers)]
    down = kind == "numbers" and rng.random() < 0.4
    if down:
        order.reverse()
        form = rng.choice(("Sort from largest to smallest: {1}", "Sort these {0} downwards: {1}"))
    else:
        form = rng.choice(("Sort these {0}: {1}", "Put these {0} in order: {1}"))
    return Draft(form.format(kind, ", ".join(items)), ", ".join(order))


def reverse_list(rng: Random) -> Draft:
    if rng.random() < 0.6:
        items = rng.sample(NOUNS, rng.randint(3, 5))
        kind = "words"
    else:
        items = [str(rng.randint(0, 9)) for _ in range(rng.randint(3, 6))]
        kind = "digits"
    form = rng.choice(
        ("Reverse this list: {1}", "Write these {0} backwards: {1}", "Reverse these {0}: {1}")
    )
    return Draft(form.format(kind, ", ".join(items)), ", ".join(reversed(items)))


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


def write_function(rng: Random) -> Draft:
    name, x, n = rng.choice(FUNCTION_NAMES), rng.choice(VARIABLES), rng.randint(2, 20)
    describe, body = rng.choice(OPERATIONS if rng.random() < 0.6 else LIST_OPERATIONS)
    says, code = describe.format(x=x, n=n), body.format(x=x, n=n)
    if rng.random() < 0.5:
        form = rng.choice(
            ("Write a Python function {} that {}.", "Define a function {} in Python that {}.")
        )
        return Draft(form.format(name, says), f"def {name}({x}):\n    return {code}")
    form = rng.choice(("Complete the code:", "Complete this Python function:"))
    return Draft(f"{form}\ndef {name}({x}):\n    # {says}", f"    return {code}")


def follow_variables(rng: Random) -> Draft:
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
    code = "\n".join([*lines, *rest, f"print({target})"])
    wrong = (str(values[0] if ask_other else values[1]), str(value + 1), str(value + 2))
    return Draft(f"{what_prints(rng)}\n{code}", str(value), wrong)


def what_prints(rng: Random) -> str:
    return rng.choice(("What does this print?", "What is printed here?", "Run this code:"))


def evaluate_code(rng: Random) -> Draft:
    """Two or three statements, each using the result of the one before."""
    x, y, z = rng.sample(VARIABLES, 3)
    value = rng.randint(1, 6)
    lines = [f"{x} = {value}"]
    names = [x, y, z]
    count = rng.randint(1, 2)
    for before, after in zip(names[:count], names[1:], strict=False):
        op, amount = rng.choice("+-*"), rng.randint(1, 5)
        if op == "*":
            amount = rng.randint(2, 3)
        if op == "-" and amount > value:
            op = "+"
        value = {"+": value + amount, "-": value - amount, "*": value * amount}[op]
        lines.append(f"{after} = {before} {op} {amount}")
    code = "\n".join([*lines, f"print({names[count]})"])
    wrong = tuple(str(value + d) for d in rng.sample((1, 2, 3, 10), 3))
    return Draft(f"{what_prints(rng)}\n{code}", str(value), wrong)


def nested_calls(rng: Random) -> Draft:
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
        return Draft("\n".join([*lines, f"What are {asked}?"]), ", ".join(values))
    start = rng.choice(letters[:3])
    text, value = f"f({start})", first[start]
    if rng.random() < 0.6:
        text, value = f"g({text})", second[value]
    wrong = tuple(rng.sample([x for x in letters if x != value], 3))
    form = rng.choice(("What is {}?", "Find {}.", "Give {}."))
    return Draft("\n".join([*lines, form.format(text)]), value, wrong)


def list_item(rng: Random) -> Draft:
    name = rng.choice(("xs", "items", "data", "row"))
    items = rng.sample(range(1, 50), rng.randint(3, 5))
    kind = rng.randrange(4)
    if kind == 0:
        index = rng.randrange(len(items))
        code, value = f"{name}[{index}]", items[index]
    elif kind == 1:
        index = rng.randint(1, 2)
        code, value = f"{name}[-{index}]", items[-index]
    elif kind == 2:
        code, value = f"len({name})", len(items)
    else:
        function = rng.choice(("max", "min"))
        code, value = f"{function}({name})", max(items) if function == "max" else min(items)
    wrong = tuple(str(i) for i in rng.sample([i for i in items if i != value], 2))
    return Draft(f"{what_prints(rng)}\n{name} = {items}\nprint({code})", str(value), wrong)


TASKS = (
    Task("sort_list", "code", sort_list, "three to five numbers or letters in order"),
    Task("reverse_list", "code", reverse_list, "three to six words or digits backwards"),
    Task(
        "write_function",
        "code",
        write_function,
        "a small Python function from its description",
        True,
    ),
    Task("follow_variables", "code", follow_variables, "assignments over one to three hops"),
    Task("evaluate_code", "code", evaluate_code, "two or three statements, result without steps"),
    Task("nested_calls", "code", nested_calls, "look-up tables, alone or one after the other"),
    Task("list_item", "code", list_item, "index, length, extremes of a Python list"),
)
