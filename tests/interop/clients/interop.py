"""What the Python clients share: orders to the stand-in, and steps whose outcome is printed as a line.

A line is STEP, tab, "ok" or "FAILED", and what failed after another tab. tests/interop/run reads them.
"""

import json
import os
import sys
import urllib.request

CONTROL = os.environ["FAKE_PLEXTV"]
# Nothing of this is for a proxy.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
FAILED = []


def order(call, **body):
    request = urllib.request.Request(f"{CONTROL}/fake/{call}", json.dumps(body).encode())
    with OPENER.open(request) as answer:
        return json.load(answer)


def mint(url, token):
    """A transient token, as a server gives it to whoever has its access token."""
    request = urllib.request.Request(
        f"{url}/security/token?type=delegation&scope=all",
        method="POST",
        headers={"X-Plex-Token": token, "Accept": "application/json"},
    )
    with OPENER.open(request) as answer:
        return json.load(answer)["MediaContainer"]["token"]


def report(name, failure=None):
    words = str(failure).replace("\t", " ").replace("\n", " ") if failure is not None else ""
    print(f"{name}\tFAILED\t{type(failure).__name__}: {words}" if failure is not None else f"{name}\tok", flush=True)
    if failure is not None:
        FAILED.append(name)


class step:
    """with step("account"): what must not raise."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        return self

    def __exit__(self, kind, failure, trace):
        report(self.name, failure)
        return isinstance(failure, Exception)


def end():
    sys.exit(1 if FAILED else 0)
