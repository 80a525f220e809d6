import json
import struct
from pathlib import Path

from loadtest.collective.cost import Cost
from loadtest.measure.chat import Reply


def test_every_sample_of_self_moa_is_paid_for(tmp_path: Path) -> None:
    for name, size in (("small", 1), ("large", 4)):
        (tmp_path / name).mkdir()
        header = json.dumps({"w": {"shape": [size], "dtype": "F32"}}).encode()
        (tmp_path / name / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    family = {"edge": tmp_path / "small", "cloud": tmp_path / "large"}
    price = Cost(family, {"a": tmp_path / "small"}).sampling("a", 2)
    members = [{"device": "sample-1", "tokens": 8}, {"device": "sample-2", "tokens": 8}]
    report = {"members": members, "decided_by": "agreement", "aggregator": None}
    assert (
        price(Reply(status=200, text="", tokens=16, seconds=0.1, tierflow={"collective": report}))
        == 4.0
    )
