#!/bin/bash
# The main job with the default configuration: sign in by code and by link, see the servers over
# D-Bus, be told when one goes offline and comes back; and the account outlives restart and kill.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

boot
fake_plextv
desktop

# --- start

ok 'a call starts the unit by D-Bus activation' equals signed-out login_state
ok 'systemd knows it as running' equals active unit ActiveState
ok 'systemd waited for its READY' equals notify unit Type
ok 'systemctl status has a line in plain words' unit_says_status
ok 'nobody is signed in: no servers, no fault' equals '[[]]' account ListServers

# --- login by code

offer=$(account StartLogin)
code=$(jq -r '.[0]' <<< "$offer")
ok 'StartLogin gives a code of four characters' grep -Exq '[A-Z0-9]{4}' <<< "$code"
