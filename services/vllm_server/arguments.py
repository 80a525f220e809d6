"""The command line of a replica, and what it means to vLLM.

Everything here is pure but for reading the environment and the model's config.json, and fetching a
model from the hub: the caller executes the result. It needs no package at all but for that: where
vLLM is missing, `__main__` can say so.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from gateway.protocol.configuration.parser import Parser
from gateway.protocol.configuration.variables import variables_problem
from gateway.protocol.model_hub import HubFailed, fetch_model, hub_name, is_hub_id

DTYPES = ("auto", "float32", "bfloat16", "float16")
CPU_KV_CACHE_GIB = 1.0
CPU_BLOCK_SIZE = 32
"""vLLM's default on a CPU, 128 tokens, would recompute up to 127 tokens of a cached prompt."""

SERVER = "vllm.entrypoints.openai.api_server"
PACKAGE = "services.vllm_server"
RACE = f"{PACKAGE}.race"

DRAFT_MAILBOX = "TIERFLOW_DRAFT_MAILBOX"
"""HOST:PORT where the engine's process takes drafts; set by `launch`."""
DRAFT_SECRET = "TIERFLOW_DRAFT_SECRET"
MIN_DRAFT_SECRET = 16
"""Characters."""
DRAFT_CERTIFICATE = "TIERFLOW_DRAFT_TLS_CERTIFICATE"
DRAFT_KEY = "TIERFLOW_DRAFT_TLS_KEY"
DRAFT_CLIENT_CA = "TIERFLOW_DRAFT_TLS_CLIENT_CA"
"""Environment variables: PEM files of TLS at the mailbox."""
DRAFT_CHOICE = "TIERFLOW_DRAFT_CHOICE"
"""How the engine's process chooses among drafts; set by `launch`."""
GOODPUT, ALL = "goodput", "all"
DRAFT_CHOICES = (GOODPUT, ALL)
STEP_WAIT = "TIERFLOW_STEP_WAIT_MS"
"""Environment variable: milliseconds that each step of the model takes at least, to measure what a
larger model would do (`step_wait`)."""
MAX_STEP_WAIT_MS = 1000.0
WORKER = "--worker-cls"
OF_SEVERAL_NODES = frozenset(
    {
        "--nnodes",
        "--node-rank",
        "--master-addr",
        "--headless",
        "--distributed-executor-backend",
        "--data-parallel-address",
        "--data-parallel-backend",
        "--data-parallel-hybrid-lb",
        "--data-parallel-external-lb",
        "--kv-transfer-config",
    }
)
"""vLLM's arguments by which processes on several machines find one another."""
OF_FETCHING = frozenset({"--revision", "--download-dir", "--load-format", "--hf-token"})
"""vLLM's arguments by which it fetches a model from the hub in a way of its own."""
MAX_DRAFT_TOKENS_PER_STEP = 64
CPU_HEADS = (32, 64, 80, 96, 112, 128, 160, 192, 224, 256, 512)
"""The sizes of a head for which vLLM has attention on a CPU. With others it starts, and ends at the
first request."""
WEIGHTS_PER_LAYER = 12
"""Of a transformer, in squares of its width: four for attention, eight for the rest."""
HIDDEN = ("hidden_size", "n_embd")
LAYERS = ("num_hidden_layers", "n_layer")
HEADS = ("num_attention_heads", "n_head")
"""By which names architectures tell their sizes in config.json."""
SMALL_WEIGHTS = 100_000_000
"""Models with fewer weights may write blanks without end where JSON allows them."""
COMPACT_JSON = {"backend": "xgrammar", "disable_any_whitespace": True}
"""vLLM takes the switch with a backend that is named, which then has no other one to fall back on
for the schemas that it lacks: larger models do without."""
ANY_BATCH = 1_000_000
"""Requests; more than any batch has."""


class ArgumentFailure(Exception):
    """An argument can't be used; one line that names it."""


@dataclass(frozen=True, kw_only=True)
class Replica:
    """A vLLM server: what it serves, and where."""

    model: str
    """A folder's path, or an id on the model hub."""
    served_model_name: str
    host: str
    port: int
    dtype: str
    max_model_len: int | None
    """Tokens; None: as many as the model and its KV cache hold."""
    kv_cache_gib: float | None
    """None: 1 GiB on a CPU, vLLM's own choice on a GPU."""
    cores: str | None
    """CPU cores for the model's threads, as in `0` or `0-3,6`; None: vLLM chooses."""
    further: tuple[str, ...]
    draft_mailbox: str | None = None
    """HOST:PORT where drafts from outside are taken; None: no speculation."""
    draft_tokens_per_step: int = 16
    draft_choice: str = GOODPUT
    draft_tls: tuple[str, str, str | None] | None = None
    """PEM files of TLS at the mailbox: certificate, key, and the authorities of its clients."""
    step_wait: bool = False
    """Whether STEP_WAIT is set, so that steps wait."""
    from_hub: bool = False
    """Whether the model's folder is in the hub's cache: vLLM may then ask the hub for more, such as
    an adapter."""


