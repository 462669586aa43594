"""Signs in to fake-plextv with python-plexapi and prints what it sees, as JSON.

plexapi_client.py HTTPS_PORT CONTROL_ADDRESS

REQUESTS_CA_BUNDLE names the authority to trust.
"""

import json
import urllib.request

from here import order  # before the client
from plexapi.exceptions import Unauthorized
from plexapi.myplex import MyPlexAccount, MyPlexPinLogin

MyPlexPinLogin.POLLINTERVAL = 0.05


def seen_by(account):
    servers = [r for r in account.resources() if "server" in r.provides.split(",")]
    return {
        "username": account.username,
        "servers": sorted([r.name, r.owned, r.presence] for r in servers),
    }


# By the four characters that a person types, polled in the foreground.
login = MyPlexPinLogin()
assert len(login.pin) == 4
assert not login.checkLogin()
order("approve", code=login.pin, via="link")
assert login.checkLogin()
by_code = MyPlexAccount(token=login.token)

# By the browser page, polled in the background.
login = MyPlexPinLogin(oauth=True)
login.run(timeout=60)
code = login.oauthUrl().split("code=")[1].split("&")[0]
order("approve", code=code, via="auth")
assert login.waitForLogin()
by_link = MyPlexAccount(token=login.token)

# A signed-in client approves another one's code.
other = MyPlexPinLogin()
by_link.link(other.pin)
linked = other.checkLogin()

# A code that was refused.
denied = MyPlexPinLogin()
order("deny", code=denied.pin)

answer = {
    "by_code": seen_by(by_code),
    "by_link": seen_by(by_link),
    "linked": linked,
    "ping": by_link.ping(),
    "devices": [d.name for d in by_link.devices()],
    "denied": denied.checkLogin() or not denied.expired,
}

# A connection of the list leads to the server it is said to.
attic = by_code.resource("Attic")
with urllib.request.urlopen(f"{attic.connections[0].uri}/identity") as identity:
    text = identity.read().decode()
answer["reached"] = text.split('machineIdentifier="')[1].split('"')[0]

by_code.signout()
try:
    by_code.resources()
except Unauthorized:
    answer["after_sign_out"] = "Unauthorized"

print(json.dumps(answer))
