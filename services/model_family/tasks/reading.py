"""Reading: questions about a passage given in the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from services.model_family.tasks.example import DrawnQuestion, Task, follow_ups
from services.model_family.tasks.words import (
    CITIES,
    COLOURS,
    CONTAINERS,
    JOBS,
    NAMES,
    NOUNS,
    OBJECTS,
    PETS,
    ROOMS,
)

FACTS = (
    ("{} lives in {}.", "Where does {} live?", CITIES),
    ("{} works as a {}.", "What is the job of {}?", JOBS),
    ("{} has a {}.", "Which pet does {} have?", PETS),
    ("{} likes the colour {}.", "Which colour does {} like?", COLOURS),
)


def passage_fact(rng: Random) -> DrawnQuestion:
    """One look-up among three to five facts; the same person or the same relation misleads."""
    people = rng.sample(NAMES, 3)
    pairs = rng.sample([(p, f) for p in people for f in range(len(FACTS))], rng.randint(3, 5))
    values: dict[int, list[str]] = {f: rng.sample(FACTS[f][2], 3) for f in range(len(FACTS))}
    stated = [(p, f, values[f][people.index(p)]) for p, f in pairs]
    text = " ".join(FACTS[f][0].format(p, v) for p, f, v in stated)
    rng.shuffle(stated)
    (who, fact, answer), *rest = stated
    wrong = tuple(v for v in FACTS[fact][2] if v != answer)[:3]
    more = follow_ups(text, [(FACTS[f][1].format(p), v) for p, f, v in rest])
    return DrawnQuestion(
        prompt=f"{text} {FACTS[fact][1].format(who)}", answer=answer, wrong=wrong, more=more
    )


def passage_hops(rng: Random) -> DrawnQuestion:
    """Two or three hops: a friend of a friend, then that person's fact."""
    people = rng.sample(NAMES, 4)
    fact = rng.randrange(len(FACTS))
    values = rng.sample(FACTS[fact][2], 4)
    hops = rng.randint(1, 2)
    links = [f"The friend of {a} is {b}." for a, b in zip(people[:hops], people[1:], strict=False)]
    tellers = rng.sample(range(hops, 4), rng.randint(2, 4 - hops)) if hops < 3 else [hops]
    if hops not in tellers:
        tellers.append(hops)
    lines = links + [FACTS[fact][0].format(people[i], values[i]) for i in tellers]
    rng.shuffle(lines)
    who = people[0]
    for _ in range(hops):
        who = f"the friend of {who}"
    answer = values[hops]
    wrong = tuple(v for v in values if v != answer)
    text, question = " ".join(lines), FACTS[fact][1]
    pairs = [(question.format(people[i]), values[i]) for i in tellers]
    pairs += [(f"Who is the friend of {people[i]}?", people[i + 1]) for i in range(hops)]
    if hops == 2:
        pairs.append((f"Who is the friend of the friend of {people[0]}?", people[2]))
        pairs.append((question.format(f"the friend of {people[1]}"), values[2]))
    rng.shuffle(pairs)
    more = follow_ups(text, pairs)
    return DrawnQuestion(
        prompt=f"{text} {question.format(who)}", answer=answer, wrong=wrong, more=more
    )


def nested_places(rng: Random) -> DrawnQuestion:
    """Where a thing is in the end: one to three containers inside each other, shuffled."""
    thing, other = rng.sample(OBJECTS, 2)
    boxes = rng.sample(CONTAINERS, 4)
    rooms = rng.sample(ROOMS, 2)
    depth = rng.choice((1, 1, 2, 2, 3))
    path = [thing, *boxes[:depth], rooms[0]]
    lines = [f"The {a} is in the {b}." for a, b in zip(path, path[1:], strict=False)]
    lines += [f"The {other} is in the {boxes[3]}.", f"The {boxes[3]} is in the {rooms[1]}."]
    rng.shuffle(lines)
    question = rng.choice(("In which room is the {}?", "Which room holds the {}?"))
    wrong = (rooms[1], *(r for r in ROOMS if r not in rooms))[:3]
    text = " ".join(lines)
    pairs = [(question.format(holder), rooms[0]) for holder in path[1:-1]]
    pairs += [(question.format(inner), rooms[1]) for inner in (other, boxes[3])]
    pairs += [(f"What is the {a} in?", b) for a, b in zip(path, path[1:-1], strict=False)]
    pairs.append((f"What is the {other} in?", boxes[3]))
    rng.shuffle(pairs)
    more = follow_ups(text, pairs)
    return DrawnQuestion(
        prompt=f"{text} {question.format(thing)}", answer=rooms[0], wrong=wrong, more=more
    )


