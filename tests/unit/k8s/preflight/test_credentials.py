"""A kubeconfig that is not there is told as such."""

from __future__ import annotations

from pathlib import Path

import pytest

from k8s.preflight.cluster.credentials import client
from k8s.preflight.failure import UsageFailure


def test_a_kubeconfig_that_is_not_there_is_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    what_to_do = ": name one with --kubeconfig or KUBECONFIG"
    for file, named in ((None, "~/.kube/config"), (tmp_path / "none", str(tmp_path / "none"))):
        with pytest.raises(UsageFailure) as refused:
            client(file, None)
        assert str(refused.value) == f"there is no kubeconfig {named}{what_to_do}"
    monkeypatch.setenv("KUBECONFIG", "/none:/neither")
    with pytest.raises(UsageFailure, match="no kubeconfig /none, /neither"):
        client(None, None)
