"""Leads the names of plex.tv to the stand-in on this machine, for clients that are not changed and believe that they
talk to plex.tv. Imported before them; the first argument of the program is the stand-in's https port, the second the
address of its control calls."""

import json
import socket
import sys
import urllib.request

HTTPS_PORT, CONTROL = int(sys.argv[1]), sys.argv[2]

resolve = socket.getaddrinfo


def resolve_here(host, port, *args, **kwargs):
    if host == "plex.tv" or host.endswith(".plex.tv"):
        host, port = "127.0.0.1", HTTPS_PORT
    elif host not in ("127.0.0.1", "localhost"):
        raise OSError(f"nothing beyond this machine: {host}")
    return resolve(host, port, *args, **kwargs)


socket.getaddrinfo = resolve_here


def order(call, **body):
    request = urllib.request.Request(f"http://{CONTROL}/fake/{call}", json.dumps(body).encode())
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)
