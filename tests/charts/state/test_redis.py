"""The bundled Redis asks for a password, which only those read that may read the Secret."""

import json

import pytest

from k8s.preflight.rendering import Object
from tests.charts.cases import rendered
from tests.charts.pods import Pod, pods

pytestmark = pytest.mark.helm
NAME = "tierflow-redis"


def redis() -> Pod:
    (found,) = [pod for pod in pods(rendered("defaults")) if pod.component == "redis"]
    return found


def secret() -> Object:
    return rendered("defaults").one("Secret", NAME)


def test_the_password_stands_neither_in_the_arguments_nor_in_the_environment() -> None:
    (container,) = redis().spec["containers"]
    assert "requirepass" not in json.dumps(container)
    assert "env" not in container
    assert secret()["stringData"]["password"] not in json.dumps(redis().spec)


def test_the_server_reads_the_password_from_the_secrets_file() -> None:
    (container,) = redis().spec["containers"]
    file = container["args"][0]
    (mount,) = [each for each in container["volumeMounts"] if each["name"] == "config"]
    (volume,) = [each for each in redis().spec["volumes"] if each["name"] == "config"]
    assert volume["secret"]["secretName"] == NAME
    (item,) = volume["secret"]["items"]
    assert file == f"{mount['mountPath']}/{item['path']}"
    content = secret()["stringData"]
    assert content[item["key"]].split() == ["requirepass", f'"{content["password"]}"']
    assert f":{content['password']}@{NAME}:6379" in content["url"]


def test_the_file_is_readable_by_the_pods_group_and_not_by_all() -> None:
    (volume,) = [each for each in redis().spec["volumes"] if each["name"] == "config"]
    assert volume["secret"]["defaultMode"] == 0o440
    assert redis().spec["securityContext"]["fsGroup"] == 65532
