"""Ask a question until it is answered: URL MODEL SECONDS. Exit code 1 when it is not."""

# The charts gateway and model-pool each have this file: a chart can read only its own files.

import json
import os
import sys
import time
import urllib.request

URL, MODEL, SECONDS = sys.argv[1], sys.argv[2], float(sys.argv[3])
# A caller's key, where one is needed.
KEY = {"authorization": "Bearer " + os.environ["KEY"]} if os.environ.get("KEY") else {}
QUESTION = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "Add 417 and 325 digit by digit."}],
    "max_tokens": 64,
}


def ask():
    request = urllib.request.Request(
        f"{URL}/v1/chat/completions",
        data=json.dumps(QUESTION).encode(),
        headers={"content-type": "application/json"} | KEY,
    )
    with urllib.request.urlopen(request, timeout=60) as reply:
        return json.load(reply)["choices"][0]["message"]["content"]


def main():
    end = time.monotonic() + SECONDS - 10
    while True:
        try:
            answer = ask()
        except OSError as error:
            problem = str(error)
        else:
            print(f"{MODEL}: {answer!r}")
            return 0 if answer else 1
        if time.monotonic() > end:
            print(f"no answer from {URL}: {problem}", file=sys.stderr)
            return 1
        time.sleep(5)


sys.exit(main())
