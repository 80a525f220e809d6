"""Short lists to sort, and words to spell from their end."""

from __future__ import annotations

from random import Random

from services.model_family.tasks.example import DrawnQuestion, Task
from services.model_family.tasks.first.wording import command, question
from services.model_family.tasks.words import LETTERS, NOUNS, OBJECTS

WORDS = tuple(dict.fromkeys((
    *NOUNS, *OBJECTS, "cat", "dog", "apple", "water", "green", "black", "white", "happy", "small", "light", "table",
    "chair", "music", "paper", "plant", "smile", "world", "hello", "python", "model", "robot", "lemon", "tiger",
    "horse", "mouse", "sheep", "night", "morning", "summer", "winter", "garden", "orange", "yellow", "silver",
    "banana", "pear", "plum", "cow", "pig", "goat", "wolf", "lion", "bear", "duck", "car", "bus", "plane", "boat",
    "red", "blue", "pink", "gold", "milk", "egg", "cake", "salt", "sugar", "tea", "spoon", "plate", "glass", "bed",
    "wall", "roof", "floor", "room", "school", "work", "play", "game", "story", "word", "name", "time", "year", "day",
    "week", "hour", "spring", "autumn", "cold", "warm", "fast", "slow", "big", "little", "good", "bad", "love", "life",
    "hand", "foot", "head", "eye", "nose", "mouth", "friend", "mother", "father", "sister", "brother", "king", "queen",
    "forest", "desert", "island", "ocean", "beach", "mountain", "valley", "grass", "flower", "seed", "root", "rabbit",
    "paris", "london", "computer", "drawer", "stop", "level", "noon", "live", "star", "pots", "code", "test", "line",
    "zebra", "eagle", "snake", "frog", "bee", "ant", "shirt", "shoe", "coat", "dress", "watch", "money", "coin",
)))  # fmt: skip

RISING = (
    "[in order|in ascending order|ascending|from smallest to largest|from small to big|from low to high|upwards|from lowest to highest|increasingly|in increasing order|smallest first|from the smallest to the largest|by size|in the right order|into order|from least to greatest|from smallest to biggest|lowest first|low to high|smallest to largest|from the lowest up|correctly|]"
)
FALLING = (
    "[in descending order|descending|from largest to smallest|from big to small|from high to low|downwards|from highest to lowest|in decreasing order|largest first|biggest first|in reverse order of size|from greatest to least|from biggest to smallest|highest first|high to low|largest to smallest|from the largest down|with the largest first]"
)
ALPHABETICAL = (
    "[in order|alphabetically|in alphabetical order|by the alphabet|from a to z|a to z|by letter|like in a dictionary|in abc order|in the order of the alphabet|by alphabet|into alphabetical order|in dictionary order|alphabetical|]"
)
BACKWARDS = "[in reverse alphabetical order|from z to a|z to a|in descending order|descending|backwards by the alphabet|reverse alphabetically]"
VERBS = "[sort|order|arrange|put|rank|list|place|bring|line up|reorder|organize|organise|write]"
THESE = (
    "[these|the following|the|this list of|my|this|a list of|some|those|following|the given|all]"
)
ORDERED = (
    "[the|] {kind} {how}: {list}", "{how}: {list}", "{how} {list}",
    f"{VERBS} {THESE} {{kind}} {{how}}: {{list}}", f"{VERBS} {{list}} {{how}}", f"{VERBS} {THESE} {{kind}} {{how}} {{list}}", f"{VERBS} {{how}}: {{list}}", f"{VERBS} [this|this list|it|them|these|the list] {{how}}: {{list}}", f"{{list}} - {VERBS} [this|them|it|these] {{how}}",
    f"{VERBS} {THESE} {{kind}} {{list}} {{how}}", f"i have [the {{kind}}|] {{list}}, {VERBS} them {{how}}", f"here [are|is] [some {{kind}}|a list|my list|the {{kind}}]: {{list}}. {VERBS} [them|it] {{how}}", f"[take|given] [the {{kind}}|the list|] {{list}} [and|,] {VERBS} them {{how}}", f"[give|show|tell] me [these {{kind}}|the {{kind}}|this list] {{how}}: {{list}}", f"[give|show] me {{list}} {{how}}",
)  # fmt: skip
ORDERED_QUESTIONS = (
    "what [is|are|would be] {list} {how}", "what is [the right order|the correct order|the order] of {list} {how}", "how [do|would|should] you [sort|order|arrange] {list} {how}", "[how do|how would] [these|the] {kind} look {how}: {list}", "which order [is right|do they come in] {how}: {list}", "{list} {how}", "[sorted|ordered|in order] {how}: {list}", "can [these|you have these] {kind} be sorted {how}: {list}",
    "{list} [sorted|ordered|arranged] {how}", "what do you get [if|when] you sort {list} {how}", "in [what|which] order do {list} come {how}",
)  # fmt: skip
SORTING = ("sort {list}", "sort: {list}", "sort these: {list}", "sort this: {list}", "please sort {list}", "sort {kind} {list}", "order: {list}", "sort [the list|list|numbers|items]: {list}")  # fmt: skip

