# shellcheck shell=bash
# shellcheck disable=SC2119,SC2120 # functions with arguments that may be left out
# What the end-to-end tests share. A test is a script that is run by tests/e2e/run:
#
#   . "$(dirname "$0")/lib.sh"
#   boot                            # a fresh system with the package installed
#   fake_plextv                     # plex.tv and its kin on 127.0.0.1:443 in there
#   desktop                         # an X screen and a notification server
#   ok 'what is promised' command   # one line of the report; ends the test if it fails
#
# Each runs in a system of its own, as the user `tester`, and leaves its bus traffic, journal
# and screenshots in $OUT. Nothing here sleeps for a while and hopes: see `within`.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export LC_ALL=C.UTF-8 # in which the tests are written

TEST=$(basename "$0" .sh)
OUT=$PWD/target/e2e/$TEST
UNIT=plex-accountd.service
NAME=org.plexaccountd.Account1
OBJECT=/org/plexaccountd/Account1
BED=tests/bed
export BED_STATE=${BED_STATE:-/tmp/plex-accountd-e2e-$$}
export BED_SHARE=$OUT/share # /bed in there

# --- the system ----------------------------------------------------------------------------

# Commands in there, as root or as tester with the session bus.
root() { "$BED/boot-systemd.sh" root "$@"; }
user() { "$BED/boot-systemd.sh" user "$@"; }

# A fresh system with the package installed; what goes over its session bus is recorded.
boot() {
  boot_bare
  cp target/debian/plex-accountd_*.deb "$BED_SHARE/plex-accountd.deb"
  ok 'the package installs' root dpkg --install /bed/plex-accountd.deb
}

# The same without the package.
boot_bare() {
  rm -rf "$OUT"
  mkdir -p "$BED_SHARE"
  cp "$BED/desktop.sh" "$BED/fake-dns-tls.sh" target/debug/fake-plextv "$BED_SHARE/"
  trap finish EXIT
  ok 'a real systemd boots to a user manager' "$BED/boot-systemd.sh" start
  record
}

# Writes every message on the session bus to bus.json, one a line.
record() {
  user stdbuf --output=L busctl --user --json=short monitor > "$OUT/bus.json" 2> "$OUT/bus.err" &
  within 5 recording
}
recording() {
  user busctl --user call org.freedesktop.DBus / org.freedesktop.DBus.Peer Ping
  [ -s "$OUT/bus.json" ]
}

finish() {
  local status=$?
  trap - EXIT
  user journalctl --user --output=short-precise --no-pager > "$OUT/journal.txt" 2>&1 || :
  if [ $status != 0 ]; then
    echo "--- the daemon's last words; the whole journal is in $OUT/journal.txt:"
    user journalctl --user --user-unit=$UNIT --output=short-precise --no-pager --lines=20 || :
  fi
  "$BED/boot-systemd.sh" stop > /dev/null 2>&1 || :
  rm -rf "$BED_SHARE"
  exit $status
}

# The stand-in for plex.tv, under the true names and with certificates that are checked.
fake_plextv() {
  "$BED/fake-dns-tls.sh" certs "$BED_SHARE/tls"
  root /bed/fake-dns-tls.sh bed /bed/tls
  root systemd-run --quiet --unit=fake-plextv /bed/fake-plextv "$@" \
    --listen https://127.0.0.1:443 --cert /bed/tls/plex.crt --key /bed/tls/plex.key
  ok 'a stand-in answers at https://plex.tv' within 10 fake state
}

# An X screen and a notification server: xfce4-notifyd, or the one named.
desktop() { ok 'a notification server runs on an X screen' user /bed/desktop.sh start "$@"; }

# --- the report ----------------------------------------------------------------------------

# ok WHAT COMMAND...: prints WHAT; if COMMAND fails, also its output, and the test ends.
ok() {
  local what=$1 output
  shift
  if output=$("$@" 2>&1); then
    echo "ok   $what"
  else
    echo "FAIL $what: ${output:-$* failed}"
    exit 1
  fi
}

# within SECONDS COMMAND...: tries COMMAND until it succeeds, for that long at most.
within() {
  local deadline=$((SECONDS + $1)) output
  shift
  until output=$("$@" 2>&1); do
    if [ $SECONDS -gt $deadline ]; then
      echo "not within the time: $*: $output"
      return 1
    fi
    sleep 0.1
  done
  [ -z "$output" ] || echo "$output"
}

# not COMMAND...: fails if COMMAND succeeds.
not() {
  local output
  ! output=$("$@" 2>&1) || { echo "succeeded: $*: $output"; return 1; }
}

# equals WANT COMMAND...: the output of COMMAND is exactly WANT.
equals() {
  local want=$1 got
  shift
  got=$("$@") || { echo "failed: $*: $got"; return 1; }
  [ "$got" = "$want" ] || { echo "wanted '$want', got '$got'"; return 1; }
}

# has WANT COMMAND...: WANT is somewhere in the output of COMMAND.
has() {
  local want=$1 got
  shift
  got=$("$@" 2>&1) || :
  [[ $got == *"$want"* ]] || { echo "wanted '$want' in: $got"; return 1; }
}

# matches PATTERN COMMAND...: a line of the output of COMMAND matches.
matches() {
  local pattern=$1 got
  shift
  got=$("$@" 2>&1) || :
  grep -Eq "$pattern" <<< "$got" || { echo "wanted /$pattern/ in: $got"; return 1; }
}

# fails STATUS WANT COMMAND...: COMMAND ends with STATUS and says WANT.
fails() {
  local status=$1 want=$2 got actual=0
  shift 2
  got=$("$@" 2>&1) || actual=$?
  [ $actual = "$status" ] || { echo "wanted status $status, got $actual: $got"; return 1; }
  [[ $got == *"$want"* ]] || { echo "wanted '$want' in: $got"; return 1; }
}

