from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import yaml

from deploy.reference.settings import SettingsSection, sections
from gateway.errors import ConfigError
from gateway.settings import Settings
from gateway.settings.checks.names import unserved_models
from gateway.wiring.app import gateway
from gateway.wiring.pools import fixed_states

GOOD = """
family: [rill-edge, rill-cloud]
pools:
  edge: {tier: edge, endpoints: ["http://127.0.0.1:1/"]}
"""
HASH = "ab" * 32


def drafts(more: str) -> str:
    return GOOD.replace("]}", f"], {more}}}")


def devices(more: str) -> str:
    return GOOD + f"devices: {{{more}}}"


def found(more: str) -> str:
    return GOOD + f"discovery: {{{more}}}"


def load(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "gateway.yaml"
    path.write_text(text)
    return Settings.load(path)


def test_a_file_with_pools_is_enough(tmp_path: Path) -> None:
    settings = load(tmp_path, GOOD)
    assert settings.pools["edge"].endpoints == ("http://127.0.0.1:1",)
    assert settings.listen.port == 8080
    assert settings.limits.max_body_bytes == 32 * 1024 * 1024
    assert "default" in settings.profiles


def test_a_pool_has_a_mailbox_per_endpoint_and_devices_have_tokens(tmp_path: Path) -> None:
    text = drafts('mailboxes: ["[::1]:9301"], mailbox_secret: sixteen-or-more-c')
    settings = load(tmp_path, text + f"devices: {{tokens: {{phone: {HASH}}}}}")
    assert settings.pools["edge"].mailboxes == ("[::1]:9301",)
    assert settings.devices.tokens == {"phone": HASH}
    assert "sixteen" not in repr(settings)


def test_the_environment_goes_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIERFLOW_GATEWAY_TIMEOUTS__IDLE_S", "7.5")
    monkeypatch.setenv("TIERFLOW_GATEWAY_POOLS__EDGE__API_KEY", "k-1234")
    settings = load(tmp_path, GOOD)
    assert settings.timeouts.idle_s == 7.5
    key = settings.pools["edge"].api_key
    assert key is not None and key.get_secret_value() == "k-1234"
    assert "k-1234" not in repr(settings)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("{}", "pools: list one at least, or set discovery"),
        ("pools: {}", "pools: "),
        ("[1]", "expected settings by name"),
        ("a: [", "not valid YAML"),
        (GOOD + "extra: 1", "extra: is no known name; known: listen, pools"),
        (
            GOOD.replace("tier: edge", "tier: moon"),
            "pools.edge.tier: expected 'device', 'edge' or 'cloud', got 'moon'",
        ),
        (GOOD.replace("http://127.0.0.1:1/", "ftp://x"), "pools.edge.endpoints: 'ftp://x' is not"),
        (
            GOOD.replace("//", "//ann:p4ss@"),
            "pools.edge.endpoints: a URL with a user or a password",
        ),
        (GOOD.replace("1:1/", "1:1/?key=p4ss"), "pools.edge.endpoints: a base URL ends with its"),
        (GOOD + "timeouts: {idle_s: 0}", "timeouts.idle_s: "),
        (GOOD + "log_level: loud", "log_level: "),
        (GOOD + "admin: {token: short}", "admin: token: 16 characters at least"),
        (GOOD + "admin: {token: 'ein-schönes-wort-mit-umlaut'}", "admin.token: expected letters"),
        (GOOD + f"keys: {{static: {{a: {{key: '{24 * 'é'}'}}}}}}", "keys.static.a.key: expected"),
        (drafts(r'api_key: "k-1234\n"'), "pools.edge.api_key: expected letters, digits and signs"),
        (found("api_key: 'k-1234 '"), "discovery.api_key: expected letters"),
        (devices("owners: {phone: ann}"), "devices: owners: phone is not under tokens"),
        (devices("max_work: 65"), "devices.max_work: "),
        (devices("max_answer_bytes: 10"), "devices.max_answer_bytes: "),
        (drafts('mailboxes: ["127.0.0.1"]'), "pools.edge.mailboxes: '127.0.0.1' is not host:port"),
        (drafts('mailboxes: ["p4ss@a:1"]'), "pools.edge.mailboxes: an address has no user"),
        (drafts('mailboxes: ["a:1", "b:1"]'), "mailboxes: 2 for 1 endpoints"),
        (drafts('mailboxes: ["a:1"]'), "mailbox_secret: set it to the engines' own"),
        (drafts('mailboxes: ["a:1"], mailbox_secret: short'), "mailbox_secret: 16 characters"),
        (
            devices("tokens: {phone: secret}"),
            "devices.tokens.phone: expected the form ^[0-9a-f]{64}$, got other text",
        ),
        (devices(f"tokens: {{a: {HASH}, b: {HASH}}}"), "two devices have the same token"),
        (devices(f"tokens: {{'a b': {HASH}}}"), "devices.tokens.a b"),
        (devices("lease_s: 5, heartbeat_s: 5"), "heartbeat_s: must be shorter than lease_s"),
        (devices("max_sessions: 65"), "devices.max_sessions: "),
        ("pools: {edge: {tier: edge}}", "pools.edge.endpoints: list them, or set discovery"),
        ("pools: {edge: {tier: edge, endpoints: []}}", "pools.edge.endpoints: "),
        (GOOD.replace("]}", "], hold_s: -1}"), "pools.edge.hold_s: "),
        (GOOD.replace("]}", "], probe: ping}"), "pools.edge.probe: "),
        (GOOD.replace("]}", "], probe: answers}"), "models: list what the pool serves"),
        (
            "discovery: {}\npools: {edge: {tier: edge, probe: answers, models: [m]}}",
            "probe: `answers` needs a list of `endpoints`",
        ),
        (found("mailbox_secret: short"), "discovery: mailbox_secret: 16 characters"),
        (found("resync_s: 0"), "discovery.resync_s: "),
        (found("namespaces: ['']"), "discovery.namespaces.0: "),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(tmp_path: Path, text: str, names: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert names in caught.value.message
    assert "\n" not in caught.value.message
    assert "p4ss" not in caught.value.message


LISTED = """
family: [rill-edge, rill-cloud]
pools:
  edge: {tier: edge, endpoints: ["http://127.0.0.1:1"], models: [rill-edge]}
  cloud: {tier: cloud, endpoints: ["http://127.0.0.1:2"], models: [rill-cloud]}
"""
CLOSED = """
pools: {edge: {tier: edge, endpoints: ["http://127.0.0.1:1"], probe: answers, models: [small]}}
"""
SELF_DEFINED = "If an engine serves it, list it under its pool's `models`"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            LISTED + "cascade: {stages: [{model: rill-egde}, {model: rill-cloud}]}",
            "cascade.stages.0.model: no model is called 'rill-egde'; did you mean rill-edge? "
            f"{SELF_DEFINED}",
        ),
        (
            LISTED + "cascade: {stages: [{model: tierflow-egde}, {model: tierflow-clouds}]}",
            "cascade.stages.0.model: 'tierflow-egde' is no virtual model that can stand here; did "
            "you mean tierflow-edge?; cascade.stages.1.model: 'tierflow-clouds' is no virtual "
            "model that can stand here; did you mean tierflow-cloud?",
        ),
        (
            LISTED + "collective: {aggregator: rill-clod}",
            f"collective.aggregator: no model is called 'rill-clod'; did you mean rill-cloud? "
            f"{SELF_DEFINED}",
        ),
        (
            LISTED + "collective: {aggregator: tierflow-collective}",
            "collective.aggregator: 'tierflow-collective' is no virtual model that can stand here",
        ),
        (
            LISTED + "collective: {embedding: {source: pool, model: rill-ede}}",
            f"collective.embedding.model: no model is called 'rill-ede'; did you mean rill-edge? "
            f"{SELF_DEFINED}",
        ),
        (
            CLOSED + "collective: {aggregator: large}",
            "collective.aggregator: no pool serves 'large'",
        ),
        (
            LISTED.replace("[rill-edge, rill-cloud]", "[rill-egde, rill-cloud]"),
            "family: no model is called 'rill-egde'; did you mean rill-edge?",
        ),
        (
            LISTED + f"keys: {{static: {{a: {{key: {HASH}, models: [rill-colud]}}}}}}",
            "keys.static.a.models: no model is called 'rill-colud'; did you mean rill-cloud? "
            f"{SELF_DEFINED}",
        ),
        (
            LISTED + f"devices: {{tokens: {{phone: {HASH}}}}}\n"
            "cascade: {stages: [{device: phnoe}, {model: rill-cloud}]}",
            "cascade.stages.0.device: no device is called 'phnoe'; did you mean phone?",
        ),
        (
            LISTED + f"devices: {{tokens: {{phone: {HASH}}}, owners: {{phon: ann}}}}",
            "devices: owners: phon is not under tokens; did you mean phone?",
        ),
        (
            LISTED + "collective: {template_rules: [{template: rill-judge@1, domains: [wrting]}]}",
            "collective.template_rules.0.domains: no domain is called 'wrting'; did you mean "
            "writing?",
        ),
        (
            GOOD.replace('"]}', '"], profile: defualt}'),
            "pools.edge.profile: no profile is called 'defualt'; did you mean default?",
        ),
        (
            GOOD.replace('"]}', '"], profile: fastest}'),
            "pools.edge.profile: no profile is called 'fastest'; known: default, least-loaded",
        ),
        (
            GOOD + "profiles: {mine: {picker: coin}}",
            "profiles.mine.picker: unknown name 'coin'; known: max_score, weighted_random",
        ),
        (
            GOOD + "profiles: {mine: {scorerz: [kv_use]}}",
            "profiles.mine: unknown key 'scorerz'; did you mean scorers?",
        ),
        (
            GOOD + "profiles: {mine: {filters: [healthy, room_for_contex]}}",
            "profiles.mine.filters: unknown name 'room_for_contex'; did you mean room_for_context?",
        ),
        (
            GOOD + "collective: {template_rules: [{template: rill-juge@1}]}",
            "collective.template_rules.0.template: no template is called 'rill-juge@1'; did you "
            "mean rill-judge@1?",
        ),
    ],
)
def test_a_name_that_names_nothing_stops_the_start_with_the_nearest(
    tmp_path: Path, text: str, sentence: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert caught.value.message.startswith(sentence)
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    "more",
    [
        # What engines serve beside the family is not known before they were seen.
        "cascade: {stages: [{model: other-small}, {model: other-large}]}",
        "collective: {aggregator: rill-cloud-2}",
        "cascade: {stages: [{device: any}, {model: tierflow-cloud}]}",
        "cascade: {stages: [{device: enrolled-later}, {model: rill-cloud}]}",
        f"keys: {{static: {{a: {{key: {HASH}, models: [tierflow-collective, rill-edge]}}}}}}",
        "collective: {template_rules: [{template: rill-judge@1, domains: ['w*', writing]}]}",
    ],
)
def test_names_that_may_be_right_are_left_alone(tmp_path: Path, more: str) -> None:
    load(tmp_path, LISTED + more)


