"""What would be installed: layers of values, manifests from a file, and what can't be read."""

from pathlib import Path

import pytest

from k8s.preflight.failure import UsageFailure
from k8s.preflight.rendering import Release, merged, objects, overlay, read_manifests, render
from k8s.preflight.settings import Setting


def write_chart(folder: Path) -> Path:
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: tiny\nversion: 0.1.0\n")
    (folder / "values.yaml").write_text("size: 1\n")
    (folder / "templates" / "map.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\n"
        "  namespace: {{ .Release.Namespace }}\n"
        'data:\n  size: "{{ required "say a size" .Values.size }}"\n'
    )
    return folder


def write_helm(folder: Path, body: str) -> str:
    command = folder / "helm"
    command.write_text(f"#!/bin/sh\n{body}\n")
    command.chmod(0o755)
    return str(command)


def test_maps_of_later_files_merge_and_a_null_stays_to_remove_a_default(tmp_path: Path) -> None:
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text("pools: {edge: {replicas: 1}, cloud: {replicas: 2}}\n")
    second.write_text("pools: {edge: {gpus: 1}, cloud: null}\n")
    assert merged((first, second)) == {"pools": {"edge": {"replicas": 1, "gpus": 1}, "cloud": None}}
    assert overlay({"list": [1, 2]}, {"list": [3]}) == {"list": [3]}


def test_the_chart_is_rendered_with_the_given_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    values = tmp_path / "mine.yaml"
    values.write_text("size: 7\n")
    release = Release(
        chart=write_chart(tmp_path / "tiny"), name="demo", namespace="there", values=(values,)
    )
    (found,) = render(release)
    assert found["metadata"] == {"name": "demo", "namespace": "there"}
    assert found["data"] == {"size": "7"}


def test_a_helm_command_is_used_where_there_is_one(tmp_path: Path) -> None:
    helm = write_helm(tmp_path, 'echo "{apiVersion: v1, kind: Pod, asked: $*}"')
    chart = write_chart(tmp_path / "tiny")
    release = Release(
        chart=chart,
        name="demo",
        namespace="there",
        values=(chart / "values.yaml",),
        settings=(Setting("set-string", "size=2"),),
    )
    (found,) = render(release, helm)
    assert found["asked"] == (
        f"template demo {chart} --namespace there --include-crds "
        f"--set global.throwawaySecrets=true --values {chart}/values.yaml "
        "--set-string size=2"
    )


def test_values_that_the_chart_refuses_give_its_sentence_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    values = tmp_path / "mine.yaml"
    values.write_text("size: ''\n")
    release = Release(
        chart=write_chart(tmp_path / "tiny"), name="demo", namespace="there", values=(values,)
    )
    with pytest.raises(UsageFailure, match="does not render.*say a size") as refused:
        render(release)
    assert "\n" not in str(refused.value)
    failing = write_helm(tmp_path, "echo 'Error: say\n a size' >&2; exit 1")
    with pytest.raises(UsageFailure, match="does not render: Error: say a size"):
        render(release, failing)


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageFailure, match="--chart .*Chart.yaml"):
        render(Release(chart=tmp_path, name="demo", namespace="there", values=()))
    chart = write_chart(tmp_path / "tiny")
    with pytest.raises(UsageFailure, match="--values .*absent.yaml"):
        render(
            Release(chart=chart, name="demo", namespace="there", values=(tmp_path / "absent.yaml",))
        )
    with pytest.raises(UsageFailure, match="--manifests .*absent.yaml"):
        read_manifests(tmp_path / "absent.yaml")


def test_a_file_without_objects_leaves_nothing_to_judge(tmp_path: Path) -> None:
    file = tmp_path / "empty.yaml"
    file.write_text("---\n# nothing\n")
    with pytest.raises(UsageFailure, match="--manifests .*empty.yaml: holds no object"):
        read_manifests(file)


@pytest.mark.parametrize("text", ["a: [", "just words", "kind: Pod"])
def test_text_that_holds_no_objects_is_refused(text: str) -> None:
    with pytest.raises(UsageFailure, match="rendered"):
        objects(text, "rendered")


@pytest.mark.parametrize("by_command", [True, False])
def test_a_value_that_stands_twice_is_refused_whichever_helm_renders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_command: bool
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    file = tmp_path / "mine.yaml"
    file.write_text("pools:\n  edge: {replicas: 1}\n  edge: {replicas: 2}\nsize: 7\n")
    helm = write_helm(tmp_path, "echo '{apiVersion: v1, kind: Pod}'") if by_command else None
    chart = write_chart(tmp_path / "tiny")
    release = Release(chart=chart, name="demo", namespace="there", values=(file,))
    with pytest.raises(UsageFailure) as refused:
        render(release, helm)
    assert str(refused.value) == (
        f"--values {file}: pools.edge stands in line 2 and again in line 3; keep one"
    )


@pytest.mark.parametrize(
    "text",
    ["a: [", "- a list", "false", "day: 2026-13-45", b"a: \xff", "[" * 5000],
    ids=lambda text: str(text)[:20],
)
def test_values_that_are_no_map_are_refused_by_file(tmp_path: Path, text: str | bytes) -> None:
    file = tmp_path / "mine.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UsageFailure, match=r"mine\.yaml") as refused:
        merged((file,))
    assert "\n" not in str(refused.value)
