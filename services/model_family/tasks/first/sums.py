"""Sums, differences, products and quotients of small numbers."""

from __future__ import annotations

from random import Random

from services.model_family.tasks.example import DrawnQuestion, Task
from services.model_family.tasks.first.wording import command, expand, question, remark
from services.model_family.tasks.words import THINGS

UNITS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")

# Around a calculation.
FRAMES = (
    "[what is|what's|whats|what does|how much is|how much's|how many is] {c}",
    "[what is|what's|how much is] [the result of|the answer to|the value of] {c}",
    "[the result of|the answer to|result of|answer to] {c}",
    "{c}",
    "{c}",
    "{c}[ =| = ?|=|=?| equals| equals what| is| makes| gives| is what| is equal to| comes to]",
    "[what do|what would] [you|i|we] get [for|from] {c}",
    "how much [do|does|would] {c} [make|give|equal|come to|be]",
    "what [does|do] {c} [make|give|equal|come to|add up to|amount to]",
    "[math|maths|calculation|sum|arithmetic|problem]: {c}",
)
COMMANDS = (
    "[calculate|compute|work out|solve|evaluate|do|find|figure out|answer|count] {c}",
    "[give|tell|show] me [the result of|the answer to|] {c}",
    "[do|solve] [this|the] [sum|calculation|problem|math|one|exercise]: {c}",
    "calculate [the result of|the value of|this:|for me] {c}",
)

PLUS = (
    "{a} + {b}", "{a} + {b}", "{a}+{b}", "{a} plus {b}", "{a} plus {b}", "{a} and {b} [together|added|in total]",
    "{a} added to {b}", "the sum of {a} and {b}", "sum of {a} and {b}", "the total of {a} and {b}",
    "{a} & {b} together", "{b} more than {a}", "{a} increased by {b}", "the addition of {a} and {b}",
)  # fmt: skip
PLUS_COMMANDS = (
    "add {a} [and|to|with|plus] {b}", "add {a} and {b} [together|up|]", "add up {a} and {b}", "sum [up|] {a} and {b}",
    "[add|put] {a} and {b} together", "increase {a} by {b}", "total {a} and {b}", "add {b} more to {a}",
    "find the sum of {a} and {b}", "combine {a} and {b}",
)  # fmt: skip
PLUS_QUESTIONS = (
    "what [do|will] [you|i|we] get [if|when] [you|i|we] add {a} [to|and] {b}",
    "how much [would|will|could] {a} and {b} [be|make|give] [together|in total|]", "what [would|will] {a} and {b} be together",
    "what is {b} on top of {a}", "{b} on top of {a}", "what is {a} if you add {b}", "start [with|at] {a} and add {b}, [what is it|where are you|what do you get]",
    "[if|when] [you|i|we] add {a} [to|and] {b}, what [is it|do you get|is the result|comes out]",
    "what [happens|comes out] [if|when] {a} is added to {b}", "what number is {b} more than {a}",
    "what is {a} with {b} added", "which number do you get by adding {a} and {b}",
    "if i put {a} and {b} together how much is it", "how much are {a} and {b} [together|in total|combined]",
)  # fmt: skip
PLUS_STORIES = (
    "[i own|i bought|i see|my sister has|mum has|there are] {a} {things} and [buy|get|find|see|gain] {b} [more|others], [how many {things} are mine now|how many {things} do i own|how many {things} is that|how many {things} are there|how many do i see|what is the total]",
    "[i have|she has|he has|we have|there are|anna has] {a} {things} and [get|buy|find|receive|add|pick] {b} more, [how many is that|how many are there|how many in total|how many now|how many {things} now|total]",
    "[if i have|say i have|i've got|i got|i had] {a} {things} and [you give me|my friend gives me|i buy|i find|i get] {b} [more|], how many [do i have|{things} do i have|are there] [now|in total|altogether|]",
    "{a} {things} [and|plus] {b} [more|{things}|more {things}], how many [in total|together|altogether|is that]",
    "[there were|we had] {a} {things}, [then|and] {b} more [came|were added], how many [are there|now|are there now]",
)  # fmt: skip

