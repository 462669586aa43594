#!/bin/bash
# The main job with the default configuration: sign in by code and by link, see the servers over
# D-Bus, be told when one goes offline and comes back. The account outlives restart and kill, and
# nothing that could redeem it is in the journal or in a notice.
# shellcheck disable=SC2016,SC2119 # $ is for the shell in there; arguments may be left out
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

object_property() { user busctl --user get-property $NAME "$1" org.plexaccountd.Server1 "$2"; }
replaced() { notices | jq -se 'any(.replaces > 0)'; }
count_notices() { noticed "$1" | wc -l; }
# How many devices plex.tv would list under Authorized Devices.
count_devices() {
  fake log | jq '[.[].headers["x-plex-client-identifier"] | select(.)] | unique | length'
}
# What the daemon itself wrote, without what systemd adds (its numbers may look like a PIN).
logged() { journal | jq -r 'to_entries[] | select(.key | startswith("_") | not) | .value'; }
tokens() { fake state | jq -r '.tokens | keys[]'; }
# What would redeem the account: tokens, and the PINs with which they are fetched.
secrets() {
  tokens
  echo srvTok- # servers' own tokens begin so
  fake state | jq -r '.pins[] | .id, (.code | select(test("[A-Za-z]")))'
}
# none_of LIST COMMAND...: no word that LIST prints is in the output of COMMAND.
none_of() {
  local words word text
  words=$("$1")
  shift
  text=$("$@")
  [ -n "$words" ] || { echo 'nothing to look for'; return 1; }
  [ -n "$text" ] || { echo "$* is empty"; return 1; }
  for word in $words; do
    [[ $text != *"$word"* ]] || { echo "$word is in it"; return 1; }
  done
}

boot
fake_plextv
desktop

# --- start

ok 'a call starts the unit by D-Bus activation' equals signed-out login_state
ok 'systemd knows it as running' equals active unit ActiveState
ok 'systemctl status has a line of ours' matches '^[A-Z].{5,}' unit StatusText
ok 'no account: no servers' equals '[[]]' account ListServers

# --- login by code

offer=$(account StartLogin)
offered() { jq -r ".[$1]" <<< "$offer"; }
ok 'StartLogin gives a short code' matches '^[A-Z0-9]{4}$' offered 0
ok 'to be typed at plex.tv/link' equals https://plex.tv/link offered 1
ok 'and a link for a browser' matches '^https://app\.plex\.tv/auth#\?.*code=[a-z0-9]{25}(&|$)' offered 2
ok 'meanwhile it waits' equals waiting login_state
ok 'asked again it gives the same' equals "$offer" account StartLogin

ok 'somebody types the code' fake approve '{"which": "short"}'
ok 'LoginFinished says so' within 15 signalled LoginFinished succeeded
ok 'LoginStatus: signed in' equals signed-in login_state
ok 'LoginStatus: as whom' equals demo login_detail username
ok 'a notice with the name' within 5 noticed demo
ok 'it is on the screen' shot login.png

# --- servers

ok 'ListServers has the three owned servers' within 10 equals '["Attic","Cellar","家のサーバー"]' names ListServers
ok 'ListSharedServers has the shared one' equals '["media"]' names ListSharedServers
ok 'a server that is there is online' equals online server Attic state
attic=$(server Attic path)
ok 'it has an object of its own' equals 's "Attic"' object_property "$attic" Name

# --- one goes offline, and comes back

id=$(server Attic id)
ok 'a server goes' absent "$id"
ok 'Refresh sees it' within 10 refreshed Attic presence false
ok 'during the grace it counts as online' equals online server Attic state
ok 'after the grace it is offline' within 90 equals offline server Attic state
ok 'ServerStateChanged says so' signalled ServerStateChanged "$id" Attic true online offline
ok 'a notice names it' within 5 noticed 'Attic.*offline'
ok 'it is on the screen' shot offline.png
ok 'one that never was online is told of by none' not noticed Cellar

ok 'the server is back' present "$id"
ok 'Refresh sees that too' within 10 refreshed Attic presence true
ok 'it is online' equals online server Attic state
ok 'ServerStateChanged says that too' signalled ServerStateChanged "$id" Attic true offline online
ok 'its notice takes the place of the other' within 5 replaced
ok 'and is on the screen' shot online.png

# --- restart and kill

ok 'restart' user systemctl --user restart $UNIT
ok 'keeps the account' equals signed-in login_state
ok 'and the servers, at once' equals '["Attic","Cellar","家のサーバー"]' names ListServers
ok 'kill -9' user systemctl --user kill --signal=KILL $UNIT
ok 'systemd starts it again' within 20 equals 1 unit NRestarts
ok 'with the account' equals signed-in login_state
ok 'told is told: no second notice' equals 1 count_notices 'Attic.*offline'

# --- sign out, and login by link

ok 'SignOut' account SignOut
ok 'forgets the account' equals signed-out login_state
ok 'and its servers' equals '[[]]' account ListServers
ok 'plex.tv was told' within 5 fake 'wait?endpoint=signout'
offer=$(account StartLogin)
ok 'somebody opens the link in a browser' fake approve '{"which": "strong"}'
ok 'signed in again' within 15 equals signed-in login_state
ok 'the same device to plex.tv all along' equals 1 count_devices

# --- what is left behind

ok 'the journal can be asked for one server' has '"PLEX_STATE":"offline"' journal PLEX_SERVER=Attic
ok 'no token, PIN id or code in the journal' none_of secrets logged
ok 'nor in a notice' none_of secrets notices
ok 'no token on the bus' none_of tokens cat "$OUT/bus.json"
ok 'it stops within two seconds' timeout 2 "$BED/boot-systemd.sh" user systemctl --user stop $UNIT
ok 'and ends with success' equals success unit Result
