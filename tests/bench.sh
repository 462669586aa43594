#!/bin/bash
# Measures what plex-accountd costs, and holds it to bounds: start-up and memory beside
# gnome-keyring-daemon, wake-ups, instructions of each call and of a refresh.
#
#   tests/bench.sh [start] [memory] [idle] [calls] [refresh] [traffic]   all, or those named
#
# Every line is a ratio or a count of this one run, so that machines can be compared. Exits
# with 1 if a line is beyond its bound. Touches nothing of yours: a bus, a stand-in for plex.tv
# and all state live in a temporary folder. Takes some four minutes after the build.
#
# Instructions are counted by callgrind as the difference between a number of rounds and twice
# that number, so that start and end are not in it.
# shellcheck disable=SC2317 # functions that are called by name
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

wanted=" ${*:-start memory idle calls refresh traffic} "
wants() { [[ $wanted == *" $1 "* ]]; }

TARGET=${CARGO_TARGET_DIR:-target}
DAEMON=$TARGET/release/plex-accountd
FAKE=$TARGET/release/fake-plextv
BENCH=$TARGET/release/examples/bench
BED=tests/bed
NAME=org.plexaccountd.Account1
TOKEN=bench-token-0123456789
SERVERS=20
# Of a server that is absent, a list is asked for once more when its grace time is over, and one
# that does not answer is asked again: neither is idle.
ALL_PRESENT='{"all": true, "present": true, "probe": "up"}'
# What `rep movsb` copies, callgrind counts byte by byte; so copy otherwise.
export GLIBC_TUNABLES=glibc.cpu.x86_rep_movsb_threshold=100000000

cargo build --release --locked -p plex-accountd --bins
cargo build --release --locked -p fake-plextv
cargo build --release --locked --example bench

# ---- how it ends ----------------------------------------------------------------------------

