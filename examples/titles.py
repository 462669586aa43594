#!/usr/bin/python3
"""Prints the titles of a server's libraries, by python-plexapi: titles.py [SERVER]

Needs PyGObject (Debian: python3-gi) and plexapi (PyPI). You are asked once whether this may use
the server. Where a call ends in ConsentNeeded the question is still there: call again later. Where
the server answers 401, its tokens ended with a restart: call with {"renew": True}.
"""

import sys

import plexapi
from gi.repository import Gio
from plexapi.server import PlexServer

NAME, OBJECT = "org.plexaccountd.Tokens1", "/org/plexaccountd/Tokens1"
tokens = Gio.DBusProxy.new_for_bus_sync(
    Gio.BusType.SESSION, Gio.DBusProxyFlags.NONE, None, NAME, OBJECT, NAME, None
)

# The five lines.
url, token, details = tokens.GetServer("(sa{sv})", *(sys.argv[1:2] or ["Attic"]), {})
plexapi.BASE_HEADERS["X-Plex-Client-Identifier"] = details["client_identifier"]
plexapi.BASE_HEADERS["X-Plex-Product"] = details["product"]
for library in PlexServer(url, token).library.sections():
    print(library.title)
