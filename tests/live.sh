#!/usr/bin/env bash
# Walks a person with a Plex account through what nobody could try yet, and writes a report that can
# be posted: what plex.tv does where docs/live.md has an open question.
#
#   tests/live.sh [REPORT]          (make live; the report is live-report.txt unless named)
#
# Asks before each step; Enter alone means no. Has a bus, a state folder and a client identifier of
# its own, so that it meets no plex-accountd of yours, and signs itself out at the end, also on
# Ctrl-C. Nothing of the account goes into the report: no name, code, link, address or identifier.
#
# Programs: $PLEX_ACCOUNTD and $PLEX_ACCOUNT where set, else those of target/release. $LIVE_SETTINGS
# is a file of further settings, such as where a stand-in for plex.tv is.
# shellcheck disable=SC2317 # functions that are called by name
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

report=${1:-live-report.txt}
daemon_program=${PLEX_ACCOUNTD:-target/release/plex-accountd}
plex_account=${PLEX_ACCOUNT:-target/release/plex-account}
TRIES=${LIVE_TRIES:-300} # seconds that something is waited for

for program in dbus-daemon jq "$daemon_program" "$plex_account"; do
  command -v "$program" > /dev/null || {
    echo "tests/live.sh: $program is needed (Debian: dbus-daemon, jq; plex-accountd by make)" >&2
    exit 1
  }
done

# ---- how it ends --------------------------------------------------------------------------------

