#!/bin/bash
# The account in a real KeePassXC, which lists nothing while it is locked, answers each new item by
# a prompt, and has no collection called `login`. As a person uses it: in its window.
# shellcheck disable=SC2119 # arguments may be left out
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

window() { user env DISPLAY=:5 xdotool search --onlyvisible --class keepassxc "$@"; }
press() { window windowfocus --sync key "$@"; }
unlock() { user /bed/desktop.sh type keepassxc pw; }
# A person deletes our item. The prompt, which shows nothing here, is the caller's.
delete() {
  user python3 -c '
import sys, time, dbus
bus = dbus.SessionBus()
item = bus.get_object("org.freedesktop.secrets", sys.argv[1])
prompt = item.Delete(dbus_interface="org.freedesktop.Secret.Item")
prompt = bus.get_object("org.freedesktop.secrets", prompt)
prompt.Prompt("", dbus_interface="org.freedesktop.Secret.Prompt")
time.sleep(0.5)' "$(items)"
}
# One that was killed takes a moment to be gone for systemd, too.
keepassxc() {
  within 10 user systemd-run --user --quiet --collect --unit=keepassxc --setenv=DISPLAY=:5 \
    sh -c 'echo pw | keepassxc --pw-stdin ~/k2.kdbx'
}
# KeePassXC shows a dialog to whoever searches it while it is locked.
locked() {
  user busctl --user get-property org.freedesktop.secrets \
    /org/freedesktop/secrets/collection/k2 org.freedesktop.Secret.Collection Locked
}
windows() { window | wc -l; }
prompts() {
  jq -c 'select(.type == "method_call" and .member == "Prompt")' "$OUT/bus.json" | wc -l
}

boot
desktop none
fake_plextv
cp "$BED/examples/keepassxc.sh" "$BED_SHARE/"
ok 'KeePassXC keeps the secrets' has collection/k2 user bash /bed/keepassxc.sh

# --- kept

config 'log.level = "trace"'
ok 'the service starts' user systemctl --user start $UNIT
ok 'sign in' sign_in
ok 'the account is in KeePassXC' equals secret-service login_detail storage
ok 'where people find it by its name' equals 'Plex account token' label
ok 'the token is in no file' not files_with "$(tokens)"
# The group `Secrets`, and in it our item, the second.
user /bed/desktop.sh click keepassxc 98 142
user /bed/desktop.sh click keepassxc 400 173
user /bed/desktop.sh shot /tmp/item.png
root convert /tmp/item.png -crop 800x600+0+0 +repage png:- > "$OUT/item.png"
ok 'restart keeps the account' user systemctl --user restart $UNIT
ok 'asked at once, LoginStatus knows it' equals signed-in login_state

# --- locked

ok 'a list to remember' account Refresh
press ctrl+l
ok 'KeePassXC is locked' within 5 equals 'b true' locked
ok 'what is signed in stays so' equals signed-in login_state
ok 'in the keyring' equals secret-service login_detail storage
before=$(asked)
shown=$(prompts)
ok 'restart' user systemctl --user restart $UNIT
ok 'locked is a state' equals locked login_state
ok 'without advice' equals '' login_detail message
ok 'the servers are shown as unknown for that' equals '["keyring-locked"]' reasons
ok 'SignOut fails with KeyringLocked' fails 1 'keyring is locked' account SignOut
ok 'nobody was prompted' equals "$shown" prompts
ok 'and no window was opened' equals 1 windows
ok 'plex.tv was not asked' equals "$before" asked
unlock
ok 'unlocked, it goes on by itself' within 5 equals signed-in login_state
ok 'and refreshes' within 5 equals plex-tv server Attic reason

# --- killed

ok 'KeePassXC is killed' root pkill --signal KILL keepassxc
ok 'what is signed in stays so' equals signed-in login_state
ok 'SIGKILL for us, too' user systemctl --user kill --signal SIGKILL $UNIT
ok 'systemd starts us again, and nothing is known' within 20 equals unknown login_state
ok 'SignOut fails, too' fails 1 'Nothing was changed' account SignOut
keepassxc
ok 'KeePassXC is back, and with it the account' within 20 equals signed-in login_state
ok 'from the keyring' equals secret-service login_detail storage

# --- by KeePassXC's defaults: a person allows each client each item

dialog() { equals 2 windows; }
answer() { user env DISPLAY=:5 xdotool windowfocus --sync "$(window | tail -1)" key "$1"; }
ok 'KeePassXC is killed' root pkill --signal KILL keepassxc
user sed -i s/ConfirmAccessItem=false/ConfirmAccessItem=true/ .config/keepassxc/keepassxc.ini
keepassxc
ok 'it asks whom it gives what, from now on' within 20 equals 'b false' locked
ok 'restart while the database is open' user systemctl --user restart $UNIT
shown=$(prompts)
ok 'the item is locked' equals locked login_state
press ctrl+l
ok 'the database is locked' within 5 equals 'b true' locked
ok 'restart while it is' user systemctl --user restart $UNIT
ok 'locked is a state' equals locked login_state
ok 'nobody was prompted' equals "$shown" prompts
ok 'and no window was opened' equals 1 windows
unlock
ok 'unlocked, it asks for the item' within 5 dialog
answer Escape
ok 'the person does not want to' within 5 equals 1 windows
ok 'it stays locked' equals locked login_state
press ctrl+l
ok 'they lock the database' within 5 equals 'b true' locked
unlock
ok 'and are asked again after the unlock' within 5 dialog
user /bed/desktop.sh shot /tmp/access.png
root cat /tmp/access.png > "$OUT/access.png"
answer Return
ok 'allowed, it goes on by itself' within 5 equals signed-in login_state
ok 'from the keyring' equals secret-service login_detail storage
ok 'they were asked once for each unlock' equals $((shown + 2)) prompts
ok 'and no question is left' equals 1 windows

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
secrets=$(fake state | jq -r '.tokens | keys[]'; fake state | jq -r '.pins[] | .id, .code')
ok 'sign out' account SignOut
ok 'the item is gone' equals '' items
ok 'the journal has all that was logged' has '"PRIORITY":"7"' journal
ok 'and no secret' not grep -F "$secrets" <(journal)