REVERSALS = (
    "[reverse|flip|turn around|invert|mirror|turn|back-spell] [the word|the letters of|the letters in|the string|this word:|this:|the text|the characters of|word|the following word:|the word:|] {w}", "[spell|write|say|type|read|print|put|give me|tell me|show me] [the word|] {w} [backwards|backward|in reverse|the other way round|from the end|from right to left|from back to front|reversed|from the back|the wrong way round|from last letter to first|in reverse order|from end to start|back to front]",
    "[give|tell|show] me [the reverse of|the reversed word of|the reversal of] {w}", "[write|spell|list] the letters of {w} [backwards|in reverse|in reverse order|from last to first|from the end to the start|in the opposite order]", "[reverse|flip] {w}[| letter by letter| for me]", "turn [the word|] {w} [around|round|backwards|back to front]",
    "[backwards|reverse|reversed|in reverse]: {w}", "reverse [it|this word|the following]: {w}", "take the word {w} and [reverse it|turn it around|spell it backwards|write it backwards|flip it]", "read {w} from right to left",
)  # fmt: skip
REVERSAL_QUESTIONS = (
    "[backwards|reverse|reversed] spelling of [the word|] {w}", "what [is|does] {w} [when|if] you read it [from the back|backwards|from the end|from right to left]", "[the reverse|the opposite direction|mirror image] of {w} [letter by letter|in letters]", "{w} [from the back|from back to front|from right to left|from the end]",
    "[what is|what's|whats] [the word|] {w} [backwards|backward|reversed|spelled backwards|in reverse|the other way round|from back to front|written backwards|from the end|when reversed]", "{w} [backwards|reversed|in reverse|backward|spelled backwards|back to front]", "how [do you|do i|would you|to|is] [spell|write|say|type] {w} [backwards|in reverse|from the end|from the back]", "how is {w} [spelled|written] [backwards|in reverse]",
    "what [do you get|comes out|is it|happens] [if|when] you [reverse|flip|turn around|spell|write|read] [the word|] {w}[| backwards| from the end| from right to left]", "what is the [reverse|reversal|reversed form|mirror word] of [the word|] {w}", "what word is {w} [backwards|in reverse]", "what does {w} [look like|read|become|spell|say] [backwards|reversed|in reverse|from right to left|from the end]",
    "the word {w} [backwards|reversed|in reverse] [is|=]", "how does {w} [look|read|sound] backwards", "{w} but [backwards|reversed]", "which word do you get from {w} by reversing it",
)  # fmt: skip


def listed(rng: Random, items: list[str]) -> str:
    """The items as typed: mostly with commas."""
    draw = rng.random()
    if draw < 0.66:
        text = ", ".join(items)
    elif draw < 0.78:
        text = " ".join(items)
    elif draw < 0.86:
        text = ",".join(items)
    else:
        text = f"{', '.join(items[:-1])} and {items[-1]}"
    return f"[{text}]" if draw < 0.05 else text


def first_sort(rng: Random) -> DrawnQuestion:
    draw, count = rng.random(), rng.randint(3, 5)
    if draw < 0.6:
        kinds = ("numbers", "numbers", "numbers", "values", "integers", "items", "digits", "figures")
        numbers = rng.sample(range(rng.choice((0, 1)), rng.choice((10, 20, 100, 100))), count)
        items, order = [str(n) for n in numbers], [str(n) for n in sorted(numbers)]
    elif draw < 0.75:
        kinds = ("letters", "letters", "letters", "characters", "items")
        items = rng.sample(LETTERS, count)
        order = sorted(items)
    else:
        kinds = ("words", "words", "words", "things", "items", "nouns", "names")
        items = rng.sample(WORDS if rng.random() < 0.5 else (*NOUNS, "cat", "dog", "apple"), count)
        order = sorted(items)
    falling = rng.random() < 0.2
    if draw < 0.6:
        how = FALLING if falling else RISING
    else:
        how = BACKWARDS if falling else ALPHABETICAL
    slots = {"kind": rng.choice(kinds), "list": listed(rng, items)}
    if falling:
        order.reverse()
    elif rng.random() < 0.2:
        return DrawnQuestion(prompt=command(rng, SORTING, **slots), answer=", ".join(order))
    if rng.random() < 0.7:
        form = rng.choice(ORDERED).replace("{how}", how)
        return DrawnQuestion(prompt=command(rng, (form,), **slots), answer=", ".join(order))
    form = rng.choice(ORDERED_QUESTIONS).replace("{how}", how)
    return DrawnQuestion(prompt=question(rng, (form,), **slots), answer=", ".join(order))


def first_reversal(rng: Random) -> DrawnQuestion:
    word = rng.choice(WORDS)
    draw = rng.random()
    as_typed = f'"{word}"' if draw < 0.15 else f"'{word}'" if draw < 0.3 else word
    if draw > 0.92:
        as_typed = word.capitalize() if draw > 0.96 else word.upper()
    if rng.random() < 0.65:
        return DrawnQuestion(prompt=command(rng, REVERSALS, w=as_typed), answer=word[::-1])
    return DrawnQuestion(prompt=question(rng, REVERSAL_QUESTIONS, w=as_typed), answer=word[::-1])


TASKS = (
    Task(
        name="first_sort",
        domain="code",
        draw=first_sort,
        summary="three to five numbers, letters or words in order, in any words",
    ),
    Task(
        name="first_reversal",
        domain="code",
        draw=first_reversal,
        summary="a word from its end, in any words",
    ),
)