tmp=$(mktemp -d /tmp/plex-live.XXXXXX)
chmod 700 "$tmp"
pids=()
account() { "$plex_account" "$@" 2>> "$tmp/errors"; }
# What the service says of the account, also where nobody is signed in.
status() { account status --json || :; }
state() { status | jq -r .state; }
cleanup() {
  local status=$? i
  trap '' INT TERM HUP
  set +e
  if [ -n "${daemon:-}" ] && [ "$(state)" != signed-out ]; then
    sign_out
  fi
  for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
    kill "${pids[i]}" 2> /dev/null || :
    wait "${pids[i]}" 2> /dev/null || :
  done
  rm -rf "$tmp"
  exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

# ---- what is asked and written ------------------------------------------------------------------

say() { printf '\n%s\n' "$*"; }
# yes QUESTION: whether the person says yes.
yes() {
  local answer
  printf '%s [y/N] ' "$1"
  read -r answer || exit 1
  [[ $answer == [yY]* ]]
}
# ready QUESTION: waits for Enter.
ready() {
  printf '%s [Enter] ' "$1"
  read -r _ || exit 1
}
# note WHAT...: a line of the report.
note() { printf '%s\n' "$*" >> "$tmp/report"; }
# answer NUMBER QUESTION: the person's word on it, for the report.
answer() {
  if yes "$2"; then note "$1 $2 yes"; else note "$1 $2 no"; fi
}

# ---- what it does -------------------------------------------------------------------------------

sign_out() {
  local revoked
  account logout > /dev/null || :
  revoked=$(status | jq -r '.details.revoked')
  note "sign-out: taken back at plex.tv: $revoked"
  say "Signed out; taken back at plex.tv: $revoked."
  [ "$revoked" = true ] ||
    say 'Remove the device "plex-accountd live test" yourself: https://app.plex.tv/desktop/#!/settings/devices/all'
}

# settings SEND_ORIGIN
settings() {
  mkdir -p "$XDG_CONFIG_HOME/plex-accountd"
  {
    printf '[device]\nname = "plex-accountd live test"\n[token]\nstore = "file"\n'
    printf '[refresh]\ninterval = "30s"\n[presence]\ngrace = "0s"\n[login]\nsend_origin = %s\n' "$1"
    [ -z "${LIVE_SETTINGS:-}" ] || cat "$LIVE_SETTINGS"
  } > "$XDG_CONFIG_HOME/plex-accountd/config.toml"
  if [ -n "${daemon:-}" ]; then
    kill "$daemon"
    wait "$daemon" || :
    unset 'pids[-1]'
  fi
  # Ctrl-C is for this script alone, which needs both for the sign-out.
  setsid "$daemon_program" > "$tmp/daemon.log" 2>&1 &
  daemon=$!
  pids+=("$daemon")
  within 10 answers
}
answers() { [ -n "$(state)" ]; }
# within SECONDS COMMAND...: whether it succeeds in time. Prints what it printed then.
within() {
  local end=$((SECONDS + $1))
  shift
  until "$@" 2> /dev/null; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.5
  done
}
signed_in() { [ "$(state)" = signed-in ]; }
login_over() { [ "$(state)" != waiting ]; }

# login: begins one, and sets code, link and page.
login() {
  local offer
  offer=$(account login --json --no-wait | head -n 1)
  code=$(jq -r .code <<< "$offer")
  link=$(jq -r .link_url <<< "$offer")
  page=$(jq -r .auth_url <<< "$offer")
  began=$SECONDS
  note "   time until the first of both codes expires, in seconds: $(($(jq .expires_at <<< "$offer") - $(date +%s)))"
}
# finish: waits for the end of it.
finish() {
  within "$TRIES" login_over || say 'Nothing came; on to the next step.'
  note "   ended $(state), $((SECONDS - began)) s after it began"
  say "It ended: $(state)."
}

by_code() {
  note '1. sign-in by code'
  login
  say "On any device: $link and type  $code"
  finish
  signed_in || return 0
  note '   a code works while a second one of the same client identifier is there: yes (9)'
  sign_out
  answer '   (3)' 'Is "plex-accountd live test" gone from https://app.plex.tv/desktop/#!/settings/devices/all ?'
}

# by_browser SEND_ORIGIN
by_browser() {
  note "2. sign-in by browser with callback, login.send_origin = $1"
  settings "$1"
  login
  say 'Open this in a browser on this computer, look at it, and allow it:'
  say "$page"
  answer '   (7)' 'Did the page show what to allow?'
  answer '   (IPv6)' 'Did it show a red "Security Alert"?'
  answer '   (origin)' 'Did it say that the app is not hosted by Plex?'
  finish
  answer '   (8)' 'Did the browser come back to a page that says "You are signed in to Plex"?'
  signed_in || return 0
  $keep || sign_out
}

lists() {
  note '3. server list'
  account refresh > /dev/null || note '   refresh failed'
  note "   servers: $(account servers --json | jq -c '[.[] | {owned, state, reason, presence}]')"
  note "   plex.tv: $(status | jq -r .plex_tv)"
}

# owned: the states of the person's servers, as the report may have them.
owned() { account servers --json | jq -c '[.[] | select(.owned) | [.state, .presence]]'; }
changed() {
  account refresh > /dev/null || :
  [ "$(owned)" != "$before" ]
}
presence() {
  local what began
  note '4. presence of a server (5)'
  for what in stop start; do
    before=$(owned)
    note "   before the $what: $before"
    ready "$what one of your own servers now, and press Enter at the same moment."
    began=$SECONDS
    # Each change that comes within the time, with when.
    while within "$TRIES" changed; do
      before=$(owned)
      note "   $((SECONDS - began)) s after the $what: $before"
      say "$((SECONDS - began)) s: $before"
      yes 'Wait for another change?' || break
    done
  done
}

# ---- all of it ----------------------------------------------------------------------------------

say 'This signs in to your Plex account some times, looks at your server list, and signs out again.
Each step is asked for before it is done. What it will write, you see before it is kept.'
yes 'Begin?' || exit 0

export XDG_RUNTIME_DIR=$tmp/run XDG_CONFIG_HOME=$tmp/config XDG_STATE_HOME=$tmp/state
export DBUS_SESSION_BUS_ADDRESS=unix:path=$tmp/bus
unset STATE_DIRECTORY CREDENTIALS_DIRECTORY NOTIFY_SOCKET DISPLAY WAYLAND_DISPLAY
mkdir -m 700 "$XDG_RUNTIME_DIR"
setsid dbus-daemon --config-file=tests/support/bus.conf --address="$DBUS_SESSION_BUS_ADDRESS" --nofork --nopidfile \
  > "$tmp/bus.log" 2>&1 &
pids+=($!)
within 10 test -S "$tmp/bus"
settings false

note "plex-accountd $("$daemon_program" --version | sed 's/.* //'), $(date -u +%Y-%m-%d)"
note "IPv6 by default route: $(awk '$1 ~ /^0+$/ && $2 == "00" && $NF != "lo" { said = "yes" }
  END { print said ? said : "no" }' /proc/net/ipv6_route 2> /dev/null || echo no)"
note "proxy: $(if [ -n "${HTTPS_PROXY:-${https_proxy:-}}" ]; then echo yes; else echo no; fi)"

if yes '1. Sign in by a code that is typed at plex.tv/link?'; then by_code; fi
keep=false
if yes '2a. Sign in by a browser on this computer?'; then
  yes '    Also once more with login.send_origin afterwards?' || keep=true
  by_browser false
  $keep || { keep=true && by_browser true; }
fi
if signed_in; then
  if yes '3. Look at the server list?'; then lists; fi
  if yes '4. Stop and start one of your servers, to see when that shows?'; then presence; fi
  if yes '5. Sign out?'; then sign_out; fi
fi
note "asked to wait by plex.tv (4): $(grep -c 'fewer requests\|rate' "$tmp/daemon.log" || :) times in the log"

# Nothing of the account is in it, or there is none.
for secret in "${code:-}" "$(cat "$XDG_STATE_HOME"/plex-accountd/client-id 2> /dev/null || :)"; do
  if [ -n "$secret" ] && grep -qF "$secret" "$tmp/report"; then
    echo 'tests/live.sh: a secret would be in the report; it is not written' >&2
    exit 1
  fi
done
say 'The report:'
cat "$tmp/report"
if yes "Keep it as $report?"; then
  cp "$tmp/report" "$report"
  say "Kept. Thank you: post $report where you found this."
fi