tmp=$(mktemp -d /tmp/plex-bench.XXXXXX)
pids=()
cleanup() {
  local status=$?
  trap '' INT TERM
  [ ! -e "$tmp/bed-is-up" ] || "$BED/boot-systemd.sh" stop > /dev/null 2>&1 || :
  ((${#pids[@]} == 0)) || kill "${pids[@]}" 2> /dev/null || :
  wait 2> /dev/null || :
  rm -rf "$tmp"
  exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

die() {
  echo "tests/bench.sh: $*" >&2
  tail -n 5 "$tmp"/*.log >&2 || :
  exit 1
}

# until_ok WHAT COMMAND...: repeats a command for ten seconds at most.
until_ok() {
  local what=$1 end=$((SECONDS + ${PATIENCE:-10}))
  shift
  until "$@" > /dev/null 2>&1; do
    [ $SECONDS -lt $end ] || die "not in time: $what"
    sleep 0.05
  done
}

# ---- the table ------------------------------------------------------------------------------

failed=0
# line WHAT MEASURED BOUND REMARK: one line; BOUND is the highest good value, or - for none.
line() {
  local what=$1 measured=$2 bound=$3 remark=${4:-} word=ok
  if [ "$bound" = - ]; then
    word=-
  elif ! awk -v measured="$measured" -v bound="$bound" 'BEGIN { exit !(measured <= bound) }'; then
    word=FAIL failed=1
  fi
  printf '%-56s %11s %11s  %-4s %s\n' "$what" "$measured" "$bound" "$word" "$remark"
}
# ratio A B [DIGITS]
ratio() { awk -v a="$1" -v b="$2" -v digits="${3:-2}" 'BEGIN { printf "%.*f\n", digits, a / b }'; }

# ---- what it runs in ------------------------------------------------------------------------

export XDG_RUNTIME_DIR=$tmp/run HOME=$tmp/home
unset XDG_CONFIG_HOME XDG_STATE_HOME STATE_DIRECTORY NOTIFY_SOCKET WATCHDOG_USEC WATCHDOG_PID
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
mkdir -m 700 "$XDG_RUNTIME_DIR" "$HOME"

# A gnome-keyring-daemon that this bus had activated would leave no name for the one that is timed.
dbus-daemon --config-file=tests/support/bus.conf --address="unix:path=$tmp/bus" --nofork --nopidfile \
  > "$tmp/bus.log" 2>&1 &
bus=$!
pids+=("$bus")
export DBUS_SESSION_BUS_ADDRESS=unix:path=$tmp/bus
until_ok 'the bus' test -S "$tmp/bus"

"$FAKE" --listen http://127.0.0.1:0 --listen https://127.0.0.1:0 --make-certs "$tmp/certs" \
  --token "$TOKEN" --ready-file "$tmp/addresses" > "$tmp/plextv.log" 2>&1 &
pids+=($!)
until_ok 'the stand-in for plex.tv' test -s "$tmp/addresses"
http=$(grep '^http:' "$tmp/addresses")
https=$(grep '^https:' "$tmp/addresses")
# Among as many authorities as a real system trusts.
cat /etc/ssl/certs/ca-certificates.crt "$tmp/certs/ca.pem" > "$tmp/authorities.pem"
unset SSL_CERT_DIR
export SSL_CERT_FILE=$tmp/authorities.pem

servers() { curl -fsS -d "{\"count\": $1}" "$http/fake/servers" > /dev/null; }
# lists COUNT: what plex.tv says of so many servers, in v2-COUNT.xml and v1-COUNT.xml.
lists() {
  servers "$1"
  local list
  for list in v2:api/v2/resources v1:api/resources; do
    curl -fsS -H "X-Plex-Token: $TOKEN" -H 'X-Plex-Client-Identifier: bench' -H 'Accept: application/xml' \
      "$http/${list#*:}?includeHttps=1&includeRelay=1&includeIPv6=1" > "$tmp/${list%:*}-$1.xml"
  done
}

# settings URL: a configuration that points there.
settings() {
  printf '[plextv]\nbase_url = "%s"\nclients_url = "%s"\n' "$1" "$1"
  printf 'auth_url = "%s/auth"\nlink_url = "%s/link"\n' "$1" "$1"
}
settings "$http" > "$tmp/http.toml"
settings "$https" > "$tmp/https.toml"
# A port where nobody answers: the start alone.
settings http://127.0.0.1:9 > "$tmp/nobody.toml"

# account DIRECTORY: an account that is signed in.
account() {
  mkdir -p "$1"
  chmod 700 "$1"
  printf '{"version": 1, "token": "%s", "client_id": "%s", "user": %s, "signed_in_at": 1790000000}\n' \
    "$TOKEN" bench '{"id": 42, "username": "ada", "title": "Ada", "email": "ada@example.org", "thumb": ""}' \
    > "$1/token.json"
  printf '{"version": 1, "store": "file", "rejected_since": null, "signed_in_at": 1790000000, "signing_out": false}\n' \
    > "$1/account.json"
  echo bench > "$1/client-id"
  chmod 600 "$1"/*
}
export STATE_DIRECTORY=$tmp/state
account "$STATE_DIRECTORY"

get() {
  busctl --user --json=short call "$NAME" /org/plexaccountd/Account1 org.freedesktop.DBus.Properties Get ss "$NAME" "$1" |
    jq -r '.data[0].data'
}
confirmed() { [ "$(get LastRefresh)" != 0 ] && [ "$(get Stale)" = false ]; }

# daemon CONFIG [COMMAND...]: starts it, by COMMAND if that is given, and waits for its first list.
daemon() {
  local config=$1
  shift
  "$@" "$DAEMON" --config "$config" > "$tmp/daemon.log" 2>&1 &
  daemon=$!
  pids+=("$daemon")
  PATIENCE=60 until_ok 'the first list' confirmed
}
stop() {
  kill "$daemon"
  wait "$daemon" || die 'the daemon did not end well'
  unset 'pids[-1]'
}

# ---- measured -------------------------------------------------------------------------------

start() {
  local ours theirs
  read -r ours theirs < <("$BENCH" start 100 \
    "$NAME" "$DAEMON" --config "$tmp/nobody.toml" -- \
    org.gnome.keyring gnome-keyring-daemon --foreground --components=secrets --control-directory="$tmp/keyring")
  line 'start to bus name / gnome-keyring-daemon'\''s' "$(ratio "$ours" "$theirs")" 0.5 "$ours / $theirs µs, first quartiles of 100"
}

# kib FIELD PID
kib() { awk -v field="$1:" '$1 == field { print $2 }' "/proc/$2/status"; }
megabytes() { awk -v kib="$1" 'BEGIN { printf "%.2f\n", kib * 1.024 / 1000 }'; }
# switches PID: of all threads since they began.
switches() { cat "/proc/$1"/task/*/status | awk '/ctxt_switches/ { sum += $2 } END { print sum }'; }
threads() { [ "$(kib Threads "$1")" = "$2" ]; }

memory() {
  local of_servers of_account rss keyring theirs
  daemon "$tmp/https.toml"
  read -r of_servers of_account < <("$BENCH" unchanged 2)
  line 'signals of a server in 2 refreshes with nothing new' "$of_servers" 0
  line 'PropertiesChanged of Account1 in a refresh with nothing new' "$(ratio "$of_account" 2 1)" 1.0
  [ "$of_account" = 2 ] || failed=1
  "$BENCH" call ListServers 1
  PATIENCE=20 until_ok 'the thread of the look-up ends' threads "$daemon" 1
  rss=$(kib VmRSS "$daemon")
  gnome-keyring-daemon --foreground --components=secrets --control-directory="$tmp/keyring" > "$tmp/keyring.log" 2>&1 &
  keyring=$!
  pids+=("$keyring")
  until_ok 'gnome-keyring-daemon' busctl --user status org.gnome.keyring
  theirs=$(kib VmRSS "$keyring")
  kill "$keyring"
  wait "$keyring" || :
  unset 'pids[-1]'
  line 'RSS after three refreshes by https, MB' "$(megabytes "$rss")" 8.5 "gnome-keyring-daemon: $(megabytes "$theirs")"
  line 'the same / gnome-keyring-daemon'\''s' "$(ratio "$rss" "$theirs")" -
  stop
}

# The real unit in a real user manager, if there is one to be had.
under_the_unit() {
  local share=$tmp/share home=/home/tester
  export BED_STATE=$tmp/bed BED_SHARE=$share
  mkdir -p "$share"
  cp "$DAEMON" "$FAKE" "$share/"
  sed 's|@BINDIR@|/bed|; s|@DOCDIR@|/bed|' systemd/plex-accountd.service > "$share/plex-accountd.service"
  settings http://127.0.0.1:8080 > "$share/config.toml"
  account "$share/state"
  touch "$tmp/bed-is-up"
  "$BED/boot-systemd.sh" start > "$tmp/bed.log" 2>&1 || return 1
  user() { "$BED/boot-systemd.sh" user "$@" 2>> "$tmp/bed.log"; }
  "$BED/boot-systemd.sh" root systemd-run --quiet --unit=fake-plextv \
    /bed/fake-plextv --listen http://127.0.0.1:8080 --token "$TOKEN" >> "$tmp/bed.log" 2>&1 || return 1
  PATIENCE=10 until_ok 'the stand-in in there' "$BED/boot-systemd.sh" root \
    curl -fsS -d "{\"count\": $SERVERS}" http://127.0.0.1:8080/fake/servers
  "$BED/boot-systemd.sh" root curl -fsS -d "$ALL_PRESENT" http://127.0.0.1:8080/fake/presence > /dev/null
  "$BED/boot-systemd.sh" root setpriv --reuid tester --regid tester --init-groups sh -c "
    mkdir -p $home/.config/plex-accountd $home/.config/systemd/user
    cp /bed/config.toml $home/.config/plex-accountd/
    cp /bed/plex-accountd.service $home/.config/systemd/user/"
  "$BED/boot-systemd.sh" root sh -c "
    install -d -o tester -g tester $home/.local $home/.local/state $home/.local/state/plex-accountd
    cp -r /bed/state $home/.local/state/plex-accountd/
    chown -R tester: $home/.local/state/plex-accountd"
  user systemctl --user daemon-reload
  user systemctl --user start plex-accountd || return 1
  unit_pid=$(user systemctl --user show plex-accountd --property=MainPID --value)
}
in_unit() { "$BED/boot-systemd.sh" root cat "/proc/$unit_pid/$1"; }
unit_switches() {
  # shellcheck disable=SC2016 # for the shell in there
  "$BED/boot-systemd.sh" root sh -c 'cat /proc/$1/task/*/status' sh "$unit_pid" |
    awk '/ctxt_switches/ { sum += $2 } END { print sum }'
}
unit_threads() { [ "$(in_unit status | awk '$1 == "Threads:" { print $2 }')" = 1 ]; }
unit_signed_in() {
  "$BED/boot-systemd.sh" user systemctl --user status plex-accountd | grep -q 'Signed in'
}

idle() {
  local before count of='the real unit'
  [ "$(id -u)" = 0 ] || of='the bare process: the unit is tried as root only'
  if [ "$of" = 'the real unit' ]; then
    under_the_unit || die 'the unit did not start'
    PATIENCE=20 until_ok 'the unit is signed in' unit_signed_in
    sleep 3
    PATIENCE=20 until_ok 'one thread in the unit' unit_threads
    before=$(unit_switches)
    sleep 60
    count=$(in_unit status | awk '$1 == "Threads:" { print $2 }')
    before=$(($(unit_switches) - before))
    "$BED/boot-systemd.sh" stop > /dev/null 2>&1
    rm "$tmp/bed-is-up"
  else
    daemon "$tmp/https.toml"
    PATIENCE=20 until_ok 'the thread of the look-up ends' threads "$daemon" 1
    before=$(switches "$daemon")
    sleep 60
    count=$(kib Threads "$daemon")
    before=$(($(switches "$daemon") - before))
    stop
  fi
  line 'threads while idle' "$count" 1 "$of"
  line 'context switches in 60 idle seconds' "$before" 0 "$of"
}

latency() {
  local ping list
  daemon "$tmp/http.toml" taskset --cpu-list 0
  taskset --cpu-list --pid 0 "$bus" > /dev/null
  read -r ping list < <(taskset --cpu-list 0 "$BENCH" latency 2000)
  taskset --cpu-list --pid "0-$(($(nproc --all) - 1))" "$bus" > /dev/null
  line "ListServers ($SERVERS) / Peer.Ping, p50 on one core" "$(ratio "$list" "$ping")" 8 "$list / $ping µs"
  stop
}

# ---- counted --------------------------------------------------------------------------------

callgrind=(valgrind --tool=callgrind --quiet --callgrind-out-file="$tmp/callgrind")
counted() { awk '$1 == "summary:" || $1 == "totals:" { print $2; exit }' "$tmp/callgrind"; }

# of_call METHOD COUNT: instructions of the daemon from start to end with so many calls in between.
of_call() {
  daemon "$tmp/http.toml" "${callgrind[@]}"
  "$BENCH" call "$1" "$2"
  stop
  counted
}
# by_call METHOD BOUND COUNT
by_call() {
  local once twice
  once=$(of_call "$1" "$3")
  twice=$(of_call "$1" $((2 * $3)))
  line "instructions of $1" $(((twice - once) / $3)) "$2"
}
calls() {
  latency
  by_call Ping - 500
  by_call ListServers 60000 500
  by_call LoginStatus 45000 500
  by_call GetAll 65000 500
  by_call GetManagedObjects 1400000 100
}

# of_lists WHAT SERVERS ROUNDS: instructions of one round.
of_lists() {
  local rounds once twice
  for rounds in "$3" $((2 * $3)); do
    once=${twice:-}
    "${callgrind[@]}" "$BENCH" "$1" "$tmp/v2-$2.xml" "$tmp/v1-$2.xml" "$rounds" > "$tmp/lists.log" 2>&1 ||
      die "bench $1"
    twice=$(counted)
  done
  echo $(((twice - once) / $3))
}
refresh() {
  local plain thousand more
  lists 1000
  lists 10000
  plain=$(of_lists plain 1000 2)
  thousand=$(of_lists refresh 1000 2)
  more=$(of_lists refresh 10000 2)
  line 'refresh of 1,000 servers / plain pass over both lists' "$(ratio "$thousand" "$plain")" 4 "$thousand / $plain instructions"
  line 'cost of a server among 10,000 / among 1,000' "$(ratio "$more" $((10 * thousand)))" 1.3
}

# The day's refreshes at the default interval, from what some take: TLS and HTTP, all bytes in both
# directions above TCP. The first, which is the only one with a full handshake, is not in it.
traffic() {
  local count=5 servers bound relay port before after connections total
  while read -r servers bound; do
    servers "$servers"
    curl -fsS -d "$ALL_PRESENT" "$http/fake/presence" > /dev/null
    rm -f "$tmp/wire"
    "$BENCH" relay "${https#https://}" "$tmp/wire" &
    relay=$!
    pids+=("$relay")
    until_ok 'the relay' test -s "$tmp/wire"
    read -r port _ < "$tmp/wire"
    # Two hosts, as plex.tv's are.
    settings "https://127.0.0.1:$port" | sed 's|^clients_url.*|clients_url = "https://localhost:'"$port"'"|' > "$tmp/relay.toml"
    daemon "$tmp/relay.toml"
    sleep 1
    read -r port before connections < "$tmp/wire"
    "$BENCH" unchanged "$count" > /dev/null
    sleep 1
    read -r port after total < "$tmp/wire"
    stop
    kill "$relay"
    wait "$relay" || :
    unset 'pids[-1]'
    line "a day's traffic with $servers servers, MB" \
      "$(awk -v bytes=$((after - before)) -v count="$count" 'BEGIN { printf "%.2f", bytes / count * 288 / 1e6 }')" "$bound" \
      "$(((after - before) / count)) bytes and $(ratio $((total - connections)) "$count" 1) connections a refresh, $before the first"
  done <<< $'3 1.5\n20 4'
}

# ---- all of it ------------------------------------------------------------------------------

printf '%-56s %11s %11s\n' '' measured bound
# The list that the others start with is made by a first run.
servers $SERVERS
curl -fsS -d "$ALL_PRESENT" "$http/fake/presence" > /dev/null
daemon "$tmp/http.toml"
stop
for part in start memory idle calls refresh traffic; do
  ! wants $part || $part
done
exit $failed
