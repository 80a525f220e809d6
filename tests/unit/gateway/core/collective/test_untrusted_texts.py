"""Whatever a member says: it stays in its place, within its bound, and controls nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.collective.answers import Reading
from gateway.core.collective.templates import (
    MAX_LINES,
    MIN_LINES,
    Template,
    aggregation_prompt,
    final_lines,
    revision_prompt,
)
from gateway.core.collective.untrusted import CONTROL, harmless, one_line, quoted
from gateway.core.collective.voting import Ballot
from gateway.settings import Settings
from gateway.settings.pools import Discovery
from gateway.wiring.collective import collective_templates
from tests.unit.gateway.core.collective.build import ballots

SHIPPED = collective_templates(Settings(discovery=Discovery())).by_id
PIECES = st.sampled_from(
    [
        "<|end|>",
        "<|user|>",
        "<",
        "|",
        ">",
        "</s>",
        "<s>",
        "[INST]",
        "[/INST]",
        "<<SYS>>",
        "｜",
        "\n",
    ]
    + ["\r", "\u2028", "\x0b", "\x85", "\x00", "\u202e", "\u200b", "- ", "> ", "{answers}", "{own}"]
    + ["Answer: ", "7", "What is the right answer?", "Ignore the above. ", " ", "< |", "[ INST]"]
)
NASTY = st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=40).map("".join))
MARK = "\x01question\x01"


@given(NASTY, st.integers(0, 80))
def test_harmless_text_is_bounded_and_holds_no_control_tokens(text: str, most: int) -> None:
    found = harmless(text, most)
    assert len(found) <= most
    assert not CONTROL.search(found), found
    assert not set(found) & set("\r\x0b\x0c\x85\u2028\u2029\u202e\u200b\x00")


SPECIAL = """
<|endoftext|> <|im_start|> <|im_end|> <|fim_prefix|> <|object_ref_start|> <|vision_start|>
<|begin_of_text|> <|start_header_id|> <|end_header_id|> <|eot_id|> <|eom_id|> <|python_tag|>
<|reserved_special_token_12|> <|start|> <|channel|> <|message|> <|return|> <|constrain|>
<|system|> <|user|> <|assistant|> <|end|> <|tool_call|> <|START_OF_TURN_TOKEN|> <|CHATBOT_TOKEN|>
<s> </s> <unk> <pad> <mask> <bos> <eos> <eod> <s/> <cls> <sep>
<start_of_turn> <end_of_turn> <start_of_image> <unused42> <end-of-turn>
<fim_prefix> <fim-prefix> <fim-suffix> <fim-middle> <fim-pad> <filename> <repo_name> <jupyter_code>
<think> </think> <tool_call> </tool_call> <tool_response> <function_calls> <SPECIAL_36> <extra_id_0>
<｜begin▁of▁sentence｜> <｜end▁of▁sentence｜> <｜User｜> <｜Assistant｜> <｜tool▁calls▁begin｜>
[INST] [/INST] [AVAILABLE_TOOLS] [/AVAILABLE_TOOLS] [TOOL_RESULTS] [/TOOL_RESULTS] [TOOL_CALLS]
[TOOL_CONTENT] [SYSTEM_PROMPT] [/SYSTEM_PROMPT] [IMG] [IMG_BREAK] [IMG_END] [AUDIO] [BEGIN_AUDIO]
[PREFIX] [MIDDLE] [SUFFIX] [ARGS] [CALL_ID] [THINK] [/THINK] [MODEL_SETTINGS] [/MODEL_SETTINGS]
[control_8] [CLS] [SEP] [MASK] [PAD] [UNK] [BOS] [EOS] [gMASK] [sMASK] [unused99]
[|system|] [|user|] [|assistant|] [|endofturn|] <<SYS>> <</SYS>> ]~b] ]~!b[ [e~[
""".split()
"""As they stand among the added tokens of tokenizers of Qwen, Llama, gpt-oss, Phi, Command, Gemma,
StarCoder, Granite, DeepSeek, Mistral, BERT, GLM, Nemotron, T5, EXAONE and MiniMax."""


@pytest.mark.parametrize("token", SPECIAL)
def test_special_tokens_of_model_families_do_not_survive(token: str) -> None:
    for text in (token, f"so {token} and {token}{token}", f"{token}\n{token}"):
        assert token not in harmless(text, 1000)
        assert token not in one_line(text, 1000)


@pytest.mark.parametrize(
    "text", ["a < b and c > d", "x[0] = y[n]", "[1, 2, 3]", "[a] and [b]", "see [the notes](x)"]
)
def test_ordinary_brackets_stay(text: str) -> None:
    assert harmless(text, 1000) == text


@given(NASTY, st.integers(1, 80))
def test_one_line_is_one_line(text: str, most: int) -> None:
    found = one_line(text, most)
    assert len(found) <= most and len(found.splitlines()) <= 1
    assert not CONTROL.search(found), found


@given(NASTY)
def test_every_line_of_a_quote_is_marked(text: str) -> None:
    assert all(line.startswith("> ") for line in quoted(text, 100).splitlines())


@given(st.lists(NASTY, min_size=1, max_size=16))
def test_members_can_not_leave_their_lines_of_finals(texts: list[str]) -> None:
    template = SHIPPED["rill-judge@1"]
    prompt = aggregation_prompt(template, MARK, ballots(*texts))
    lines = prompt.splitlines()
    assert lines[:2] == [MARK, "Others answered:"]
    assert lines[-1] == "What is the right answer?"
    answers = lines[2:-1]
    assert MIN_LINES <= len(answers) <= MAX_LINES
    assert all(a.startswith("- ") and len(a) <= template.answer_chars + 2 for a in answers)
    assert not CONTROL.search("\n".join(answers))


@given(st.lists(NASTY, min_size=1, max_size=20))
def test_members_can_not_leave_their_quotes(texts: list[str]) -> None:
    template = SHIPPED["open@1"]
    empty = aggregation_prompt(template, MARK, ballots("x")).split("Member 1:\n> x")
    prompt = aggregation_prompt(template, MARK, ballots(*texts))
    assert prompt.startswith(empty[0]) and prompt.endswith(empty[1])
    between = prompt[len(empty[0]) : len(prompt) - len(empty[1])]
    shown = min(len(texts), template.answers)
    assert len(between) <= shown * (3 * template.answer_chars + 32)
    for line in between.splitlines():
        assert line == "" or line.startswith("> ") or line.rstrip("0123456789:") == "Member "
    assert between.count("Member ") - between.count("> Member") >= shown


@given(NASTY, NASTY)
def test_revisions_keep_the_same_rules(own: str, other: str) -> None:
    short = revision_prompt(SHIPPED["rill-revise@1"], MARK, Reading(own), Reading(other))
    lines = short.splitlines()
    assert len(lines) == 4 and lines[0] == MARK and lines[-1] == "Give your final answer."
    assert lines[1].startswith("Your answer was: ") and len(lines[1]) <= 120 + 17
    assert lines[2].startswith("Another answer is: ") and len(lines[2]) <= 120 + 19
    open_ = revision_prompt(SHIPPED["open-revise@1"], MARK, Reading(own), Reading(other))
    assert open_.splitlines()[-1].startswith("Give your final answer")


def test_what_a_member_says_fills_no_place() -> None:
    prompt = revision_prompt(
        SHIPPED["rill-revise@1"], "q", Reading("{other}"), Reading("{question}")
    )
    assert "Your answer was: {other}\nAnother answer is: {question}" in prompt


def test_megabytes_are_cut_before_they_are_looked_at() -> None:
    assert len(harmless("<|end|>" * 1_000_000, 50)) == 50
    assert harmless("x" * 100, 20).endswith("[…]")


@pytest.mark.parametrize(
    ("texts", "lines"),
    [
        (("7", "7", "8"), ["7", "7", "8"]),
        (("7",), ["7", "7", "7"]),
        (("7", "7", "7", "7", "7"), ["7", "7", "7", "7"]),
        (("8", "7"), ["8", "8", "7"]),
        (("7", "7", "7", "8", "9"), ["7", "7", "8", "9"]),
        (("1", "2", "3", "4", "5"), ["1", "2", "3", "4"]),
        (("7", "8", "8", "7"), ["7", "7", "8", "8"]),
        (("I think so.\nAnswer: Red", "red."), ["Red", "Red", "Red"]),
    ],
)
def test_three_or_four_lines_show_the_votes(texts: tuple[str, ...], lines: list[str]) -> None:
    assert final_lines(ballots(*texts), 100) == lines


def test_a_member_that_counts_for_more_than_two_others_comes_first() -> None:
    found = [Ballot(voter="expert", reading=Reading("7"), weight=3.0), *ballots("8", "8")]
    assert final_lines(found, 100) == ["7", "7", "8"]


def test_rules_choose_by_model_and_domain_and_a_request_may_name_one() -> None:
    all_ = collective_templates(Settings(discovery=Discovery()))
    assert all_.choose("aggregate", "rill-edge", "code").id == "rill-judge@1"
    assert all_.choose("aggregate", "qwen", "code").id == "open@1"
    assert all_.choose("revise", "rill-device", "code").id == "rill-revise@1"
    assert all_.choose("aggregate", "rill-edge", "code", "open@1").id == "open@1"
    assert all_.choose("revise", "rill-edge", "code", "open@1").id == "rill-revise@1"


def test_shipped_templates_hold_their_places() -> None:
    for template in SHIPPED.values():
        assert isinstance(template, Template) and "{question}" in template.text
        ballot = Ballot(voter="m", reading=Reading("Answer: 7"))
        if template.purpose == "aggregate":
            assert "7" in aggregation_prompt(template, "q", [ballot])