def track_object(rng: Random) -> DrawnQuestion:
    """People move, one of them carries a thing (after the bAbI tasks, Weston et al. 2015)."""
    carrier, other = rng.sample(NAMES, 2)
    thing = rng.choice(OBJECTS)
    where = dict.fromkeys((carrier, other), "")
    lines = []
    taken = rng.randint(1, 3)
    moves = taken + rng.randint(0, 2)
    place = ""
    for step in range(moves):
        who = carrier if step == taken - 1 else rng.choice((carrier, other))
        room = rng.choice([r for r in ROOMS if r != where[who]])
        where[who] = room
        lines.append(f"{who} {rng.choice(('went', 'moved', 'walked'))} to the {room}.")
        if step == taken - 1:
            lines.append(f"{carrier} {rng.choice(('took', 'picked up'))} the {thing}.")
    place = where[carrier]
    wrong = tuple(r for r in (where[other], *ROOMS) if r and r != place)[:3]
    text = " ".join(lines)
    pairs = [(f"Where is {who}?", room) for who, room in where.items() if room]
    pairs.append((f"Who has the {thing}?", carrier))
    rng.shuffle(pairs)
    more = follow_ups(text, pairs)
    return DrawnQuestion(
        prompt=f"{text} Where is the {thing}?", answer=place, wrong=wrong, more=more
    )


ORDERS = (
    ("taller", "tallest", "shortest"),
    ("older", "oldest", "youngest"),
    ("faster", "fastest", "slowest"),
    ("richer", "richest", "poorest"),
)


def ranking(rng: Random) -> DrawnQuestion:
    """The first or last of three or four people from neighbouring comparisons, shuffled."""
    more, most, least = rng.choice(ORDERS)
    people = rng.sample(NAMES, rng.choice((3, 3, 4)))
    lines = [f"{a} is {more} than {b}." for a, b in zip(people, people[1:], strict=False)]
    rng.shuffle(lines)
    ends = [(f"Who is the {most}?", people[0]), (f"Who is the {least}?", people[-1])]
    rng.shuffle(ends)
    (question, answer), end = ends
    wrong = tuple(p for p in people if p != answer)
    text = " ".join(lines)
    pairs = [end]
    for _ in range(3):
        upper, lower = sorted(rng.sample(range(len(people)), 2))
        a, b = rng.sample((people[upper], people[lower]), 2)
        pairs.append((f"Who is {more}, {a} or {b}?", people[upper]))
    rng.shuffle(pairs)
    return DrawnQuestion(
        prompt=f"{text} {question}", answer=answer, wrong=wrong, more=follow_ups(text, pairs)
    )


ORDINALS = ("first", "second", "third", "fourth")


def word_in_list(rng: Random) -> DrawnQuestion:
    words = rng.sample(NOUNS, rng.randint(4, 6))
    listed = " ".join(words)
    if rng.random() < 0.3:
        form = rng.choice(("Repeat these words: {}", "Copy this: {}", "Say after me: {}"))
        return DrawnQuestion(prompt=form.format(listed), answer=listed)
    (tail, answer), *rest = (word_question(rng, words, kind) for kind in rng.choices(range(4), k=6))
    wrong = tuple(w for w in words if w != answer)[:3]
    text = f"{listed}."
    return DrawnQuestion(
        prompt=f"{text} {tail}", answer=answer, wrong=wrong, more=follow_ups(text, rest)
    )


def word_question(rng: Random, words: Sequence[str], kind: int) -> tuple[str, str]:
    if kind == 0:
        index = rng.randrange(4)
        return f"Which word is {ORDINALS[index]}?", words[index]
    if kind == 1:
        return "Which word is last?", words[-1]
    if kind == 2:
        index = rng.randrange(len(words) - 1)
        return f"Which word comes after {words[index]}?", words[index + 1]
    index = rng.randrange(1, len(words))
    return f"Which word comes before {words[index]}?", words[index - 1]


TASKS = (
    Task(
        name="passage_fact",
        domain="reading",
        draw=passage_fact,
        summary="one fact out of three to five",
    ),
    Task(
        name="passage_hops",
        domain="reading",
        draw=passage_hops,
        summary="a fact about the friend of a friend",
    ),
    Task(
        name="nested_places",
        domain="reading",
        draw=nested_places,
        summary="containers up to three deep, shuffled",
    ),
    Task(
        name="track_object",
        domain="reading",
        draw=track_object,
        summary="where a carried object is in the end",
    ),
    Task(
        name="ranking",
        domain="reading",
        draw=ranking,
        summary="first or last of three or four compared people",
    ),
    Task(
        name="word_in_list",
        domain="reading",
        draw=word_in_list,
        summary="a word by its place or its neighbour, or all of them",
    ),
)