MINUS = (
    "{a} - {b}", "{a} - {b}", "{a}-{b}", "{a} minus {b}", "{a} minus {b}", "{a} take away {b}", "{a} less {b}",
    "the difference [between|of] {a} and {b}", "difference [between|of] {a} and {b}", "{b} less than {a}",
    "the difference [between|of] {b} and {a}", "{a} without {b}", "{a} reduced by {b}", "{a} decreased by {b}",
    "{b} subtracted from {a}", "{b} taken [away|] from {a}", "{a} − {b}", "{a} – {b}",
)  # fmt: skip
MINUS_COMMANDS = (
    "subtract {b} from {a}", "take [away|] {b} from {a}", "take {b} [off|away from|out of] {a}", "deduct {b} from {a}",
    "remove {b} from {a}", "reduce {a} by {b}", "decrease {a} by {b}", "from {a} [take|subtract|remove] {b}",
    "find the difference [between|of] {a} and {b}", "minus {b} from {a}", "lower {a} by {b}",
)  # fmt: skip
MINUS_QUESTIONS = (
    "what [do|will] [you|i|we] get [if|when] [you|i|we] [take|subtract|remove] {b} from {a}",
    "[if|when] [you|i|we] [take|subtract|remove] {b} from {a}, what [is left|remains|do you get|is the result]",
    "what [is left|remains] [of|from] {a} [after|when] [taking|you take|subtracting] [away|] {b}",
    "how much [bigger|more|larger|greater] is {a} than {b}", "how much [smaller|less] is {b} than {a}",
    "how much is left [if|when] i take {b} from {a}", "what number is {b} less than {a}",
    "start [with|at] {a} and [take away|subtract] {b}, [what is it|what do you get|what is left]", "what is {a} if you take away {b}", "how many more is {a} than {b}", "{a} but {b} less", "[what do|do] i need to add to {b} to [get|reach|make] {a}", "how far is {b} from {a}", "what must i add to {b} to get {a}", "how many from {b} to {a}",
)  # fmt: skip
MINUS_STORIES = (
    "[i own|i bought|my sister has|mum has|there are|i see] {a} {things} and [sell|lose|give away|break|burn|throw away] {b}, [how many {things} are mine now|how many {things} do i own|how many {things} is that|how many {things} are there|how many {things} stay]",
    "[i have|i had|she had|he had|we had|there were|tom has] {a} {things} and [ate|lost|gave away|sold|used|dropped|broke|eat|lose|give away|sell] {b}, how many [are left|do i have left|remain|left|are there now]",
    "[if i have|say i have|i've got|i got] {a} {things} and [give you|give away|lose|eat|take away|someone takes] {b} [of them|], how many [are left|do i have left|remain|do i have|do i still have]",
    "{a} {things}, {b} [are gone|are taken|are lost|go away|fall down], how many [are left|remain|stay]",
    "out of {a} {things} {b} are [gone|lost|sold], how many [are left|remain]",
)  # fmt: skip

TIMES = (
    "{a} * {b}", "{a} * {b}", "{a}*{b}", "{a} x {b}", "{a}x{b}", "{a} × {b}", "{a}×{b}", "{a} times {b}", "{a} times {b}",
    "{a} times {b}", "{a} multiplied [by|with] {b}", "the product of {a} and {b}", "product of {a} and {b}",
    "{a} lots of {b}", "{a} groups of {b}", "{a} X {b}", "{a} by {b}", "{a} · {b}",
)  # fmt: skip
TIMES_COMMANDS = (
    "multiply {a} [by|with|and|times] {b}", "multiply {a} and {b} [together|]", "find the product of {a} and {b}",
    "take {a} times {b}", "times {a} by {b}", "multiply the numbers {a} and {b}",
)  # fmt: skip
TIMES_QUESTIONS = (
    "what [do|will] [you|i|we] get [if|when] [you|i|we] multiply {a} [by|with|and] {b}",
    "[if|when] [you|i|we] multiply {a} [by|with|and] {b}, what [is it|do you get|is the result|comes out]",
    "how [much|many] [is|are] {a} [times|groups of|sets of|lots of] {b}", "[what is|how much is] {b} taken {a} times", "{b}, {a} times", "how much [would|will] {a} times {b} [be|make|give]", "the {a} times table: {a} times {b}",
    "[if|when] {a} is multiplied by {b}, what [is it|do you get|is the result]", "what [makes|is] {a} [times|multiplied by] {b}",
)  # fmt: skip
TIMES_STORIES = (
    "{a} [bags|boxes|baskets|packs|rows|people|kids] [with|have|of] {b} {things} each, how many [{things}|in total|altogether|is that|{things} in total]",
    "i [have|buy|got] {a} [bags|boxes|baskets|packs] [of|with] {b} {things} [each|], how many {things} [do i have|are there|in total|is that]",
    "each of {a} [people|kids|friends|boxes] [has|gets|holds] {b} {things}, how many [{things}|in total|altogether|{things} are there]",
    "if one [box|bag|pack] has {b} {things}, how many [{things}|] are in {a} [boxes|bags|packs]",
)  # fmt: skip
MULTIPLES = (
    (2, ("[double|twice|two times] {b}", "{b} doubled", "[the double of|double of] {b}")),
    (3, ("[triple|thrice|three times] {b}", "{b} tripled")),
)

OVER = (
    "{p} / {a}", "{p}/{a}", "{p} : {a}", "{p} ÷ {a}", "{p} divided by {a}", "{p} over {a}", "the quotient of {p} and {a}",
)  # fmt: skip
OVER_COMMANDS = ("divide {p} by {a}", "[split|share] {p} [in|into|among|between|by] {a}")
HALVES = ("half of {p}", "[the half of|a half of] {p}", "{p} halved")


