"""A text with a small change: long lists with words replaced, code with a variable renamed.

Most of such an answer stands in the question already, as of the files that people have edited.
"""

from __future__ import annotations

from random import Random

from services.model_family.tasks.example import DrawnQuestion, Task
from services.model_family.tasks.first.lists import WORDS
from services.model_family.tasks.words import VARIABLES

LIST_FORMS = (
    "Replace {a} by {b} in this list: {text}",
    "Write this list again with {b} instead of {a}: {text}",
    "Change every {a} to {b}: {text}",
)
COPY_FORMS = ("Repeat this list: {text}", "Write this list again: {text}")
CODE_FORMS = (
    "Rename {a} to {b} in this code:\n{text}",
    "Rename the variable {a} to {b}:\n{text}",
    "Write this code again with {b} instead of {a}:\n{text}",
)
LINES = (
    "{x} = {n}",
    "{x} = {y} + {n}",
    "{x} = {y} * {z}",
    "{x} = max({y}, {z})",
    "{x} += {y}",
    "print({x})",
    "if {x} > {n}:\n    {x} -= {y}",
    "for {y} in range({n}):\n    {x} += {y}",
)


def edit_list(rng: Random) -> DrawnQuestion:
    """Eight to forty words, of which one is replaced wherever it stands."""
    words = rng.sample(WORDS, rng.randint(8, 40))
    if rng.random() < 0.1:
        text = ", ".join(words)
        return DrawnQuestion(prompt=rng.choice(COPY_FORMS).format(text=text), answer=text)
    old = rng.choice(words)
    new = rng.choice([word for word in WORDS if word not in words])
    share = rng.choice((0.0, 0.0, 0.05, 0.2, 0.5))
    words = [old if rng.random() < share else word for word in words]
    prompt = rng.choice(LIST_FORMS).format(a=old, b=new, text=", ".join(words))
    answer = ", ".join(new if word == old else word for word in words)
    return DrawnQuestion(prompt=prompt, answer=answer)


def edit_code(rng: Random) -> DrawnQuestion:
    """Four to fourteen statements on up to five variables, of which one gets a new name."""
    *names, new = rng.sample((*VARIABLES, *WORDS[:60]), rng.randint(3, 6))
    drawn = [
        (form, rng.choices(names, k=3), rng.randint(1, 20))
        for form in rng.choices(LINES, k=rng.randint(4, 14))
    ]
    old = rng.choice([used[0] for _, used, _ in drawn])

    def written(name: str) -> str:
        lines = []
        for form, used, number in drawn:
            x, y, z = (name if one == old else one for one in used)
            lines.append(form.format(x=x, y=y, z=z, n=number))
        return "\n".join(lines)

    prompt = rng.choice(CODE_FORMS).format(a=old, b=new, text=written(old))
    return DrawnQuestion(prompt=prompt, answer=written(new))


TASKS = (
    Task(
        name="edit_list",
        domain="code",
        draw=edit_list,
        summary="a long list with a word replaced",
    ),
    Task(
        name="edit_code",
        domain="code",
        draw=edit_code,
        summary="a piece of code with a variable renamed",
        plain=True,
    ),
)
