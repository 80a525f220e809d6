"""With the shipped family's tokenizer."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.device_agent.text import ModelFolderFailed, TextModel, TextStream
from services.model_family.chat import render
from tests.servers import SHIPPED_FAMILY

FOLDER = SHIPPED_FAMILY / "rill-device"
MODEL = TextModel(FOLDER)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\ufffd"), max_size=60)
"""Without the character that stands for broken ones: decoders, vLLM's too, wait for its rest."""
ids = st.lists(st.integers(0, MODEL.vocabulary - 1), max_size=40)


def streamed(tokens: list[int], stops: list[str], size: int = 1) -> tuple[str, str | None]:
    stream = TextStream(MODEL.tokenizer, stops)
    pieces = [stream.feed(tokens[at : at + size]) for at in range(0, len(tokens), size)]
    return "".join(pieces) + stream.finish(), stream.stopped


@given(texts, st.integers(1, 5))
def test_text_in_pieces_is_the_whole_text(text: str, size: int) -> None:
    tokens = MODEL.encode(text)
    assert streamed(tokens, [], size)[0] == MODEL.tokenizer.decode(tokens)


@settings(max_examples=300)
@given(ids, st.integers(1, 5))
def test_any_ids_have_a_text(tokens: list[int], size: int) -> None:
    text, _ = streamed(tokens, [], size)
    whole = MODEL.tokenizer.decode(tokens)
    if "\ufffd" not in whole:
        assert text == whole


@given(texts, st.lists(st.text(min_size=1, max_size=4), max_size=4), st.integers(1, 5))
def test_text_ends_before_the_first_stop_text(text: str, stops: list[str], size: int) -> None:
    tokens = MODEL.encode(text)
    whole = MODEL.tokenizer.decode(tokens)
    given_text, stopped = streamed(tokens, stops, size)
    if stopped is None:
        assert given_text == whole
        assert not any(stop in whole for stop in stops)
    else:
        assert whole.startswith(given_text + stopped)
        assert not any(stop in given_text for stop in stops)


@given(texts, st.lists(st.text(min_size=1, max_size=4), min_size=1, max_size=4))
def test_nothing_is_given_that_a_stop_text_takes_back(text: str, stops: list[str]) -> None:
    stream, given_text = TextStream(MODEL.tokenizer, stops), ""
    for token in MODEL.encode(text):
        given_text += stream.feed([token])
    final = given_text + stream.finish()
    assert final.startswith(given_text)
    assert not any(stop in final for stop in stops) or stream.stopped is None


def test_what_may_become_a_stop_text_is_held_back() -> None:
    stream = TextStream(MODEL.tokenizer, ["END."])
    assert stream.feed(MODEL.encode("the EN")) == "the "
    assert stream.feed(MODEL.encode("X")) == "ENX"
    assert stream.feed(MODEL.encode(" EN")) == " "
    assert stream.feed(MODEL.encode("D. more")) == ""
    assert stream.stopped == "END."
    assert stream.feed(MODEL.encode("more")) == ""
    assert stream.finish() == ""


messages = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["system", "user", "assistant", "tool"]),
            "content": st.text(max_size=30).map(lambda text: text.strip("\n")),
        }
    ),
    min_size=1,
    max_size=4,
)


@given(messages)
def test_the_chat_template_is_the_familys(asked: list[dict[str, str]]) -> None:
    text = render(asked, add_generation_prompt=True)  # type: ignore[arg-type]
    assert MODEL.encode_chat(asked) == MODEL.encode(text)


def test_a_template_that_refuses_is_told(tmp_path: Path) -> None:
    copy(tmp_path, "{{ raise_exception('roles must alternate') }}")
    with pytest.raises(ValueError, match="roles must alternate"):
        TextModel(tmp_path).encode_chat([{"role": "user", "content": "x"}])


def test_without_a_template_there_is_no_chat(tmp_path: Path) -> None:
    copy(tmp_path, "")
    with pytest.raises(ValueError, match="/v1/completions"):
        TextModel(tmp_path).encode_chat([{"role": "user", "content": "x"}])


def copy(folder: Path, template: str) -> None:
    for name in ("tokenizer.json", "config.json"):
        (folder / name).write_bytes((FOLDER / name).read_bytes())
    (folder / "chat_template.jinja").write_text(template)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}x{% endfor %}", "x"),
        ("{{ messages[1] | tojson }}", '{"role": "user", "content": "é <b>"}'),
        ("{% generation %}said{% endgeneration %}", "said"),
        ("{{ bos_token }}{{ eos_token }}", "<|begin|><|end|>"),
        ("{{ tools is none and documents is none }}", "True"),
        ("{{ strftime_now('%Y') | length }}", "4"),
        ("{% if enable_thinking is defined %}no{% else %}yes{% endif %}", "yes"),
    ],
)
def test_a_template_may_use_what_transformers_gives_it(
    tmp_path: Path, template: str, text: str
) -> None:
    copy(tmp_path, template)
    tokens = {"bos_token": {"content": "<|begin|>"}, "eos_token": "<|end|>", "pad_token": None}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(tokens))
    asked = [{"role": "system", "content": "s"}, {"role": "user", "content": "é <b>"}]
    assert TextModel(tmp_path).encode_chat(asked) == MODEL.encode(text)


def test_of_several_templates_the_default_one_is_taken(tmp_path: Path) -> None:
    copy(tmp_path, "")
    (tmp_path / "chat_template.jinja").unlink()
    named = [{"name": "tool_use", "template": "no"}, {"name": "default", "template": "yes"}]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": named}))
    assert TextModel(tmp_path).encode_chat([]) == MODEL.encode("yes")


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("chat_template.jinja", "{% unknown %}", "the chat template can't be read: .*unknown"),
        ("tokenizer_config.json", "{", "tokenizer_config.json can't be read"),
        ("config.json", "[]", "config.json must be a JSON object"),
        ("generation_config.json", "{", "generation_config.json can't be read"),
        ("tokenizer.json", "{}", "tokenizer.json: "),
    ],
)
def test_a_file_that_can_not_be_read_is_named(
    tmp_path: Path, file: str, content: str, reason: str
) -> None:
    copy(tmp_path, "")
    (tmp_path / file).write_text(content)
    with pytest.raises(ModelFolderFailed, match=f"--model {tmp_path}: {reason}"):
        TextModel(tmp_path)


@pytest.mark.parametrize(
    ("config", "context"),
    [
        ({"n_positions": 1024}, 1024),
        ({"text_config": {"max_position_embeddings": 512}, "vocab_size": 7}, 512),
        ({"model_type": "bloom"}, 4096),
    ],
)
def test_the_context_is_read_by_every_architectures_name(
    tmp_path: Path, config: dict[str, Any], context: int
) -> None:
    copy(tmp_path, "")
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert TextModel(tmp_path).context == context


@pytest.mark.parametrize("missing", ["tokenizer.json", "config.json"])
def test_what_the_folder_lacks_is_named(tmp_path: Path, missing: str) -> None:
    copy(tmp_path, "")
    (tmp_path / missing).unlink()
    with pytest.raises(ModelFolderFailed, match=missing):
        TextModel(tmp_path)


def test_a_folder_that_is_not_there_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(ModelFolderFailed, match="/nope: there is no such folder"):
        TextModel(tmp_path / "nope")


def test_ends_and_greedy_default_are_read_from_the_folder() -> None:
    assert MODEL.end_tokens == {2, 6}
    assert MODEL.default_temperature == 0.0
    assert MODEL.context == 2048
