#!/bin/bash
# Prints the titles of a server's libraries: titles.sh [SERVER]
# Needs busctl (systemd), curl and jq. You are asked once whether this may use the server; started
# in a terminal it has no name of its own to be asked about, so:
#   systemd-run --user --pipe --wait --collect --unit=titles examples/titles.sh Attic
set -euo pipefail

server=${1:-$(plex-account servers --json | jq -r '.[0].id')}
name=org.plexaccountd.Tokens1
object=/org/plexaccountd/Tokens1

# What it takes to use the server. A call waits some seconds for your answer; the question stays.
access() {
  until answer=$(busctl --user --json=short call "$name" "$object" "$name" GetServer 'sa{sv}' "$server" "$@" 2>&1); do
    [[ $answer == *'Nobody has allowed'* ]] || { echo "$answer" >&2; return 1; }
    echo 'Waiting for your answer …' >&2
    sleep 10
  done
}

# Headers by a pipe: a command line can be read by others.
titles() {
  local url
  url=$(jq -r '.data[0]' <<< "$answer")
  jq -r '.data | "header = \"X-Plex-Token: \(.[1])\"",
    "header = \"X-Plex-Client-Identifier: \(.[2].client_identifier.data)\"",
    "header = \"X-Plex-Product: \(.[2].product.data)\"",
    "header = \"Accept: application/json\""' <<< "$answer" \
    | curl --silent --show-error --fail --config - "$url/library/sections" \
    | jq -r '.MediaContainer.Directory[].title'
}

access 0
# 401: the server was started anew, and its tokens ended with it.
titles || { access 1 renew b true && titles; }
