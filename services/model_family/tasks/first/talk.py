"""Greetings, thanks, who the model is, and what it can do."""

from __future__ import annotations

from random import Random

from services.model_family.tasks.example import DrawnQuestion, Task
from services.model_family.tasks.first.wording import command, question, remark, table, typed
from services.model_family.tasks.words import NAMES

FORMS = table("talk")

HELLO = "Hello! How can I help you?"
NAMED_HELLO = "Hello, {}! How can I help you?"
FINE = "I am fine, thank you. And you?"
WELCOME = "You are welcome!"
GOODBYE = "Goodbye! See you soon."
WHO = "I am Rill, a small language model."
NOT_OTHER = "No, I am Rill, a small language model."
NO_HUMAN = "No, I am a language model."
ABILITY = "I can calculate, sort lists, read short texts and write small Python functions."
JOKE = "Why was six afraid? Because seven ate nine."
SORRY = "I am sorry to hear that. I hope you feel better soon."
GLAD = "I am glad to hear that!"

# Thanks and farewells are more frequent than the others.
REMARKS = (
    *(("thanks", WELCOME), ("farewells", GOODBYE)) * 2,
    ("jokes", JOKE),
    ("sad", SORRY),
    ("happy", GLAD),
)


def first_greeting(rng: Random) -> DrawnQuestion:
    draw = rng.random()
    if draw < 0.35:
        return DrawnQuestion(prompt=remark(rng, FORMS["greetings"]), answer=HELLO)
    if draw < 0.5:
        name = rng.choice(NAMES)
        prompt = remark(rng, FORMS["named_greetings"], name=typed(rng, name))
        return DrawnQuestion(prompt=prompt, answer=NAMED_HELLO.format(name))
    if draw < 0.6:
        prompt = remark(
            rng, FORMS["named_greetings"], name=typed(rng, rng.choice(FORMS["other_names"]))
        )
        return DrawnQuestion(prompt=prompt, answer=HELLO)
    if draw < 0.75:
        return DrawnQuestion(prompt=question(rng, FORMS["feelings"]), answer=FINE)
    forms, answer = rng.choice(REMARKS)
    return DrawnQuestion(prompt=remark(rng, FORMS[forms]), answer=answer)


def first_identity(rng: Random) -> DrawnQuestion:
    draw = rng.random()
    if draw < 0.6:
        return DrawnQuestion(prompt=question(rng, FORMS["identity"]), answer=WHO)
    if draw < 0.7:
        return DrawnQuestion(prompt=command(rng, FORMS["identity_commands"]), answer=WHO)
    if draw < 0.85:
        prompt = question(rng, FORMS["not_others"], other=rng.choice(FORMS["others"]))
        return DrawnQuestion(prompt=prompt, answer=NOT_OTHER)
    return DrawnQuestion(prompt=question(rng, FORMS["humans"]), answer=NO_HUMAN)


def first_ability(rng: Random) -> DrawnQuestion:
    if rng.random() < 0.8:
        return DrawnQuestion(prompt=question(rng, FORMS["abilities"]), answer=ABILITY)
    return DrawnQuestion(prompt=command(rng, FORMS["ability_commands"]), answer=ABILITY)


TASKS = tuple(
    Task(name=draw.__name__, domain="dialogue", draw=draw, summary=summary, plain=True)
    for draw, summary in (
        (first_greeting, "greetings, thanks and farewells in any words"),
        (first_identity, "who the model is, in any words"),
        (first_ability, "what the model can do, in any words"),
    )
)