# --- the daemon ----------------------------------------------------------------------------

# account METHOD [SIGNATURE ARGUMENT...]: calls it, prints the reply's values as a JSON list.
account() { user busctl --user --json=short call $NAME $OBJECT $NAME "$@" | jq -c .data; }

# property NAME: its value as JSON.
property() { user busctl --user --json=short get-property $NAME $OBJECT $NAME "$1" | jq -c .data; }

# login_state: the state word of LoginStatus; login_detail KEY: one of its details.
login_state() { account LoginStatus | jq -r '.[0]'; }
login_detail() { account LoginStatus | jq -r --arg key "$1" '.[1][$key].data // ""'; }

# server NAME KEY: what ListServers says of the server of that name.
server() {
  account ListServers | jq -r --arg name "$1" --arg key "$2" \
    '.[0][] | select(.name.data == $name) | .[$key].data'
}

# names METHOD: the sorted names in the answer of ListServers or ListSharedServers.
names() { account "$1" | jq -c '[.[0][].name.data] | sort'; }

# refreshed NAME KEY WANT: refreshes, then looks whether the server has WANT there. To be used with
# `within`: a call soon after an answer gets that same answer.
refreshed() {
  account Refresh && equals "$3" server "$1" "$2"
}

# unit PROPERTY: of the unit, as systemd knows it.
unit() { user systemctl --user show $UNIT --property="$1" --value; }
pid() { unit MainPID; }

# One field of /proc/PID/status.
status_field() { root sed -n "s/^$1:[[:space:]]*//p" "/proc/$(pid)/status"; }

# journal [OPTION...]: what the daemon itself logged, as JSON, one entry a line.
journal() { user journalctl --user --output=json --no-pager _SYSTEMD_USER_UNIT=$UNIT "$@"; }

# config TEXT: writes the configuration file.
config() {
  user sh -c 'mkdir -p ~/.config/plex-accountd && cat > ~/.config/plex-accountd/config.toml' <<< "$1"
}

# sign_in: signs in by the short code.
sign_in() {
  account StartLogin > /dev/null
  fake approve '{"which": "short"}' > /dev/null
  within 15 equals signed-in login_state
}

# --- the token's store ---------------------------------------------------------------------

# The paths of our items in the keyring.
items() {
  user busctl --user --json=short call org.freedesktop.secrets /org/freedesktop/secrets \
    org.freedesktop.Secret.Service SearchItems 'a{ss}' 1 xdg:schema $NAME | jq -r '.data | add | .[]'
}
# The label of our one item.
label() {
  user busctl --user --json=short get-property org.freedesktop.secrets "$(items)" \
    org.freedesktop.Secret.Item Label | jq -r .data
}
# The state folder in use.
state_dir() {
  root sh -c "tr '\0' '\n' < /proc/$(pid)/environ" | sed -n s/^STATE_DIRECTORY=//p
}
# files_with TEXT: the files of the state folder that hold it.
files_with() { user grep -rlF "$1" "$(state_dir)"; }
# The tokens that the stand-in has given out.
tokens() { fake state | jq -r '.tokens | keys[]'; }
# The different reasons in ListServers.
reasons() { account ListServers | jq -c '[.[0][].reason.data] | unique'; }
# How many requests the stand-in has had.
asked() { fake state | jq .last_n; }

# --- the bus -------------------------------------------------------------------------------

# signalled MEMBER ARGUMENT...: the daemon sent this signal, with (at least) these first arguments.
signalled() {
  local member=$1
  shift
  jq -ne --arg member "$member" '[inputs | select(.type == "signal" and .member == $member)
    | .payload.data[:$ARGS.positional | length] | map(tostring) == $ARGS.positional] | any' \
    --args "$@" < "$OUT/bus.json"
}

# notices: each notice that the notification server was sent, as JSON, one a line.
notices() {
  jq -c 'select(.type == "method_call" and .member == "Notify") | .payload.data
    | {replaces: .[1], icon: .[2], title: .[3], text: .[4], actions: .[5], urgency: .[6].urgency.data,
       desktop: .[6]["desktop-entry"].data}' "$OUT/bus.json"
}

# noticed PATTERN: prints the notices whose title and text match; fails if there are none.
noticed() { notices | jq -r '"\(.title) / \(.text)" | gsub("\n"; " ")' | grep -E "$1"; }

# shot FILE [CLASS]: a picture of the screen, on which there must be a notification, a window of
# this class.
shot() {
  within 5 user env DISPLAY=:5 xdotool search --onlyvisible --class "${2:-xfce4-notifyd}"
  user /bed/desktop.sh shot "/tmp/$1"
  # servers show notifications in this corner
  root convert "/tmp/$1" -gravity NorthEast -crop 480x240+0+0 +repage png:- > "$OUT/$1"
  [ -s "$OUT/$1" ]
}

# --- plex.tv -------------------------------------------------------------------------------

# fake WHAT [JSON]: the stand-in's control interface; see tests/fake-plextv/README.md.
fake() {
  if [ $# = 1 ]; then
    root curl --fail --silent --show-error "https://plex.tv/fake/$1"
  else
    root curl --fail --silent --show-error --json "$2" "https://plex.tv/fake/$1"
  fi
}

# absent ID, present ID: a server goes, so that plex.tv lists it as not present and its own
# address doesn't answer; and comes back.
absent() { fake presence "{\"id\": \"$1\", \"present\": false, \"probe\": \"down\"}"; }
present() { fake presence "{\"id\": \"$1\", \"present\": true, \"probe\": \"up\"}"; }
