#!/usr/bin/env bash
# Shows plex-accountd at work, without a Plex account, a desktop or the internet: a session bus of
# its own, a stand-in for plex.tv, the daemon, and a notification server that prints.
#
#   tests/demo.sh
#
# Touches nothing of yours: everything lives in a temporary folder and ends with the script, also
# on Ctrl-C. Fails if anything that it announces does not happen. Needs bash, coreutils, grep and
# dbus-daemon (Debian: dbus-daemon); shows a busctl call where there is a busctl.
#
# Programs: $PLEX_ACCOUNTD, $PLEX_ACCOUNT, $FAKE_PLEXTV and $DEMO_NOTIFICATIONS where set; else built
# by cargo; else what lies in target/release or target/debug.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# ---- how it looks -------------------------------------------------------------------------------

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
  bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' plain=$'\e[0m'
else
  bold='' dim='' red='' plain=''
fi
step=0
say() {
  step=$((step + 1))
  printf '\n%s%d. %s%s\n' "$bold" "$step" "$*" "$plain"
  # A person wants to read it.
  if [ -t 1 ]; then sleep 1; fi
}
note() { printf '%s   %s%s\n' "$dim" "$*" "$plain"; }
indented() { while IFS= read -r line; do printf '   %s\n' "$line"; done; }

fail() {
  printf '\n%sThe demo failed: %s%s\n' "$red" "$*" "$plain" >&2
  local log
  for log in accountd notifications plextv bus login; do
    [ -s "$tmp/$log.log" ] || continue
    printf -- '--- the last lines of %s:\n' "$log" >&2
    tail -n 15 "$tmp/$log.log" >&2
  done
  exit 1
}

# ---- how it ends --------------------------------------------------------------------------------

tmp=$(mktemp -d "${TMPDIR:-/tmp}/plex-demo.XXXXXX")
# A socket's path has to be short.
if [ ${#tmp} -gt 80 ]; then
  rmdir "$tmp"
  tmp=$(mktemp -d /tmp/plex-demo.XXXXXX)
fi
pids=()
cleanup() {
  local status=$? i pid alive
  trap '' INT TERM HUP
  # The last started is the first to go. What a program says when its bus goes is of no interest.
  for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
    kill -TERM "${pids[i]}" 2> /dev/null || :
  done
  for ((i = 0; i < 50; i++)); do
    alive=0
    for pid in "${pids[@]}"; do
      if kill -0 "$pid" 2> /dev/null; then alive=1; fi
    done
    [ "$alive" = 1 ] || break
    sleep 0.1
  done
  for pid in "${pids[@]}"; do
    kill -KILL "$pid" 2> /dev/null || :
    wait "$pid" 2> /dev/null || :
  done
  rm -rf "$tmp"
  exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

# start NAME COMMAND...: runs in the background, with its output in NAME.log.
start() {
  local name=$1
  shift
  "$@" > "$tmp/$name.log" 2>&1 < /dev/null &
  pids+=($!)
}

# until_ok SECONDS WHAT COMMAND...: repeats a command until it succeeds.
until_ok() {
  local end=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" > /dev/null 2>&1; do
    [ $SECONDS -lt "$end" ] || fail "$what did not happen in time"
    sleep 0.1
  done
}

# ---- the programs -------------------------------------------------------------------------------

if [ -z "${PLEX_ACCOUNTD:-}${PLEX_ACCOUNT:-}${FAKE_PLEXTV:-}${DEMO_NOTIFICATIONS:-}" ] &&
  command -v cargo > /dev/null; then
  echo 'Building (the first time takes a few minutes).'
  cargo build --locked -p plex-accountd -p plex-account-cli -p fake-plextv --bins --example demo-notifications
  profiles=debug
else
  profiles='release debug'
fi
find_program() {
  local folder
  for folder in $profiles; do
    if [ -x "${CARGO_TARGET_DIR:-target}/$folder/$1" ]; then
      printf '%s' "${CARGO_TARGET_DIR:-target}/$folder/$1"
      return
    fi
  done
  echo "demo.sh: there is no ${1##*/}; make it with: cargo build --workspace --bins --examples" >&2
  return 1
}
accountd=${PLEX_ACCOUNTD:-$(find_program plex-accountd)}
plex_account=${PLEX_ACCOUNT:-$(find_program plex-account)}
plextv=${FAKE_PLEXTV:-$(find_program fake-plextv)}
notifications=${DEMO_NOTIFICATIONS:-$(find_program examples/demo-notifications)}
command -v dbus-daemon > /dev/null || {
  echo 'demo.sh: dbus-daemon is missing (Debian: apt install dbus-daemon)' >&2
  exit 1
}

# plex-account as a person types it, from here on.
ctl() { "$plex_account" "$@"; }
show() {
  printf '   $ plex-account %s\n' "$*"
  ctl "$@" 2>&1 | indented
}

# ---- a home of its own --------------------------------------------------------------------------

export HOME=$tmp/home
export XDG_CONFIG_HOME=$HOME/.config XDG_STATE_HOME=$HOME/.local/state
export XDG_CACHE_HOME=$HOME/.cache XDG_DATA_HOME=$HOME/.local/share XDG_RUNTIME_DIR=$tmp/run
mkdir -p "$XDG_CONFIG_HOME/plex-accountd" "$XDG_STATE_HOME" "$XDG_CACHE_HOME" "$XDG_DATA_HOME"
mkdir -m 700 "$XDG_RUNTIME_DIR"
# What this shell may have from systemd, a proxy or a desktop is not the demo's.
unset STATE_DIRECTORY CREDENTIALS_DIRECTORY NOTIFY_SOCKET WATCHDOG_USEC WATCHDOG_PID
unset JOURNAL_STREAM INVOCATION_ID DISPLAY WAYLAND_DISPLAY
unset HTTP_PROXY HTTPS_PROXY ALL_PROXY http_proxy https_proxy all_proxy
# No system bus either: whether this machine is online must not matter.
export DBUS_SYSTEM_BUS_ADDRESS=unix:path=$tmp/no-system-bus

SECONDS=0
say 'A session bus, a stand-in for plex.tv and a place for notifications'
start bus dbus-daemon --config-file=tests/support/bus.conf --address="unix:path=$tmp/bus" \
  --nofork --nopidfile --nosyslog --print-address=1
until_ok 10 'the session bus' grep -q '^unix:' "$tmp/bus.log"
export DBUS_SESSION_BUS_ADDRESS=unix:path=$tmp/bus

start plextv "$plextv" --scenario tests/demo-scenario.toml --ready-file "$tmp/plextv.url"
until_ok 10 'the stand-in for plex.tv' test -s "$tmp/plextv.url"
url=$(head -n 1 "$tmp/plextv.url")
url=${url%/}

start notifications "$notifications"
until_ok 10 'the notification server' grep -q 'are shown here' "$tmp/notifications.log"
note "plex.tv is $url for the next minute."

# ask CALL [JSON]: asks the stand-in for something, or with JSON tells it what happens; HTTP by
# bash, so that nobody needs curl.
ask() {
  local answer method=GET json=${2:-}
  [ $# = 1 ] || method=POST
  exec 3<> "/dev/tcp/127.0.0.1/${url##*:}"
  printf '%s /fake/%s HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s' \
    "$method" "$1" "${#json}" "$json" >&3
  answer=$(cat <&3)
  exec 3>&-
  [[ $answer == HTTP/1.?\ 2* ]] || fail "the stand-in for plex.tv refused $*: $answer"
  printf '%s\n' "$answer"
}
order() { ask "$@" > /dev/null; }

notice_has_come() {
  tail -n "+$((shown + 1))" "$tmp/notifications.log" | grep -F "│ $1 " > /dev/null &&
    tail -n 1 "$tmp/notifications.log" | grep '^╰' > /dev/null
}

# notice SUMMARY: waits until a notification with this summary has come, and shows what is new.
shown=1
notice() {
  until_ok 30 "the notification '$1'" notice_has_come "$1"
  tail -n "+$((shown + 1))" "$tmp/notifications.log" | indented
  shown=$(wc -l < "$tmp/notifications.log")
}

# ---- the daemon ---------------------------------------------------------------------------------

say 'The daemon starts; nobody is signed in'
cat > "$XDG_CONFIG_HOME/plex-accountd/config.toml" << TOML
# Short times, which the daemon takes only because this plex.tv is on loopback.
[plextv]
base_url = "$url"
clients_url = "$url"
auth_url = "$url/auth"
link_url = "$url/link"

[login]
poll_interval = "500ms"

[refresh]
interval = "2s"

[presence]
grace = "3s"
TOML
start accountd "$accountd"
# 3: it answers, and there is no account. (5: it is not there yet.)
signed_out() {
  local status=0
  ctl status || status=$?
  [ "$status" = 3 ]
}
until_ok 20 'the start of plex-accountd' signed_out
show status || :

say 'A login: somebody types the code on the plex.tv page'
printf '   $ plex-account login\n'
start login "$plex_account" login
login=$!
until_ok 20 'the code' grep -q "$url" "$tmp/login.log"
indented < "$tmp/login.log"
said=$(wc -l < "$tmp/login.log")
note '… and now the code is approved there.'
order approve '{"which": "short"}'
for ((i = 0; i < 300; i++)); do
  kill -0 "$login" 2> /dev/null || break
  sleep 0.1
done
kill -0 "$login" 2> /dev/null && fail 'plex-account login did not end after the code was approved'
wait "$login" || fail "plex-account login failed with exit code $?"
tail -n "+$((said + 1))" "$tmp/login.log" | indented
notice 'Signed in to Plex'

say 'The servers of the account, for people and for programs'
servers_have() { ctl servers | grep -F "$1" | grep -qiw "$2"; }
until_ok 20 'a list with Attic online' servers_have Attic online
show servers || fail 'plex-account servers failed'
if command -v busctl > /dev/null; then
  service='org.plexaccountd.Account1 /org/plexaccountd/Account1 org.plexaccountd.Account1'
  printf '   $ busctl --user call %s ListServers\n' "$service"
  # shellcheck disable=SC2086 # three words
  list=$(busctl --address="$DBUS_SESSION_BUS_ADDRESS" call $service ListServers)
  [[ $list == 'aa{sv} 3 '*'"attic-5f1d3c"'* ]] || fail "ListServers answered: ${list:0:300}"
  printf '   %s …\n' "${list:0:240}"
fi

say 'The server Attic loses its connection to Plex'
note 'Said after the grace time (here 3 s), once a second list says the same.'
order presence '{"id": "attic-5f1d3c", "present": false, "probe": "down"}'
notice 'Attic is offline'
servers_have Attic offline || fail 'plex-account servers does not say that Attic is offline'
show servers || fail 'plex-account servers failed'

say 'Attic comes back; the notification takes the place of the one before'
order presence '{"id": "attic-5f1d3c", "present": true, "probe": "up"}'
notice 'Attic is back'
tail -n 5 "$tmp/notifications.log" | grep -F 'in place of the earlier one' > /dev/null ||
  fail 'the notification stands beside the one that it should replace'
servers_have Attic online || fail 'plex-account servers does not say that Attic is online'

say 'Signing out: forgotten here, revoked there'
show logout || fail 'plex-account logout failed'
signed_out > /dev/null 2>&1 || fail 'plex-account status does not say that nobody is signed in'
show status || :
ask log | grep -F /api/v2/users/signout > /dev/null || fail 'plex.tv was not told of the sign-out'

printf '\n%sThat is all of it, in %d seconds.%s For the real plex.tv: make install.\n' \
  "$bold" "$SECONDS" "$plain"
