from hypothesis import given
from hypothesis import strategies as st

from services.engine_simulator.engine.tokenizer import TextStream, decode, encode
from services.engine_simulator.engine.vocabulary import PIECES, VOCABULARY_SIZE, WORD_IDS
from tests.unit.services.engine_simulator.asgi_client import ask, simulator

texts = st.one_of(
    st.text(), st.lists(st.sampled_from([*WORD_IDS, ".", "\n", "ä", "🙂"])).map("".join)
)


@given(texts)
def test_decoding_gives_the_encoded_text_back(text: str) -> None:
    assert decode(encode(text)) == text


@given(texts)
def test_every_id_lies_in_the_vocabulary(text: str) -> None:
    assert all(0 <= token_id < VOCABULARY_SIZE for token_id in encode(text))


@given(texts)
def test_streaming_the_tokens_of_a_text_gives_it_whole(text: str) -> None:
    stream = TextStream()
    assert "".join([stream.push(token_id) for token_id in encode(text)]) + stream.flush() == text


@given(st.text(min_size=1))
def test_a_stream_never_shows_half_a_character(text: str) -> None:
    stream = TextStream()
    pieces = [stream.push(token_id) for token_id in encode(text)]
    assert not any("\ufffd" in piece for piece in pieces if "\ufffd" not in text)


def test_known_words_are_single_tokens_with_fixed_ids() -> None:
    assert encode(" river") == (WORD_IDS[" river"],)
    assert [PIECES[token_id] for token_id in encode("The river")] == [b"The", b" river"]
    assert len(set(WORD_IDS.values())) == len(WORD_IDS)


app = simulator("--unpaced")


@given(st.text(min_size=1, max_size=50))
def test_the_endpoints_round_trip_too(text: str) -> None:
    tokenized = ask(app, "/tokenize", {"model": "m", "prompt": text, "return_token_strs": True})
    answer = tokenized.json()
    assert answer["count"] == len(answer["tokens"]) == len(answer["token_strs"])
    back = ask(app, "/detokenize", {"model": "m", "tokens": answer["tokens"]}).json()
    assert back == {"prompt": text}


def test_the_token_count_of_messages_is_what_chat_reports() -> None:
    messages = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}]
    counted = ask(app, "/tokenize", {"model": "m", "messages": messages}).json()["count"]
    answered = ask(app, "/v1/chat/completions", {"model": "m", "messages": messages}).json()
    assert answered["usage"]["prompt_tokens"] == counted
