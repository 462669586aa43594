#!/bin/bash
# What the service is to systemd and to the person who runs it: sandbox, watchdog, reload, exit
# codes, the files it leaves. On dbus-broker, where the main job has dbus-daemon.
# shellcheck disable=SC2016,SC2119 # $ is for the shell in there; arguments may be left out
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

state_files() { user sh -c 'find "$0" -type f -printf "%m\n" | sort -u' "$1"; }
verify() { equals '' user sh -c 'systemd-analyze --user verify plex-accountd.service 2>&1'; }
daemon() { user /usr/bin/plex-accountd "$@"; }
logged() { journal | jq -r .MESSAGE | grep -Ei "$1"; }
# Where systemd put the state folder: it depends on its version.
state_dir() {
  root sh -c "tr '\0' '\n' < /proc/$(pid)/environ" | sed -n s/^STATE_DIRECTORY=//p
}
limit() { root sed -n "s/^Max $1  *\([0-9a-z]*\) .*/\1/p" "/proc/$(pid)/limits"; }

export BED_BROKER=1
boot
fake_plextv

# --- the unit

ok 'systemd-analyze has nothing to say of the unit' verify
ok 'systemctl enable --now' user systemctl --user enable --now --quiet $UNIT
ok 'starts it' equals active unit ActiveState
ok 'once READY, the name is owned' account LoginStatus
ok 'watchdog: 15 minutes' equals 15min unit WatchdogUSec
ok 'no new privileges' equals 1 status_field NoNewPrivs
ok 'system calls are filtered' equals 2 status_field Seccomp
ok 'no core files' equals 0 limit 'core file size'
ok 'sign in' sign_in
ok 'the state folder is the user'\''s alone' equals 700 user stat -c %a "$(state_dir)"
ok 'and so is each file in it' equals 600 state_files "$(state_dir)"

# --- a second daemon

ok 'a second daemon leaves with 3 and a sentence' fails 3 $NAME daemon
ok 'the first one stays' equals signed-in login_state

# --- configuration

ok 'the default configuration is right' daemon --check-config
config '[notifications]
login = false'
ok 'reload takes a new one' user systemctl --user reload $UNIT
ok 'and says so in the journal' within 5 logged 'config|settings'
config 'nonsense = true'
ok 'reload of a bad one' user systemctl --user reload $UNIT
ok 'is told in the journal' within 5 logged nonsense
ok 'and the service goes on' equals signed-in login_state
ok '--check-config leaves with 2 and names the key' fails 2 nonsense daemon --check-config
ok 'restart with a bad one fails' not user systemctl --user restart $UNIT
ok 'with exit code 2' equals 2 unit ExecMainStatus
ok 'and is not tried again' equals failed unit ActiveState
config ''
ok 'start with a good one' user systemctl --user restart $UNIT
ok 'the account is still there' equals signed-in login_state

# --- trouble

ok 'SIGABRT, as by the watchdog' user systemctl --user kill --signal=ABRT $UNIT
ok 'systemd starts it again' within 20 equals 1 unit NRestarts
ok 'the account is still there' equals signed-in login_state
ok 'the session bus is restarted' user systemctl --user restart dbus.service
ok 'the daemon leaves and systemd starts it again' within 20 equals 2 unit NRestarts
ok 'the account is still there' within 20 equals signed-in login_state

# --- the optional hardening

root install -Dm644 /usr/share/doc/plex-accountd/examples/hardening.conf \
  /etc/systemd/user/$UNIT.d/hardening.conf
ok 'hardening.conf: nothing to say of it either' verify
user systemctl --user daemon-reload
ok 'it starts under it' user systemctl --user restart $UNIT
ok 'the account is still there' equals signed-in login_state
ok 'plex.tv is reached' account Refresh
ok 'home is out of its hands' \
  has 'Read-only file system' root nsenter --target "$(pid)" --mount touch /home/tester/x
ok 'its runtime directory is not' \
  root nsenter --target "$(pid)" --mount touch "$(user sh -c 'echo $XDG_RUNTIME_DIR')/plex-accountd/x"
ok 'the account can be written' account SignOut
ok 'and is' equals signed-out login_state

# --- the package

ok 'lintian finds no error in it' lintian --fail-on error target/debian/*.deb
ok 'it can be removed' root dpkg --remove plex-accountd
ok 'and leaves no file' equals '' root find /usr -name '*plex*accountd*' -o -name 'plex-account*'