def test_what_no_engine_serves_is_told_once_all_were_seen(tmp_path: Path) -> None:
    stages = "cascade: {stages: [{model: small}, {model: rill-cloud}]}"
    settings = load(tmp_path, GOOD.replace("[rill-edge", "[rill-device, rill-egde") + stages)
    served = {"rill-edge", "rill-cloud", "smalls"}
    assert unserved_models(settings, served) == [
        "cascade.stages.0.model: no engine serves 'small'; did you mean smalls?",
        "family: no engine serves 'rill-egde'; did you mean rill-edge?",
    ]
    assert unserved_models(settings, served | {"small", "rill-egde"}) == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (GOOD + "idle_s: 3", "idle_s: is no known name; did you mean timeouts.idle_s?"),
        (
            GOOD + "cascade: {stages: [{modle: a}, {model: b}]}",
            "cascade.stages.0.modle: is no known name; did you mean model?",
        ),
        (
            GOOD + "state: {redis: {url: 'redis://h', tls: {check_hostnam: true}}}",
            "state.redis.tls.check_hostnam: is no known name; did you mean check_hostname?",
        ),
        (GOOD + "timeout: {idle_s: 3}", "timeout: is no known name; did you mean timeouts?"),
        (GOOD + "timeouts: {idel_s: 3}", "timeouts.idel_s: is no known name; did you mean idle_s?"),
        (
            GOOD.replace("tier: edge", "teir: edge"),
            "pools.edge.tier: is missing; it has no default. The tier of the pool; "
            "pools.edge.teir: is no known name; did you mean tier?",
        ),
        (
            GOOD.replace("[rill-edge, rill-cloud]", "rill-edge"),
            "family: expected a list, such as [a, b], got text",
        ),
        (GOOD + "limits: 3", "limits: expected a map, such as {name: value}, got a number"),
        (
            GOOD + "limits: {max_queue: 1.5}",
            "limits.max_queue: expected a whole number, such as 3, got 1.5",
        ),
        (GOOD + "limits: {max_queue: -1}", "limits.max_queue: expected 0 or more, got -1"),
        (GOOD + "timeouts: {idle_s: 0}", "timeouts.idle_s: expected more than 0, got 0"),
        (
            GOOD + "timeouts: {idle_s: soon}",
            "timeouts.idle_s: expected a number, such as 1.5, got 'soon'",
        ),
        (
            GOOD + "state: {when_lost: ajar}",
            "state.when_lost: expected 'open' or 'closed', got 'ajar'",
        ),
        (GOOD + "listen: {port: 70000}", "listen.port: expected 65535 or less, got 70000"),
        (
            GOOD + "log_level: loud",
            "log_level: expected the form ^(debug|info|warning|error)$, got other text. The "
            "least level that is logged: debug, info, warning or error",
        ),
        (
            "pools: {edge: {tier: edge, endpoints: []}}",
            "pools.edge.endpoints: expected one or more, got nothing",
        ),
        (
            devices(f"tokens: {{'a b': {HASH}}}"),
            "devices.tokens.a b: the name must have the form ^[A-Za-z0-9]",
        ),
        (
            GOOD + "cascade: {stages: [{model: a}, {device: {x: 1}}]}",
            'cascade.stages.1.device: expected text, such as "words" or a list, such as [a, b], '
            "got a map",
        ),
        (
            GOOD + "cascade: {stages: [{model: a}]}",
            "cascade.stages: expected 2 entries or more, got 1",
        ),
        (
            GOOD + "state: {redis: {tls: {enabled: perhaps}}}",
            "state.redis.tls.enabled: expected true or false, got 'perhaps'",
        ),
    ],
)
def test_a_wrong_setting_says_what_to_write(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert sentence in caught.value.message
    assert caught.value.message.count("expected 2 entries") == ("2 entries" in sentence)
    assert "Input should" not in caught.value.message


def test_a_list_in_a_variable_that_is_no_json_says_how_to_write_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIERFLOW_GATEWAY_FAMILY", "rill-edge,rill-cloud")
    with pytest.raises(ConfigError, match="TIERFLOW_GATEWAY_FAMILY: lists and maps are written"):
        load(tmp_path, GOOD)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("collective: {prices: {edge: 2}}", "collective.prices"),
        ("cascade: {cost_per_token: {edge: 2}}", "cascade.cost_per_token"),
    ],
)
def test_a_moved_setting_says_where_it_went(tmp_path: Path, text: str, name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, GOOD + text)
    assert caught.value.message.startswith(f"{name}: set `prices` instead")
    assert "\n" not in caught.value.message


