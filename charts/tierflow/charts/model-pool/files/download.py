"""Fetch models from the hub into a folder that replicas may share.

python3 download.py FOLDER, with a JSON list of {id, revision, folder} in TIERFLOW_DOWNLOADS and a
JSON list of patterns to leave out in TIERFLOW_EXCLUDE. Each lands in FOLDER/folder, which appears
only when it is complete. A download that was cut off goes on where it stopped; of several replicas
one downloads and the others wait for it. Exit code 1 and one line when that can't be done.
"""

import fcntl
import json
import os
import sys
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def alone(lock):
    """Wait until no other replica holds the lock, a file. It ends with the process that has it."""
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            # Some network file systems have no locks. The hub's client takes its own for each file.
            print(f"download: no lock on {lock.parent} ({error.strerror}); going on", flush=True)
        yield


def fetch(target, wanted, exclude, snapshot):
    final = target / wanted["folder"]
    with alone(target / f".{wanted['folder']}.lock"):
        if final.is_dir():
            print(f"download: {wanted['id']} is there", flush=True)
            return
        partial = target / f".{wanted['folder']}.partial"
        print(f"download: {wanted['id']} at {wanted['revision']}", flush=True)
        snapshot(
            wanted["id"], revision=wanted["revision"], local_dir=partial, ignore_patterns=exclude
        )
        partial.rename(final)


def main():
    from huggingface_hub import snapshot_download

    target = Path(sys.argv[1])
    exclude = json.loads(os.environ.get("TIERFLOW_EXCLUDE", "[]"))
    for wanted in json.loads(os.environ["TIERFLOW_DOWNLOADS"]):
        try:
            fetch(target, wanted, exclude, snapshot_download)
        except Exception as error:
            # The first line says what is wrong; the hub's messages run over several.
            problem = (str(error).strip() or type(error).__name__).splitlines()[0]
            print(f"download: {wanted['id']}: {problem}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
