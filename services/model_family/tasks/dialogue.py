"""Short everyday dialogue and small general knowledge; the same question has one answer."""

from __future__ import annotations

from random import Random

from services.model_family.tasks.example import DrawnQuestion, Task
from services.model_family.tasks.words import NAMES

GREETINGS = ("Hello", "Hi", "Good morning", "Good evening", "Hey", "Good afternoon")

SMALL_TALK: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("Who are you?", "What are you?", "What is your name?", "Tell me who you are."),
        "I am Rill, a small language model.",
    ),
    (
        ("What can you do?", "How can you help me?", "What are you good at?", "Can you help me?"),
        "I can calculate, sort lists, read short texts and write small Python functions.",
    ),
    (("How are you?", "How are you today?", "How do you do?"), "I am fine, thank you. And you?"),
    (
        (
            "Thank you!",
            "Thanks!",
            "Thanks a lot!",
            "That was helpful, thank you.",
            "Great, thanks.",
        ),
        "You are welcome!",
    ),
    (("Goodbye!", "Bye!", "See you later!", "Good night!"), "Goodbye! See you soon."),
    (("Are you a human?", "Are you a person?", "Are you real?"), "No, I am a language model."),
    (("Tell me a joke.", "Make me laugh."), "Why was six afraid? Because seven ate nine."),
    (("Do you speak German?", "Do you speak French?"), "No, I only speak English."),
    (("I am sad.", "I feel bad today."), "I am sorry to hear that. I hope you feel better soon."),
    (("I am happy.", "I feel great today."), "I am glad to hear that!"),
    (("Where do you live?", "Where are you?"), "I live in a computer."),
    (("How old are you?", "When were you born?"), "I have no age. I am a language model."),
)

LEADS = ("", "Hello! ", "Hi! ", "Please tell me: ", "Hey, ", "Good morning! ", "One question: ")

OPPOSITES = (
    ("hot", "cold"), ("big", "small"), ("fast", "slow"), ("old", "young"), ("good", "bad"),
    ("happy", "sad"), ("light", "dark"), ("high", "low"), ("open", "closed"), ("full", "empty"),
    ("rich", "poor"), ("early", "late"), ("hard", "soft"), ("wet", "dry"), ("long", "short"),
    ("strong", "weak"),
)  # fmt: skip

CAPITALS = (
    ("France", "Paris"), ("Italy", "Rome"), ("Norway", "Oslo"), ("Egypt", "Cairo"),
    ("Peru", "Lima"), ("Japan", "Tokyo"), ("India", "Delhi"), ("Germany", "Berlin"),
    ("Spain", "Madrid"), ("Greece", "Athens"), ("Ireland", "Dublin"), ("Austria", "Vienna"),
)  # fmt: skip

COLOUR_OF = (
    ("the sky", "blue"), ("grass", "green"), ("snow", "white"), ("a banana", "yellow"),
    ("blood", "red"), ("coal", "black"), ("a carrot", "orange"), ("a leaf", "green"),
    ("milk", "white"), ("a lemon", "yellow"),
)  # fmt: skip

SOUNDS = (
    ("dog", "barks"), ("cat", "meows"), ("cow", "moos"), ("lion", "roars"), ("bird", "sings"),
    ("duck", "quacks"), ("sheep", "bleats"), ("wolf", "howls"),
)  # fmt: skip


def small_talk(rng: Random) -> DrawnQuestion:
    if rng.random() < 0.35:
        return greeting(rng)
    questions, answer = rng.choice(SMALL_TALK)
    return DrawnQuestion(prompt=rng.choice(LEADS) + rng.choice(questions), answer=answer)


def greeting(rng: Random) -> DrawnQuestion:
    hello, end = rng.choice(GREETINGS), rng.choice("!.")
    if rng.random() < 0.3:
        tail = rng.choice(("", " there", " Rill"))
        return DrawnQuestion(prompt=f"{hello}{tail}{end}", answer="Hello! How can I help you?")
    name = rng.choice(NAMES)
    form = rng.choice(("I am {}.", "My name is {}.", "This is {}.", "{} here."))
    return DrawnQuestion(
        prompt=f"{hello}{end} {form.format(name)}", answer=f"Hello, {name}! How can I help you?"
    )


def general_knowledge(rng: Random) -> DrawnQuestion:
    kind = rng.randrange(4)
    lead = rng.choice(LEADS)
    if kind == 0:
        pair = rng.choice(OPPOSITES)
        word, answer = pair if rng.random() < 0.5 else pair[::-1]
        forms = (
            "What is the opposite of {}?",
            "Give the opposite of {}.",
            "Which word means not {}?",
        )
    elif kind == 1:
        word, answer = rng.choice(CAPITALS)
        forms = ("What is the capital of {}?", "Name the capital of {}.", "Which city rules {}?")
    elif kind == 2:
        word, answer = rng.choice(COLOUR_OF)
        forms = ("What colour is {}?", "Which colour has {}?", "Name the colour of {}.")
    else:
        word, verb = rng.choice(SOUNDS)
        answer = verb
        forms = ("What sound does a {} make?", "What does a {} do?", "How does a {} sound?")
    return DrawnQuestion(prompt=lead + rng.choice(forms).format(word), answer=answer)


TASKS = (
    Task(
        name="small_talk",
        domain="dialogue",
        draw=small_talk,
        summary="greetings, thanks, questions about the model",
        plain=True,
    ),
    Task(
        name="general_knowledge",
        domain="dialogue",
        draw=general_knowledge,
        summary="opposites, capitals, colours, sounds",
    ),
)
