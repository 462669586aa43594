#!/usr/bin/python3
"""Signs in, lists the account's servers and prints a line whenever one changes its state.

Needs PyGObject (Debian: python3-gi). Ctrl-C ends it.
"""

import collections
import signal
import sys

from gi.repository import Gio, GLib

NAME = "org.plexaccountd.Account1"
OBJECT = "/org/plexaccountd/Account1"

signal.signal(signal.SIGINT, signal.SIG_DFL)
sys.stdout.reconfigure(line_buffering=True)

account = Gio.DBusProxy.new_for_bus_sync(
    Gio.BusType.SESSION, Gio.DBusProxyFlags.NONE, None, NAME, OBJECT, NAME, None
)
# Listening comes before the first look, so that nothing falls between the two.
told = collections.deque()
account.connect("g-signal", lambda _proxy, _sender, *said: told.append(said))


def next_signal():
    """Waits for the account to tell something: the signal's name and its values."""
    while not told:
        GLib.MainContext.default().iteration(True)
    name, values = told.popleft()
    return name, values.unpack()


def sign_in():
    """Begins a login, or joins the one that is waiting, and sees it through."""
    code, link, browser, _expires_at = account.StartLogin()
    print(f"Type {code} at {link}, or open {browser}")
    name = None
    while name != "LoginFinished":
        name, values = next_signal()
    outcome, message = values
    print(f"Login {outcome}. {message}")
    if outcome != "succeeded":
        sys.exit(1)
    account.Refresh()  # comes back when the servers are there


state, _details = account.LoginStatus()
if state in ("signed-out", "rejected", "waiting"):
    sign_in()
elif state != "signed-in":  # locked, or not known yet
    sys.exit(f"The account is {state}.")

for server in account.ListServers():
    print(f"{server['name']}: {server['state']}")

while True:
    name, values = next_signal()
    if name == "ServerStateChanged":
        _id, server, _owned, old, new = values
        print(f"{server}: {old} -> {new}")