@dataclass(frozen=True, kw_only=True)
class Launch:
    """What to execute: the module to run as the server, its arguments and its environment."""

    arguments: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    """Variables to set where they are not set yet."""
    overrides: dict[str, str] = field(default_factory=dict)
    """Variables to set in any case."""
    server: str = SERVER


def parse(argv: Sequence[str], environment: Mapping[str, str] = os.environ) -> Replica:
    """Read the command line; argparse exits with code 2 for what it can't read.

    Of the environment only the mailbox's secret and the wait in steps are read, and that no
    variable is misspelt. Raises ArgumentFailure.
    """
    options = _parser().parse_args(argv)
    if problem := variables_problem(environment):
        raise ArgumentFailure(problem)
    if not 1 <= options.port <= 65535:
        raise ArgumentFailure(f"--port {options.port}: must be 1 to 65535")
    if options.kv_cache_gib is not None and not options.kv_cache_gib > 0:
        raise ArgumentFailure(f"--kv-cache-gib {options.kv_cache_gib}: must be above 0")
    return Replica(
        model=options.model,
        served_model_name=options.served_model_name or hub_name(options.model),
        host=options.host,
        port=options.port,
        dtype=options.dtype,
        max_model_len=_max_model_len(options.max_model_len),
        kv_cache_gib=options.kv_cache_gib,
        cores=options.cores,
        further=tuple(options.further),
        step_wait=_waits(environment, options.further),
        draft_tls=_draft_tls(options),
        draft_mailbox=_draft_mailbox(options.draft_mailbox, environment.get(DRAFT_SECRET, "")),
        draft_choice=options.draft_choice,
        draft_tokens_per_step=_draft_tokens_per_step(options.draft_tokens_per_step),
    )


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m services.vllm_server",
        description="Serve one model with vLLM behind the OpenAI API.",
        epilog="Arguments after -- go to vLLM as they are, and win over those chosen here.",
    )
    parser.add_argument("--model", required=True, help="a folder, or an id on the model hub")
    parser.add_argument(
        "--served-model-name", help="default: the last part of --model; empty counts as not given"
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument(
        "--dtype", choices=DTYPES, default="auto", help="auto: as in the checkpoint, float32 too"
    )
    parser.add_argument("--max-model-len", default="auto", help="tokens; auto: what fits")
    parser.add_argument("--kv-cache-gib", type=float, help="size of the KV cache")
    parser.add_argument("--cores", help="CPU cores for the model's threads, as in 0 or 0-3,6")
    parser.add_argument(
        "--draft-mailbox",
        metavar="HOST:PORT",
        help=f"verify drafts that the gateway leaves here; secret in {DRAFT_SECRET}",
    )
    for name, what in (
        ("certificate", "TLS at the mailbox: its certificate, a PEM file"),
        ("key", "the key of that certificate, a PEM file"),
        ("client-ca", "the authorities of clients' certificates, a PEM file; default: none needed"),
    ):
        parser.add_argument(f"--draft-tls-{name}", metavar="FILE", help=what)
    parser.add_argument("--draft-tokens-per-step", type=int, default=16, help="default: 16")
    parser.add_argument(
        "--draft-choice",
        choices=DRAFT_CHOICES,
        default=GOODPUT,
        help="which drafts a step verifies: those that pay under the load (the default), or all",
    )
    parser.add_argument("further", nargs="*", metavar="-- ARGUMENT", help="for vLLM")
    return parser


def _max_model_len(text: str) -> int | None:
    if text == "auto":
        return None
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise ArgumentFailure(f"--max-model-len {text}: must be auto or a number of tokens")
    return int(text)


def step_wait_ms(environment: Mapping[str, str]) -> float | None:
    """What STEP_WAIT says, milliseconds; None where it is not set. Raises ArgumentFailure."""
    text = environment.get(STEP_WAIT, "")
    if not text:
        return None
    try:
        wait_ms = float(text)
    except ValueError:
        wait_ms = math.nan
    if not 0 < wait_ms <= MAX_STEP_WAIT_MS:
        problem = f"must be milliseconds above 0, to {MAX_STEP_WAIT_MS:g}"
        raise ArgumentFailure(f"{STEP_WAIT}={text}: {problem}")
    return wait_ms


def _waits(environment: Mapping[str, str], further: Sequence[str]) -> bool:
    """Raises ArgumentFailure for a wait that can't be, or that a worker of another's would lack."""
    if step_wait_ms(environment) is None:
        return False
    if any(argument.partition("=")[0] == WORKER for argument in further):
        raise ArgumentFailure(f"{STEP_WAIT} brings a worker of its own: leave out {WORKER}")
    return True


def _draft_tls(options: argparse.Namespace) -> tuple[str, str, str | None] | None:
    """Raises ArgumentFailure."""
    certificate, key = options.draft_tls_certificate, options.draft_tls_key
    if (certificate is None) != (key is None) or (options.draft_tls_client_ca and not key):
        raise ArgumentFailure(
            "--draft-tls-certificate, --draft-tls-key: give both; --draft-tls-client-ca needs them"
        )
    if certificate is None:
        return None
    if options.draft_mailbox is None:
        raise ArgumentFailure("--draft-tls-certificate needs --draft-mailbox")
    return certificate, key, options.draft_tls_client_ca


def _draft_mailbox(address: str | None, secret: str) -> str | None:
    """The address without the brackets of IPv6. Raises ArgumentFailure."""
    if address is None:
        return None
    host, _, port = address.rpartition(":")
    if not (host and port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise ArgumentFailure(f"--draft-mailbox {address}: must be HOST:PORT, port 1 to 65535")
    if len(secret) < MIN_DRAFT_SECRET:
        raise ArgumentFailure(
            f"--draft-mailbox needs a secret: set {DRAFT_SECRET} to {MIN_DRAFT_SECRET} characters "
            "or more, the same as mailbox_secret of the gateway's pool"
        )
    return f"{host.removeprefix('[').removesuffix(']')}:{port}"


def _draft_tokens_per_step(number: int) -> int:
    if not 1 <= number <= MAX_DRAFT_TOKENS_PER_STEP:
        problem = f"must be 1 to {MAX_DRAFT_TOKENS_PER_STEP}"
        raise ArgumentFailure(f"--draft-tokens-per-step {number}: {problem}")
    return number


def fetched(replica: Replica, fetch: Callable[[str], Path] = fetch_model) -> Replica:
    """The same, with a model on the hub as the folder in the hub's cache where it lies then.

    One for which vLLM's own arguments say how it is fetched is left to vLLM. Raises
    ArgumentFailure.
    """
    chosen = {argument.partition("=")[0] for argument in replica.further}
    if not is_hub_id(replica.model) or chosen & OF_FETCHING:
        return replica
    print(f"vllm_server: looking for {replica.model} on the model hub", file=sys.stderr, flush=True)
    try:
        return replace(replica, model=str(fetch(replica.model)), from_hub=True)
    except HubFailed as failure:
        raise ArgumentFailure(f"--model {failure}") from failure


def read_config(model: str) -> dict[str, object] | None:
    """The model's config.json; None if the model is an id on the hub. Raises ArgumentFailure."""
    folder = Path(model).expanduser()
    if not folder.is_dir():
        if is_hub_id(model):
            return None
        raise ArgumentFailure(f"--model {model}: there is no such folder")
    try:
        config = json.loads((folder / "config.json").read_text())
    except FileNotFoundError as error:
        raise ArgumentFailure(f"--model {model}: the folder has no config.json") from error
    except ValueError as error:
        raise ArgumentFailure(f"--model {model}: config.json can't be read: {error}") from error
    if not isinstance(config, dict):
        raise ArgumentFailure(f"--model {model}: config.json is not a JSON object")
    return config


def launch(replica: Replica, config: dict[str, object] | None, on_cpu: bool) -> Launch:
    """What to run. `config` is the content of config.json, None for a model on the hub.

    Raises ArgumentFailure for a model that vLLM can't run on a CPU.
    """
    if on_cpu and config is not None:
        _check_heads(replica.model, config)
    arguments = [
        *("--model", replica.model),
        *("--served-model-name", replica.served_model_name),
        *("--host", replica.host),
        *("--port", str(replica.port)),
        *("--dtype", _dtype(replica.dtype, config)),
        *("--max-model-len", str(replica.max_model_len or -1)),
        "--enable-prefix-caching",
        # Without a parser vLLM refuses every request that names tools and leaves the choice open.
        *("--enable-auto-tool-choice", "--tool-call-parser", "hermes"),
        # The gateway writes one line a request; a second one here would cost time on its path.
        "--disable-uvicorn-access-log",
    ]
    environment = {
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        # A line for each series that says when it began: of no use, and half of the page.
        "PROMETHEUS_DISABLE_CREATED_SERIES": "true",
    }
    kv_cache_gib = replica.kv_cache_gib
    if config is not None and _weights(config) < SMALL_WEIGHTS:
        arguments += ["--structured-outputs-config", json.dumps(COMPACT_JSON)]
    if not _spans_nodes(replica.further):
        # Its processes would else meet at an address that other machines reach.
        environment |= {"VLLM_HOST_IP": "127.0.0.1", "GLOO_SOCKET_IFNAME": "lo"}
    if config is not None and not replica.from_hub:
        environment |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    if on_cpu:
        arguments += ["--enforce-eager", "--block-size", str(CPU_BLOCK_SIZE)]
        # A model that is not compiled still calls small compiled functions: the first answer with
        # logprobs would wait 15 s for a C++ compiler, or fail where there is none.
        environment["TORCHDYNAMO_DISABLE"] = "1"
        kv_cache_gib = kv_cache_gib or CPU_KV_CACHE_GIB
        if replica.cores is not None:
            environment["VLLM_CPU_OMP_THREADS_BIND"] = replica.cores
    if kv_cache_gib is not None:
        arguments += ["--kv-cache-memory-bytes", str(int(kv_cache_gib * 2**30))]
    if replica.draft_mailbox is None:
        if replica.step_wait:
            arguments += [WORKER, f"{PACKAGE}.step_wait_worker.StepWaitWorker"]
        return Launch(arguments=[*arguments, *replica.further], environment=environment)
    arguments += _speculation(replica.draft_tokens_per_step, replica.step_wait)
    overrides = {DRAFT_MAILBOX: replica.draft_mailbox, DRAFT_CHOICE: replica.draft_choice}
    if replica.draft_tls is not None:
        names = (DRAFT_CERTIFICATE, DRAFT_KEY, DRAFT_CLIENT_CA)
        files = zip(names, replica.draft_tls, strict=True)
        overrides |= {name: file for name, file in files if file is not None}
    return Launch(
        arguments=[*arguments, *replica.further],
        environment=environment,
        overrides=overrides,
        server=f"{RACE}.server",
    )


def _spans_nodes(further: Sequence[str]) -> bool:
    """Whether arguments for vLLM make the engine a part of one on several machines."""
    return any(argument.partition("=")[0] in OF_SEVERAL_NODES for argument in further)


def _check_heads(model: str, config: Mapping[str, object]) -> None:
    hidden, heads = _figure(config, HIDDEN), _figure(config, HEADS)
    head = _figure(config, ("head_dim",)) or (hidden // heads if hidden and heads else None)
    # Others than plain attention compute with sizes of their own.
    if head is None or head in CPU_HEADS or "kv_lora_rank" in config:
        return
    raise ArgumentFailure(
        f"--model {model}: its attention heads are of size {head}; vLLM on a CPU has attention for "
        f"{', '.join(map(str, CPU_HEADS))}"
    )


def _weights(config: Mapping[str, object]) -> float:
    """About how many weights a model has, by the figures that most architectures have in their
    config.json; infinity where they are missing."""
    vocabulary, hidden = _figure(config, ("vocab_size",)), _figure(config, HIDDEN)
    layers = _figure(config, LAYERS)
    if vocabulary is None or hidden is None or layers is None:
        return math.inf
    return vocabulary * hidden + layers * WEIGHTS_PER_LAYER * hidden**2


def _figure(config: Mapping[str, object], names: Sequence[str]) -> int | None:
    """A number of config.json, under the first of `names` that it has."""
    figures = (config.get(name) for name in names)
    return next((figure for figure in figures if isinstance(figure, int)), None)


def _dtype(dtype: str, config: dict[str, object] | None) -> str:
    """vLLM's auto turns a float32 checkpoint into a 16-bit one; ours keeps what was trained."""
    if dtype != "auto" or config is None:
        return dtype
    stored = config.get("dtype") or config.get("torch_dtype")
    return "float32" if stored == "float32" else "auto"


def _speculation(per_step: int, step_wait: bool) -> list[str]:
    """The switches by which vLLM verifies drafts that come from outside."""
    worker = "step_wait_worker.StepWaitRaceWorker" if step_wait else "worker.RaceWorker"
    speculation = {
        "method": "custom_class",
        "model": f"{RACE}.proposer.NoProposer",
        "num_speculative_tokens": per_step,
        # The same for every batch size. Without this entry vLLM would pad each prompt that its
        # cache holds with as many rows, for drafts that never come.
        "num_speculative_tokens_per_batch_size": [[1, ANY_BATCH, per_step]],
    }
    return [
        *("--scheduler-cls", f"{RACE}.scheduler.RaceScheduler"),
        *(WORKER, f"{RACE}.{worker}"),
        *("--speculative-config", json.dumps(speculation)),
    ]