def test_a_moved_setting_in_the_environment_says_where_it_went(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIERFLOW_GATEWAY_COLLECTIVE__PRICES__EDGE", "2")
    with pytest.raises(ConfigError, match="collective.prices: set `prices` instead"):
        load(tmp_path, GOOD)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: No such file"):
        Settings.load(Path("nowhere.yaml"))


def test_pools_may_be_left_to_discovery(tmp_path: Path) -> None:
    settings = load(tmp_path, "discovery: {}\npools: {edge: {tier: edge, hold_s: 30}}")
    assert settings.pools["edge"].endpoints is None
    assert settings.discovery is not None
    assert settings.discovery.selector == {"app.kubernetes.io/part-of": "tierflow"}
    assert load(tmp_path, "discovery: {}").pools == {}


def test_secrets_of_discovery_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIERFLOW_GATEWAY_DISCOVERY__MAILBOX_SECRET", "sixteen-or-more-c")
    settings = load(tmp_path, found("namespaces: [site]"))
    assert settings.discovery is not None and settings.discovery.namespaces == ("site",)
    secret = settings.discovery.mailbox_secret
    assert secret is not None and secret.get_secret_value() == "sixteen-or-more-c"
    assert "sixteen" not in repr(settings)


def test_a_url_with_a_path_is_another_endpoint_than_its_host(tmp_path: Path) -> None:
    text = """
pools:
  one: {tier: cloud, endpoints: ["http://gateway:80/one"]}
  two: {tier: cloud, endpoints: ["http://gateway:80/two/"]}
"""
    states = fixed_states(load(tmp_path, text))
    assert [state.endpoint.id for state in states] == ["gateway:80/one", "gateway:80/two"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("text", "names"),
    [
        (found(""), "discovery: not inside a cluster (Service host/port is not set.); set"),
        (found("kubeconfig: nowhere"), "discovery.kubeconfig: nowhere is of no use"),
    ],
)
async def test_discovery_without_a_way_to_a_cluster_fails_at_start(
    tmp_path: Path, text: str, names: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    settings = load(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        async with gateway(settings):
            pass
    assert names in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("given", ["a-token-of-the-operator", None])
def test_the_admin_token_is_kept_as_its_hash_and_may_be_given_as_one(
    tmp_path: Path, given: str | None
) -> None:
    digest = hashlib.sha256(b"a-token-of-the-operator").hexdigest()
    settings = load(tmp_path, GOOD + f"admin: {{token: {given or digest}}}")
    assert settings.admin.digest == digest
    assert digest not in repr(settings) and "operator" not in repr(settings)
    assert load(tmp_path, GOOD).admin.digest is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("pools: " + "[" * 3000, "nested too deep"),
        ("? \n: 1\n", "expected settings by name"),
        ("family: [" + "1" * 5000 + "]", "is not valid YAML"),
        ("family: 2026-99-99", "is not valid YAML"),
    ],
    ids=["nested", "no name", "a huge number", "no date"],
)
def test_a_file_that_can_not_be_read_gives_one_line(
    tmp_path: Path, text: str, problem: str
) -> None:
    (tmp_path / "gateway.yaml").write_text(text)
    with pytest.raises(ConfigError) as refused:
        Settings.load(tmp_path / "gateway.yaml")
    assert problem in str(refused.value)
    assert "\n" not in str(refused.value)


WRONG_VALUES = [
    "x y",
    3,
    -1,
    1.5,
    True,
    None,
    [1],
    ["a b"],
    {"a": 1},
    {"a": {"b": 1}},
    float("inf"),
    float("nan"),
    1e300,
    10**400,
    ["a", "a"],
    [""],
]
PYDANTIC = ("Input", "instance of", "alue error", "validation", "valid")


def with_values(section: SettingsSection, value: object) -> dict[str, object]:
    """The smallest configuration with this value at every setting of a section; `<name>` is a name
    in a map."""
    config: object = {setting.name: value for setting in section.settings}
    for part in reversed(section.path.split(".") if section.path else []):
        name = "mine" if part == "<name>" else part.removesuffix("[]")
        config = {name: [config] if part.endswith("[]") else config}
    assert isinstance(config, dict)
    return config


@pytest.mark.parametrize("section", list(sections()), ids=lambda section: section.path)
def test_no_wrong_value_of_any_setting_is_told_in_pydantics_words(
    tmp_path: Path, section: SettingsSection
) -> None:
    told = 0
    for value in WRONG_VALUES:
        (tmp_path / "gateway.yaml").write_text(yaml.safe_dump(with_values(section, value)))
        try:
            Settings.load(tmp_path / "gateway.yaml")
        except ConfigError as refused:
            told += 1
            assert not any(words in refused.message for words in PYDANTIC), refused.message
            assert "\n" not in refused.message
    assert told > 3
