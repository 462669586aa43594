#!/bin/bash
# The account in a real gnome-keyring: kept there, locked, unlocked, removed, its daemon killed.
# shellcheck disable=SC2016,SC2119 # $ is for the shell in there; arguments may be left out
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

# The keyring, by its own D-Bus interface: nobody is there to type.
keyring() { user python3 /bed/keyring.py "$@"; }
delete() {
  user busctl --user call org.freedesktop.secrets "$(items)" org.freedesktop.Secret.Item Delete
}
# Whether anybody was asked to unlock anything, or a window was opened for it.
prompted() {
  jq -e 'select(.type == "method_call" and (.member == "Unlock" or .member == "BeginPrompting"))' \
    "$OUT/bus.json"
}

boot
cp "$BED/examples/keyring.py" "$BED_SHARE/"
fake_plextv
ok 'a keyring' has 'open' keyring create secret

# --- kept

ok 'the service starts' user systemctl --user start $UNIT
ok 'sign in' sign_in
ok 'the account is in the keyring' equals secret-service login_detail storage
ok 'where people find it by its name' equals 'Plex account token' label
for token in $(tokens); do
  ok 'the token is in no file' not files_with "$token"
done
ok 'restart keeps the account' user systemctl --user restart $UNIT
ok 'asked at once, LoginStatus knows it' equals signed-in login_state

# --- locked

ok 'a list to remember' account Refresh
ok 'the keyring is locked' has locked keyring lock
ok 'what is signed in stays so' equals signed-in login_state
before=$(asked)
ok 'restart' user systemctl --user restart $UNIT
ok 'locked is a state' equals locked login_state
ok 'without advice' equals '' login_detail message
ok 'the servers are shown as unknown for that' equals '["keyring-locked"]' reasons
ok 'Refresh fails with KeyringLocked' fails 1 'keyring is locked' account Refresh
ok 'SignOut fails with KeyringLocked' fails 1 'keyring is locked' account SignOut
ok 'systemctl status says what it waits for' has 'keyring to be unlocked' \
  user systemctl --user status $UNIT
ok 'nobody was prompted' not prompted
ok 'plex.tv was not asked' equals "$before" asked
ok 'unlocked' has open keyring unlock secret
ok 'it goes on by itself' within 2 equals signed-in login_state
ok 'and refreshes' within 5 equals plex-tv server Attic reason

# --- killed

ok 'the keyring daemon is killed' root pkill --signal KILL gnome-keyring-d
ok 'what is signed in stays so' equals signed-in login_state
ok 'SIGKILL for us, too' user systemctl --user kill --signal SIGKILL $UNIT
ok 'systemd starts us again' within 20 equals locked login_state
ok 'unlocked' has open keyring unlock secret
ok 'the account is there' within 2 equals signed-in login_state

# --- removed

ok 'somebody deletes the item' delete
ok 'the token stays in use, in memory only' within 5 equals memory login_detail storage
ok 'and it is said what to do' has 'sign in again' login_detail message
ok 'and is not put back' equals '' items
ok 'restart' user systemctl --user restart $UNIT
ok 'it is known to be gone' equals signed-out login_state

# --- forgotten

ok 'sign in again' sign_in
ok 'in the keyring' equals secret-service login_detail storage
ok 'sign out' account SignOut
ok 'the item is gone' equals '' items
ok 'no secret is in the journal' not grep -F "$(tokens | head -1)" <(journal)
