"""A line of Python, or a function of one line."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from services.model_family.tasks.example import DrawnQuestion, Task
from services.model_family.tasks.first.lists import WORDS
from services.model_family.tasks.first.sums import spelled
from services.model_family.tasks.first.wording import command, question
from services.model_family.tasks.words import NAMES, VARIABLES

TEXTS = (
    "hello", "Hello", "hi", "Hi", "Hello World", "hello world", "Hello, World!", "Hello, world!", "hello, world", "good morning", "Good morning", "Python", "python", "bye", "Bye", "goodbye", "yes", "no", "ok", "done",
    "I love Python", "test", "welcome", "Welcome", "good night", "thank you", "Rill", "the end", "start", "hello there", "Hi there", "my name", "abc", "hey", "good evening", "ready", "stop", "hello you", "how are you", "Hello!", "error", "success", "true",
    "I am here", "it works", "nice day", "happy birthday", "Happy New Year", "the answer", "go", "hello friend", "what", "finished", "spam", "foo", "bar",
)  # fmt: skip

LEAD_IN = (
    "[write|give me|show me|i need|make|create|type|produce|i want|generate|] [a|one|a single|a short|a simple|some|the|one short] [line|line of code|piece of code|bit of code|statement|command|snippet|program|script|one-liner|code] [of|in|with|for] [python|python code|Python|python 3] [that|to|which] ",
    "[write|give me|show me|i need|make|create|code] [python|Python|some python|a python|python code|a line of python|a python line|a python program|a python script|a python snippet|python that|one line of python|a python statement|a python one-liner|a python command] [code |][that|to|which] ",
    "[in python|python|using python|with python|in Python|Python][,|:|] [|write code to|write a line to|a line to|i want to|how to|write something to|code to] ",
)  # fmt: skip
HOW_TO = (
    "[python|Python] [code|one-liner|line|statement|loop] [for a loop that|that|which|to] {do}", "{do}[,| in] [python|Python][, how| please| code|, one line|]",
    "[how do i|how can i|how do you|how to|how would you|how could i|how does one|what is the way to|what's the code to|what is the python code to|which line of python is it to|what do i write to|what do i type to] {do} [in|with|using] [python|Python|python 3|python code]", "[in python|in Python|python][,|:|] [how do i|how can i|how to|how do you] {do}", "python [code to|to|line to|code:|script to] {do}", "{do} [in|with|using] [python|Python]", "[what's|what is] the python [for|line to|code to|command to|to] {do}",
)  # fmt: skip

PRINT = "[print|prints|output|outputs|show|shows|display|displays|write|writes|say|says|put out|puts out|print out|prints out]"
PRINTED_TEXT = (
    f"{PRINT} {{t}}", f"{PRINT} {{t}}", f"{PRINT} [the text|the words|the word|the string|the message|the sentence] {{t}}", f"{PRINT} {{t}} [on the screen|to the screen|to the console|on the console|to the terminal|once]", "[greets|greet] [with|by saying] {t}",
)  # fmt: skip
PRINTED_NUMBER = (f"{PRINT} [the number|the value|] {{n}}", f"{PRINT} the number {{n}}")
HELLO_WORLD = (
    "[write|show me|give me|what is|make|create|] [a|the|] hello world [program|script|example|line|code|] [in|for|of|with] [python|Python]", "[python|Python] hello world[| program| example| code| script| line]", "[write|show me|give me|] [hello world|a hello world] in [python|Python]", "how do i [say|write|print|do|make] hello world in python", "hello world[,|:|] [in python|python]",
)  # fmt: skip
OF_LIST = (
    ("sum", "[the sum of|the total of|the sum of all numbers in|the sum of the numbers in|the sum of the items of|the sum of the elements in|all the numbers added in]"), ("len", "[the length of|how long is|the number of items in|the size of|the number of elements in|how many items are in|the count of items in|how many elements are in]"),
    ("max", "[the maximum of|the largest number in|the biggest number in|the largest item of|the highest number of|the max of|the largest value in|the biggest of|the greatest number of]"), ("min", "[the minimum of|the smallest number in|the lowest number in|the smallest item of|the min of|the smallest value in|the least of]"), ("sorted", "[a sorted copy of|the sorted|the sorted version of]"),
)  # fmt: skip
LIST = "[the list|a list|list|my list|this list|the list called|a list called|a list named|the array|the numbers in|] {l}"
LOOPS_FROM_ZERO = (
    f"[{PRINT}|count] [the numbers|numbers|all numbers|all the numbers|every number|the integers|] [from|] 0 to {{m}}[| in a loop| with a loop| with a for loop| using a for loop| using a loop]", "[print|prints|show|shows|output|outputs] [the first {n} numbers|the first {n} numbers from 0|{n} numbers from 0|numbers below {n}|the numbers below {n}|numbers 0 up to {m}|0 through {m}|numbers from zero to {m}]", "[counts|count] from [0|zero] to {m}[| in a loop| with a for loop]", "[loops|loop] from 0 to {m} [and prints each number|printing each number|and print each number|and print it|and prints them]", "[loops|loop] over range {n} and [print|prints] [each number|it|i]",
)  # fmt: skip
LOOPS_FROM_ONE = (
    f"[{PRINT}|count] [the numbers|numbers|all numbers|all the numbers|every number|the integers|] [from|] [1|one] to {{n}}[| in a loop| with a loop| with a for loop| using a for loop| using a loop]", "[counts|count] from [1|one] to {n}[| in a loop| with a for loop| and prints it]", "[loops|loop] from 1 to {n} [and prints each number|printing each number|and print each number|and print it|and prints them]", "[print|prints|show|shows] [1 through {n}|1 up to {n}|numbers 1 up to {n}|numbers from one to {n}|every number from 1 to {n}]",
)  # fmt: skip
REPEATS = ("[print|prints|say|says|write|writes] {t} {n} times", "[repeats|repeat] {t} {n} times[| in a loop| with a for loop]")  # fmt: skip
SQUARES = (
    "[makes|make|creates|create|builds|build|give|gives|get|write|compute|computes|return|returns|] a list of [the|] squares [of the numbers|of numbers|of|of the integers|] [from|] 0 to {m}", "[makes|make|creates|create|builds|build|get|gives|] [a list of|] the squares [below|of the numbers below|of the first {n} numbers from 0 below|for range|of range|of all numbers below] {n}", "[makes|make|creates|create|use|uses|write|] a list comprehension [of|with|for|that gives|that makes] [the|] squares [from 0 to {m}|of 0 to {m}|of numbers 0 to {m}|below {n}|of range {n}|of the numbers 0 to {m}|up to {m}]", "[square|squares] [the|all|] numbers [from|] 0 to {m} [in|with|using] a list comprehension", "[the|] squares of [the numbers|numbers|] 0 to {m} [with|in|as|using] a list comprehension", "a list comprehension [for|with] the squares of 0 to {m}", "[list|compute|computes] the squares of 0 to {m} in one line",
)  # fmt: skip
SQUARES_FROM_ONE = (
    "[makes|make|creates|create|builds|build|get|write|] a list of [the|] squares [of the numbers|of numbers|of|of the integers|] [from|] 1 to {n}", "[makes|make|creates|create|use|uses|write|] a list comprehension [of|with|for|that gives|that makes] [the|] squares [from 1 to {n}|of 1 to {n}|of numbers 1 to {n}|of the numbers 1 to {n}]", "[square|squares] [the|all|] numbers [from|] 1 to {n} [in|with|using] a list comprehension",
)  # fmt: skip
ASSIGNMENTS = (
    "[set|sets|assign|assigns|store|stores|give|gives|put|puts|save|saves] {x} [to|=|equal to|to be|as] {n}", "[assign|assigns] [the value|the number|] {n} to [the variable|a variable|a variable called|a variable named|variable|] {x}", "[store|stores|put|puts|save|saves] [the number|the value|] {n} in [the variable|a variable|a variable called|a variable named|variable|] {x}", "[create|creates|make|makes|define|defines|declare|declares] [a|the] variable [called|named|] {x} [with the value|with value|equal to|that is|set to|and sets it to|and set it to|of] {n}", "[give|gives] [the variable|variable|] {x} the value {n}", "[make|makes|let|lets] {x} [equal|be|equal to] {n}",
)  # fmt: skip
TEXT_ASSIGNMENTS = ("[set|sets] [the variable|variable|] {x} to [the text|the string|] {t}", "[assign|assigns|store|stores|put|puts] [the text|the string|] {t} [to|in|into] [the variable|a variable|a variable called|variable|] {x}")  # fmt: skip
MODULES = ("math", "math", "random", "random", "os", "sys", "json", "time", "re", "datetime")
IMPORTS = (
    "[import|imports|load|loads|include|includes|use|uses|bring in|brings in] [the|] {m} [module|library|package|]", "[import|imports] {m}", "[import|imports|load|loads] [the module|the library|the package|module|library] [called|named|] {m}",
)  # fmt: skip

OF_TWO = (
    ("add", "+", "[add|adds|sum|sums] [two numbers|two values|a and b|its two arguments|two numbers a and b|two integers|2 numbers|two arguments]", "[return|returns|gives|give|calculates|compute|computes] the sum of [two numbers|a and b|two values|its arguments|2 numbers]"), ("multiply", "*", "[multiply|multiplies] [two numbers|two values|a and b|its two arguments|two numbers a and b|2 numbers]", "[return|returns|gives|give|computes] the product of [two numbers|a and b|two values|2 numbers]"), ("subtract", "-", "[subtract|subtracts] [b from a|two numbers|one number from another|two values]", "[return|returns] the difference [of|between] [two numbers|a and b]"),
)  # fmt: skip
OF_ONE = (
    ("double", "x * 2", "[double|doubles] [a number|x|its argument|its input|a value|the number|any number|the input]", "[return|returns|gives|multiplies|multiply] [twice x|twice a number|two times x|the double of a number|the double of x|x times 2|a number times two]", "[multiply|multiplies] [a number|x|its argument] by [2|two]"), ("triple", "x * 3", "[triple|triples] [a number|x|its argument|its input|a value]", "[multiply|multiplies] [a number|x|its argument] by [3|three]"), ("square", "x ** 2", "[square|squares] [a number|x|its argument|its input|a value|the number]", "[return|returns] [the square of a number|the square of x|x squared|a number squared]"),
    ("half", "x / 2", "[halve|halves] [a number|x|its argument]", "[return|returns] [half of x|half of a number]"), ("increment", "x + 1", "[add|adds] [1|one] to [a number|x|its argument|its input]", "[increment|increments|increase|increases] [a number|x|its argument] by [one|1]"), ("is_even", "x % 2 == 0", "[check|checks|tests|tells] [if|whether] [a number|x|its argument|the number] is even", "[return|returns] true if [a number|x] is even"),
)  # fmt: skip
FUNCTIONS = (
    "[write|give me|make|create|define|code|show me|i need|build|implement|] [a|a small|a short|a tiny|a simple|one] [function|python function|Python function|function in python|function in Python|python method|python def|def in python] [that|which|to] {do}", "[write|give me|make|create|define|code|show me|i need|] [a|a small|a simple|] [python|Python] function [called|named|] {name} [that|which|to] {do}", "[python|Python|in python|in Python][,|:|] [a|write a|define a|] function [that|which|to] {do}", "[define|write|make] [a function|] {name} [in python|in Python] [that|which|to] {do}", "[def|python def|function] {name} [that|which|to] {do} [in python|python]",
)  # fmt: skip


def first_line(rng: Random) -> DrawnQuestion:
    draw = rng.choices(LINES, (26, 5, 12, 12, 3, 8, 12, 7, 18))[0]
    prompt, answer = draw(rng)
    return DrawnQuestion(prompt=prompt, answer=answer)


def asked(rng: Random, forms: tuple[str, ...], **slots: str) -> str:
    """The wish for a line that does one of ``forms``."""
    do = rng.choice(forms)
    if rng.random() < 0.6:
        return command(rng, (rng.choice(LEAD_IN) + do,), **slots)
    return question(rng, (rng.choice(HOW_TO).replace("{do}", do),), **slots)


def quoted(rng: Random, text: str) -> str:
    """A text as typed: often in quotes."""
    draw = rng.random()
    return f'"{text}"' if draw < 0.2 else f"'{text}'" if draw < 0.35 else text


def some_text(rng: Random) -> str:
    draw = rng.random()
    if draw < 0.45:
        return rng.choice(TEXTS)
    if draw < 0.7:
        return rng.choice(WORDS)
    if draw < 0.85:
        return " ".join(rng.sample(WORDS, 2))
    name = rng.choice(NAMES)
    return rng.choice((name, f"hello {name}", f"Hello {name}", f"my name is {name}", f"hi {name}"))


def printed_text(rng: Random) -> tuple[str, str]:
    if rng.random() < 0.15:
        return question(rng, HELLO_WORLD), 'print("Hello, World!")'
    text = some_text(rng)
    return asked(rng, PRINTED_TEXT, t=quoted(rng, text)), f'print("{text}")'


def printed_number(rng: Random) -> tuple[str, str]:
    number = str(rng.randint(0, 100))
    return asked(rng, PRINTED_NUMBER, n=number), f"print({number})"


def of_list(rng: Random) -> tuple[str, str]:
    """Of a list that is named, or written out."""
    function, words = rng.choice(OF_LIST[: rng.choice((3, len(OF_LIST)))])
    if rng.random() < 0.4:
        name = rng.choice((*VARIABLES, "numbers", "items", "values", "data", "my_list", "nums"))
        value = shown = name
    else:
        numbers = [rng.randint(0, rng.choice((9, 20))) for _ in range(rng.randint(2, 5))]
        value = f"[{', '.join(map(str, numbers))}]"
        shown = value if rng.random() < 0.6 else value[1:-1] if rng.random() < 0.5 else f"[{','.join(map(str, numbers))}]"  # fmt: skip
    whole = f"{words} {LIST}"
    if rng.random() < 0.7:
        return asked(rng, (f"{PRINT} {whole}",), l=shown), f"print({function}({value}))"
    verbs = "[find|finds|get|gets|return|returns|give|gives|compute|computes|calculate|calculates]"
    return asked(rng, (f"{verbs} {whole}",), l=shown), f"{function}({value})"


def loop(rng: Random) -> tuple[str, str]:
    n = rng.randint(2, 20) if rng.random() < 0.8 else rng.choice((25, 30, 50, 100))
    if rng.random() < 0.5:
        forms, code = LOOPS_FROM_ZERO, f"for i in range({n}):\n    print(i)"
    else:
        forms, code = LOOPS_FROM_ONE, f"for i in range(1, {n + 1}):\n    print(i)"
    spoken = spelled(n) if n <= 20 and rng.random() < 0.15 else str(n)
    return asked(rng, forms, n=spoken, m=str(n - 1)), code


def repeated(rng: Random) -> tuple[str, str]:
    text, n = some_text(rng), rng.randint(2, 10)
    number = spelled(n) if rng.random() < 0.4 else str(n)
    code = f'for i in range({n}):\n    print("{text}")'
    return asked(rng, REPEATS, t=quoted(rng, text), n=number), code


def squares(rng: Random) -> tuple[str, str]:
    n = rng.randint(3, 20)
    if rng.random() < 0.6:
        return asked(rng, SQUARES, n=str(n), m=str(n - 1)), f"[x ** 2 for x in range({n})]"
    return asked(rng, SQUARES_FROM_ONE, n=str(n)), f"[x ** 2 for x in range(1, {n + 1})]"


def assignment(rng: Random) -> tuple[str, str]:
    name = rng.choice((*VARIABLES, "x", "x", "x", "y", "a", "n", "age", "count", "total", "score"))
    if rng.random() < 0.25:
        text = some_text(rng)
        return asked(rng, TEXT_ASSIGNMENTS, x=name, t=quoted(rng, text)), f'{name} = "{text}"'
    number = str(rng.randint(0, 100))
    return asked(rng, ASSIGNMENTS, x=name, n=number), f"{name} = {number}"


def imported(rng: Random) -> tuple[str, str]:
    name = rng.choice(MODULES)
    return asked(rng, IMPORTS, m=name), f"import {name}"


def function(rng: Random) -> tuple[str, str]:
    if rng.random() < 0.45:
        name, operator, *forms = rng.choice(OF_TWO)
        code = f"def {{}}(a, b):\n    return a {operator} b"
    else:
        name, body, *forms = rng.choice(OF_ONE)
        code = f"def {{}}(x):\n    return {body}"
    shape = rng.choice(FUNCTIONS).replace("{do}", rng.choice(forms))
    if "{name}" in shape:
        name = rng.choice((name, name, "f", "run", "compute", "solve", "calc", f"{name}_it", "g"))
    return command(rng, (shape,), name=name), code.format(name)


Line = Callable[[Random], tuple[str, str]]
LINES: tuple[Line, ...] = (
    printed_text, printed_number, of_list, loop, repeated, squares, assignment, imported, function,
)  # fmt: skip

TASKS = (
    Task(
        name="first_line",
        domain="code",
        draw=first_line,
        summary="a line of Python, or a function of one line, in any words",
        plain=True,
    ),
)
