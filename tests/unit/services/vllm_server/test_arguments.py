"""What a replica's few arguments mean to vLLM, and what is refused before it is started."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.protocol.model_hub import HubFailed
from gateway.settings.pools import MIN_SECRET
from services.vllm_server.arguments import (
    MIN_DRAFT_SECRET,
    ArgumentFailure,
    Replica,
    fetched,
    launch,
    parse,
    read_config,
)

SECRET = {"TIERFLOW_DRAFT_SECRET": "0123456789abcdef"}
BASIC = ["--model", "some/model", "--served-model-name", "small", "--port", "8101"]


def replica(*further: str) -> Replica:
    return parse([*BASIC, *further])


def value(arguments: list[str], option: str) -> str:
    """The last value of an option: the one that counts."""
    at = len(arguments) - 1 - arguments[::-1].index(option)
    return arguments[at + 1]


def test_model_name_and_address_are_passed_on() -> None:
    arguments = launch(replica("--host", "0.0.0.0"), None, on_cpu=True).arguments
    assert value(arguments, "--model") == "some/model"
    assert value(arguments, "--served-model-name") == "small"
    assert value(arguments, "--port") == "8101"
    assert value(arguments, "--host") == "0.0.0.0"


@pytest.mark.parametrize(
    ("config", "wanted", "served"),
    [
        ({"dtype": "float32"}, "auto", "float32"),
        ({"torch_dtype": "float32"}, "auto", "float32"),
        ({"dtype": "bfloat16"}, "auto", "auto"),
        ({}, "auto", "auto"),
        (None, "auto", "auto"),
        ({"dtype": "float32"}, "bfloat16", "bfloat16"),
    ],
)
def test_a_float32_checkpoint_stays_one_unless_told_otherwise(
    config: dict[str, object] | None, wanted: str, served: str
) -> None:
    arguments = launch(replica("--dtype", wanted), config, on_cpu=True).arguments
    assert value(arguments, "--dtype") == served


def test_a_gpu_gets_nothing_meant_for_cpus() -> None:
    start = launch(replica("--cores", "0"), {}, on_cpu=False)
    assert "--enforce-eager" not in start.arguments
    assert "--block-size" not in start.arguments
    assert "--kv-cache-memory-bytes" not in start.arguments
    assert not [name for name in start.environment if "CPU" in name or "DYNAMO" in name]


def test_a_cpu_gets_its_cores_and_a_bounded_cache() -> None:
    start = launch(replica("--cores", "0-3"), {}, on_cpu=True)
    assert start.environment["VLLM_CPU_OMP_THREADS_BIND"] == "0-3"
    assert value(start.arguments, "--kv-cache-memory-bytes") == str(2**30)


def test_the_cache_size_is_passed_on_wherever_it_is_given() -> None:
    for on_cpu in (True, False):
        start = launch(replica("--kv-cache-gib", "0.5"), {}, on_cpu)
        assert value(start.arguments, "--kv-cache-memory-bytes") == str(2**29)


def test_the_context_is_what_fits_unless_given() -> None:
    assert value(launch(replica(), None, True).arguments, "--max-model-len") == "-1"
    given = launch(replica("--max-model-len", "512"), None, True).arguments
    assert value(given, "--max-model-len") == "512"


def test_a_local_model_is_served_without_asking_the_hub() -> None:
    assert launch(replica(), {}, True).environment["HF_HUB_OFFLINE"] == "1"
    assert "HF_HUB_OFFLINE" not in launch(replica(), None, True).environment


def test_usage_is_never_reported() -> None:
    environment = launch(replica(), None, True).environment
    assert environment["VLLM_NO_USAGE_STATS"] == environment["DO_NOT_TRACK"] == "1"


def test_no_series_says_when_it_began() -> None:
    environment = launch(replica(), None, True).environment
    assert environment["PROMETHEUS_DISABLE_CREATED_SERIES"] == "true"


def test_further_arguments_win() -> None:
    start = launch(replica("--", "--tool-call-parser", "mistral", "--seed", "3"), {}, True)
    assert value(start.arguments, "--tool-call-parser") == "mistral"
    assert value(start.arguments, "--seed") == "3"


@pytest.mark.parametrize(
    ("further", "option"),
    [
        (["--port", "0"], "--port 0"),
        (["--kv-cache-gib", "-1"], "--kv-cache-gib -1"),
        (["--kv-cache-gib", "nan"], "--kv-cache-gib nan"),
        (["--max-model-len", "long"], "--max-model-len long"),
    ],
)
def test_a_bad_argument_is_named(further: list[str], option: str) -> None:
    with pytest.raises(ArgumentFailure, match=option):
        replica(*further)


def racing(*further: str) -> Replica:
    return parse([*BASIC, "--draft-mailbox", "127.0.0.1:9301", *further], SECRET)


def test_without_a_mailbox_nothing_of_the_race_is_loaded() -> None:
    start = launch(replica(), None, on_cpu=True)
    assert start.server == "vllm.entrypoints.openai.api_server"
    assert not [word for word in start.arguments if "race" in word or "speculative" in word]
    assert start.overrides == {}


def test_a_mailbox_brings_scheduler_worker_server_and_address() -> None:
    start = launch(racing(), None, on_cpu=True)
    assert start.server == "services.vllm_server.race.server"
    assert value(start.arguments, "--scheduler-cls").endswith(".RaceScheduler")
    assert value(start.arguments, "--worker-cls").endswith(".RaceWorker")
    assert start.overrides["TIERFLOW_DRAFT_MAILBOX"] == "127.0.0.1:9301"
    assert not [word for word in start.arguments if SECRET["TIERFLOW_DRAFT_SECRET"] in word]


def test_the_engine_is_told_how_it_chooses_among_drafts() -> None:
    told = "TIERFLOW_DRAFT_CHOICE"
    assert launch(racing(), None, on_cpu=True).overrides[told] == "goodput"
    every = launch(racing("--draft-choice", "all"), None, on_cpu=True)
    assert every.overrides[told] == "all"


def test_processes_of_one_machine_meet_on_loopback_and_those_of_several_do_not() -> None:
    alone = launch(replica(), None, on_cpu=False).environment
    assert (alone["VLLM_HOST_IP"], alone["GLOO_SOCKET_IFNAME"]) == ("127.0.0.1", "lo")
    for further in ("--nnodes=2", "--master-addr=leader", "--distributed-executor-backend=ray"):
        assert "VLLM_HOST_IP" not in launch(replica("--", further), None, on_cpu=False).environment


def test_the_files_of_tls_at_the_mailbox_go_to_the_engine_by_its_environment() -> None:
    files = ["--draft-tls-certificate", "/a.pem", "--draft-tls-key", "/a.key"]
    overrides = launch(racing(*files), None, on_cpu=True).overrides
    assert overrides["TIERFLOW_DRAFT_TLS_CERTIFICATE"] == "/a.pem"
    assert overrides["TIERFLOW_DRAFT_TLS_KEY"] == "/a.key"
    assert "TIERFLOW_DRAFT_TLS_CLIENT_CA" not in overrides
    both = launch(racing(*files, "--draft-tls-client-ca", "/ca.pem"), None, on_cpu=True).overrides
    assert both["TIERFLOW_DRAFT_TLS_CLIENT_CA"] == "/ca.pem"


def test_the_drafts_of_a_step_are_as_many_at_every_batch_size() -> None:
    start = launch(racing("--draft-tokens-per-step", "8"), None, on_cpu=True)
    speculation = json.loads(value(start.arguments, "--speculative-config"))
    assert speculation["num_speculative_tokens"] == 8
    assert speculation["num_speculative_tokens_per_batch_size"] == [[1, 1_000_000, 8]]


def test_a_wait_in_each_step_brings_a_worker_with_drafts_and_without() -> None:
    waiting = {"TIERFLOW_STEP_WAIT_MS": "25"}
    plain = launch(parse(BASIC, waiting), None, on_cpu=True)
    assert plain.server == "vllm.entrypoints.openai.api_server"
    assert value(plain.arguments, "--worker-cls").endswith("step_wait_worker.StepWaitWorker")
    mailbox = ["--draft-mailbox", "127.0.0.1:9301"]
    racing = launch(parse([*BASIC, *mailbox], SECRET | waiting), None, on_cpu=True)
    assert value(racing.arguments, "--worker-cls").endswith(".StepWaitRaceWorker")
    assert value(racing.arguments, "--scheduler-cls").endswith(".RaceScheduler")
    for without in ({}, {"TIERFLOW_STEP_WAIT_MS": ""}):
        assert "--worker-cls" not in launch(parse(BASIC, without), None, on_cpu=True).arguments


@pytest.mark.parametrize("wait", ["0", "-1", "1001", "nan", "inf", "25 ms"])
def test_a_wait_that_can_not_be_is_refused(wait: str) -> None:
    with pytest.raises(ArgumentFailure, match=f"TIERFLOW_STEP_WAIT_MS={wait}: must be millisec"):
        parse(BASIC, {"TIERFLOW_STEP_WAIT_MS": wait})


def test_a_wait_beside_a_worker_of_another_is_refused_as_that_would_not_wait() -> None:
    for further in (["--worker-cls", "a.B"], ["--worker-cls=a.B"]):
        with pytest.raises(ArgumentFailure, match="leave out --worker-cls"):
            parse([*BASIC, "--", *further], {"TIERFLOW_STEP_WAIT_MS": "12"})


@pytest.mark.parametrize(
    ("further", "secret", "complaint"),
    [
        (["--draft-mailbox", "9301"], SECRET, "--draft-mailbox 9301: must be HOST:PORT"),
        (["--draft-mailbox", "host:0"], SECRET, "--draft-mailbox host:0"),
        (["--draft-mailbox", "host:9301"], {}, "set TIERFLOW_DRAFT_SECRET to 16 characters"),
        (["--draft-mailbox", "host:9301"], {"TIERFLOW_DRAFT_SECRET": "short"}, "16 characters"),
        (["--draft-tls-certificate", "a"], SECRET, "--draft-tls-key: give both"),
        (["--draft-tls-client-ca", "a"], SECRET, "--draft-tls-client-ca needs them"),
        (
            ["--draft-tls-certificate", "a", "--draft-tls-key", "b"],
            SECRET,
            "--draft-tls-certificate needs --draft-mailbox",
        ),
        (["--draft-tokens-per-step", "65"], SECRET, "--draft-tokens-per-step 65: must be 1 to 64"),
    ],
)
def test_a_mailbox_that_can_not_be_is_refused(
    further: list[str], secret: dict[str, str], complaint: str
) -> None:
    with pytest.raises(ArgumentFailure, match=complaint):
        parse([*BASIC, *further], secret)


def test_a_mailbox_without_a_secret_ends_the_command_with_one_line() -> None:
    ended = run_server("--draft-mailbox", "127.0.0.1:9301")
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert "TIERFLOW_DRAFT_SECRET" in ended.stderr


def test_a_misspelt_variable_ends_the_command_with_the_nearest_right_name() -> None:
    ended = run_server(variables={"TIERFLOW_DRAFT_SECRT": "0123456789abcdef"})
    assert ended.returncode == 2
    assert ended.stderr == (
        "vllm_server: error: TIERFLOW_DRAFT_SECRT is no variable of Tierflow; "
        "did you mean TIERFLOW_DRAFT_SECRET?\n"
    )


def test_a_misspelt_option_ends_the_command_with_the_nearest_right_one() -> None:
    ended = run_server("--draft-mailbx", "127.0.0.1:9301")
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert "--draft-mailbx is unknown; did you mean --draft-mailbox?" in ended.stderr


def test_what_is_for_vllm_is_left_to_vllm() -> None:
    assert replica("--", "--draft-mailbx", "x").further == ("--draft-mailbx", "x")


def figures(vocabulary: int, hidden: int, layers: int) -> dict[str, object]:
    return {"vocab_size": vocabulary, "hidden_size": hidden, "num_hidden_layers": layers}


def test_a_small_model_writes_json_without_blanks_that_never_end() -> None:
    small = launch(parse(BASIC), figures(1536, 256, 8), on_cpu=True).arguments
    assert json.loads(value(small, "--structured-outputs-config")) == {
        "backend": "xgrammar",
        "disable_any_whitespace": True,
    }
    others: list[dict[str, object] | None] = [
        figures(151_936, 1024, 28),
        {"dtype": "bfloat16"},
        None,
    ]
    for config in others:
        larger = launch(parse(BASIC), config, on_cpu=True).arguments
        assert "--structured-outputs-config" not in larger


def test_a_model_on_the_hub_is_fetched_and_served_from_its_folder_by_its_own_name(
    tmp_path: Path,
) -> None:
    (tmp_path / "config.json").write_text('{"dtype": "float32"}')
    asked = parse(["--model", "owner/name", "--port", "8101", "--served-model-name", ""])
    there = fetched(asked, lambda model: tmp_path)
    made = launch(there, read_config(there.model), on_cpu=False)
    assert value(made.arguments, "--model") == str(tmp_path)
    assert value(made.arguments, "--served-model-name") == "name"
    assert value(made.arguments, "--dtype") == "float32"
    assert "HF_HUB_OFFLINE" not in made.environment, "an adapter may still be on the hub"


def test_what_the_hub_does_not_give_ends_the_command() -> None:
    def fetch(model: str) -> Path:
        raise HubFailed(f"{model}: the hub has no such model")

    with pytest.raises(ArgumentFailure, match="^--model some/model: the hub has no such model"):
        fetched(replica(), fetch)


@pytest.mark.parametrize("further", ["--revision=main", "--load-format"])
def test_a_model_that_vllm_is_told_how_to_fetch_is_left_to_it(further: str) -> None:
    left = replica("--", further)
    assert fetched(left, lambda model: Path("/elsewhere")) == left


def test_sizes_are_read_by_the_names_of_gpt2_too() -> None:
    small: dict[str, object] = {"vocab_size": 50257, "n_embd": 64, "n_layer": 2, "n_head": 2}
    assert "--structured-outputs-config" in launch(parse(BASIC), small, on_cpu=True).arguments


@pytest.mark.parametrize(
    "config",
    [
        {"hidden_size": 64, "num_attention_heads": 4},
        {"n_embd": 768, "n_head": 16},
        {"head_dim": 48},
    ],
)
def test_heads_that_a_cpu_has_no_attention_for_are_refused_before_anything_loads(
    config: dict[str, object],
) -> None:
    with pytest.raises(ArgumentFailure, match="attention heads are of size (16|48); .* 32, 64, 80"):
        launch(parse(BASIC), config, on_cpu=True)
    launch(parse(BASIC), config, on_cpu=False)
    launch(parse(BASIC), config | {"kv_lora_rank": 512}, on_cpu=True)


def test_the_config_of_a_model_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"dtype": "float32"}))
    assert read_config(str(tmp_path)) == {"dtype": "float32"}


def test_a_model_on_the_hub_has_no_config_yet() -> None:
    assert read_config("Qwen/Qwen3-0.6B") is None


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_a_folder_that_holds_no_model_ends_the_command_with_one_line(
    tmp_path: Path, content: str | None
) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    ended = run_server("--model", str(tmp_path))
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert "config.json" in ended.stderr


def test_a_folder_that_does_not_exist_ends_the_command_with_one_line(tmp_path: Path) -> None:
    ended = run_server("--model", str(tmp_path / "absent"))
    assert ended.returncode == 2
    assert (
        ended.stderr
        == f"vllm_server: error: --model {tmp_path / 'absent'}: there is no such folder\n"
    )


def run_server(
    *arguments: str, variables: Mapping[str, str] = {}
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "services.vllm_server", *BASIC, *arguments]
    environment = {key: value for key, value in os.environ.items() if key not in SECRET}
    return subprocess.run(command, capture_output=True, text=True, env={**environment, **variables})


def test_engine_and_gateway_take_secrets_of_the_same_length() -> None:
    assert MIN_DRAFT_SECRET == MIN_SECRET
