"""The secrets of an instance: made once, kept, and for their owner's eyes only."""

import stat
from pathlib import Path

from deploy.local.instance_secrets import instance_secrets, write_private


def test_an_instance_keeps_its_secrets_from_one_start_to_the_next(tmp_path: Path) -> None:
    first = instance_secrets(tmp_path / "8080")
    assert instance_secrets(tmp_path / "8080") == first
    assert len({first.device_token, first.mailbox, first.admin_token}) == 3
    assert {len(each) for each in (first.device_token, first.mailbox, first.admin_token)} == {64}


def test_each_device_has_a_token_of_its_own_beside_the_users(tmp_path: Path) -> None:
    secrets = instance_secrets(tmp_path, ["code", "reading"])
    assert instance_secrets(tmp_path, ["code", "reading"]) == secrets
    assert (tmp_path / "device-code.token").read_text().strip() == secrets.devices["code"]
    hashes = secrets.token_hashes
    assert list(hashes) == ["local", "code", "reading"]
    assert len(set(hashes.values())) == 3


def test_two_instances_share_no_secret(tmp_path: Path) -> None:
    one, other = instance_secrets(tmp_path / "1"), instance_secrets(tmp_path / "2")
    assert not {one.device_token, one.mailbox} & {other.device_token, other.mailbox}


def test_only_the_owner_can_read_them(tmp_path: Path) -> None:
    instance_secrets(tmp_path)
    write_private(tmp_path / "gateway.yaml", "secret: x")
    for file in tmp_path.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert (tmp_path / "gateway.yaml").read_text() == "secret: x"


def test_a_lost_secret_is_made_anew(tmp_path: Path) -> None:
    before = instance_secrets(tmp_path)
    (tmp_path / "device.token").write_text("")
    after = instance_secrets(tmp_path)
    assert after.device_token not in ("", before.device_token)
    assert after.mailbox == before.mailbox