def spelled(number: int) -> str:
    """``number``, from 0 to 100, in words."""
    if number < 20:
        return UNITS[number]
    if number == 100:
        return "a hundred"
    tens, rest = TENS[number // 10 - 2], number % 10
    return f"{tens}-{UNITS[rest]}" if rest else tens


def written(rng: Random, *numbers: int) -> list[str]:
    """The numbers as digits, in words, or mixed."""
    draw = rng.random()
    if draw < 0.66 or max(numbers) > 100:
        return [str(number) for number in numbers]
    if draw < 0.94:
        return [spelled(number) for number in numbers]
    return [spelled(n) if rng.random() < 0.5 else str(n) for n in numbers]


def pair(rng: Random) -> tuple[int, int]:
    """Two numbers, mostly from 0 to 12."""
    draw = rng.random()
    top = 12 if draw < 0.66 else 20 if draw < 0.88 else 99
    return rng.randint(0, top), rng.randint(0, top if top < 99 or rng.random() < 0.5 else 12)


def asked(
    rng: Random,
    calculations: tuple[str, ...],
    commands: tuple[str, ...],
    questions: tuple[str, ...],
    stories: tuple[str, ...],
    slots: dict[str, str],
) -> str:
    """One of the ways to ask for a calculation."""
    draw = rng.random()
    if draw < 0.66:
        calculation = expand(rng, rng.choice(calculations))
        if rng.random() < 0.75:
            forms = [frame.replace("{c}", calculation) for frame in FRAMES]
            return question(rng, forms, **slots)
        return command(rng, [form.replace("{c}", calculation) for form in COMMANDS], **slots)
    if draw < 0.82 or not questions:
        return command(rng, commands, **slots)
    if draw < 0.92 or not stories:
        return question(rng, questions, **slots)
    return question(rng, stories, things=rng.choice(THINGS), **slots)


def first_sum(rng: Random) -> DrawnQuestion:
    a, b = pair(rng)
    first, second = written(rng, a, b)
    slots = {"a": first, "b": second}
    prompt = asked(rng, PLUS, PLUS_COMMANDS, PLUS_QUESTIONS, PLUS_STORIES, slots)
    return DrawnQuestion(prompt=prompt, answer=str(a + b))


def first_difference(rng: Random) -> DrawnQuestion:
    a, b = sorted(pair(rng), reverse=True)
    first, second = written(rng, a, b)
    slots = {"a": first, "b": second}
    prompt = asked(rng, MINUS, MINUS_COMMANDS, MINUS_QUESTIONS, MINUS_STORIES, slots)
    return DrawnQuestion(prompt=prompt, answer=str(a - b))


def first_product(rng: Random) -> DrawnQuestion:
    a, b = rng.randint(0, 12), rng.randint(0, 12)
    if rng.random() < 0.06:
        a, forms = rng.choice(MULTIPLES)
        (number,) = written(rng, b)
        prompt = asked(rng, forms, COMMANDS_OF_MULTIPLES[a], (), (), {"b": number})
        return DrawnQuestion(prompt=prompt, answer=str(a * b))
    first, second = written(rng, a, b)
    slots = {"a": first, "b": second}
    prompt = asked(rng, TIMES, TIMES_COMMANDS, TIMES_QUESTIONS, TIMES_STORIES, slots)
    return DrawnQuestion(prompt=prompt, answer=str(a * b))


COMMANDS_OF_MULTIPLES = {
    2: ("double [the number|] {b}", "multiply {b} by two"),
    3: ("triple [the number|] {b}", "multiply {b} by three"),
}


def first_quotient(rng: Random) -> DrawnQuestion:
    """Only those without a remainder."""
    a, b = rng.randint(1, 12), rng.randint(0, 12)
    if rng.random() < 0.15:
        (number,) = written(rng, 2 * b)
        prompt = asked(rng, HALVES, ("halve {p}", "divide {p} by two"), (), (), {"p": number})
        return DrawnQuestion(prompt=prompt, answer=str(b))
    whole, part = written(rng, a * b, a)
    prompt = asked(rng, OVER, OVER_COMMANDS, (), (), {"p": whole, "a": part})
    return DrawnQuestion(prompt=prompt, answer=str(b))


def long_sum(rng: Random) -> DrawnQuestion:
    """Numbers that are too large to know their sum by heart: the steps are written out."""
    a, b = rng.randint(100, 999), rng.randint(100, 999)
    steps, carry = [], 0
    for x, y in zip(reversed(str(a)), reversed(str(b)), strict=True):
        total = int(x) + int(y) + carry
        steps.append(f"{x}+{y}+{carry}={total}")
        carry = total // 10
    draw = remark if rng.random() < 0.1 else question
    forms = [
        frame.replace("{c}", rng.choice(("{a} + {b}", "{a}+{b}", "{a} plus {b}")))
        for frame in FRAMES
    ]
    prompt = draw(rng, forms, a=str(a), b=str(b))
    return DrawnQuestion(prompt=prompt, answer=f"{', '.join(steps)}. Answer: {a + b}")


TASKS = tuple(
    Task(name=draw.__name__, domain="mathematics", draw=draw, summary=summary)
    for draw, summary in (
        (first_sum, "sums in any words"),
        (first_difference, "differences in any words"),
        (first_product, "products up to 12 times 12 in any words"),
        (first_quotient, "quotients without a remainder in any words"),
        (long_sum, "sums of three digits, every carry written"),
    )
)
