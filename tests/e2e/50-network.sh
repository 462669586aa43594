#!/bin/bash
# What is said of servers when it is the network that is gone, or the machine that sleeps: with a
# real NetworkManager, a real logind, and a router that has plex.tv, a portal, rebinding protection
# and the servers behind it. Nobody is told that a server is offline while it can't be known.
# shellcheck disable=SC2016,SC2119 # $ is for the shell in there; arguments may be left out
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

HASH=0123456789abcdef0123456789abcdef
OTHER=fedcba9876543210fedcba9876543210
NEAR=10-99-0-1.$HASH.plex.direct   # on the same cable
FAR=198-51-100-7.$HASH.plex.direct # somewhere beyond the router
GRACE=6

# --- the world behind the cable

behind() { root nsenter --net=/run/netns/far "$@"; }
service() {
  local name=$1
  shift
  root systemd-run --quiet --collect --unit="$name" -p NetworkNamespacePath=/run/netns/far "$@"
}
fake() {
  behind curl --fail --silent --show-error ${2:+--json "$2"} "https://plex.tv/fake/$1"
}
delete() {
  behind curl --fail --silent --show-error --request DELETE --json "$2" "https://plex.tv/fake/$1" \
    > /dev/null
}
# server_at NAME ID PORT: the answer of a server at its own address.
server_at() {
  root mkdir -p "/run/$1"
  root sh -c 'echo "{\"MediaContainer\": {\"machineIdentifier\": \"$0\"}}" > "/run/$1/identity"' "$2" "$1"
  service "$1" -p WorkingDirectory="/run/$1" openssl s_server -quiet -WWW -accept "$3" \
    -cert /bed/tls/plex.crt -key /bed/tls/plex.key
}
connection() {
  echo "{\"protocol\": \"https\", \"uri\": \"https://$1:$2\", \"address\": \"$3\", \"port\": $2, \"local\": $4}"
}
add() { fake server "{\"id\": \"$1\", \"name\": \"$2\", \"presence\": true, \"connections\": [$3]}"; }

world() {
  NAMES="plex.tv clients.plex.tv app.plex.tv *.$HASH.plex.direct" \
    "$BED/fake-dns-tls.sh" certs "$BED_SHARE/tls"
  root sh -c 'cat /bed/tls/ca.pem >> /etc/ssl/certs/ca-certificates.crt
    rm -f /etc/resolv.conf; echo nameserver 10.99.0.1 > /etc/resolv.conf'
  cp "$BED/examples/network.sh" "$BED/examples/suspend.sh" "$BED_SHARE/"
  # Names are plex.tv's business, not NetworkManager's.
  sed -i 's/plugins=keyfile/&\\ndns=none/' "$BED_SHARE/network.sh"
  root sh /bed/network.sh
  behind ip addr add 198.51.100.7/32 dev lo
  service names dnsmasq --keep-in-foreground --user=root --no-resolv --no-hosts \
    --listen-address=127.0.0.1 --port=5353 --bind-interfaces --conf-file=/dev/null \
    --pid-file=/run/names.pid --address=/plex.tv/10.99.0.1 --address=/plex.direct/10.99.0.1
  service router dnsmasq --keep-in-foreground --user=root --no-resolv --no-hosts \
    --listen-address=10.99.0.1 --bind-interfaces --conf-file=/dev/null --pid-file=/run/router.pid \
    --server=127.0.0.1#5353 --stop-dns-rebind --rebind-domain-ok=/plex.tv/
  service fake-plextv /bed/fake-plextv --allow-any-address --listen https://10.99.0.1:443 \
    --cert /bed/tls/plex.crt --key /bed/tls/plex.key
  within 10 fake state
}

boot
ok 'a network with plex.tv behind it' world
desktop
config "[presence]
grace = \"${GRACE}s\"
[refresh]
interval = \"30s\"
[notifications]
login = false"

# --- what is looked at

states() { account ListServers | jq -c '[.[0][] | "\(.name.data) \(.state.data) \(.reason.data)"] | sort'; }
# How many requests plex.tv has had.
asked() { fake state | jq .last_n; }
# portal, full, …: what NetworkManager says.
network_says() { equals "$1" root nmcli --terse --get-values CONNECTIVITY general status; }
# A list that was asked for after request N; prints the milliseconds since START.
list_after() {
  fake "wait?endpoint=v2&after=$1&answered=1&timeout_ms=70000" > /dev/null
  echo $((${EPOCHREALTIME//[.,]/} / 1000 - $2))
}
now() { echo $((${EPOCHREALTIME//[.,]/} / 1000)); }

delete server '{"all": true}'
ok 'a server on the same cable' server_at attic a77c 32400
ok 'and one beyond the router' server_at cellar ce11 32401
add a77c Attic "$(connection "$NEAR" 32400 10.99.0.1 true)" > /dev/null
add ce11 Cellar "$(connection "$FAR" 32401 198.51.100.7 false)" > /dev/null
ok 'NetworkManager says full' within 10 network_says full
ok 'sign in' sign_in

# --- a resolver that answers nothing for plex.direct

ok 'nothing is answered for the name of Attic' not user getent ahosts "$NEAR"
ok 'by rebinding protection' within 10 has 'possible DNS-rebind attack detected' \
  root journalctl --unit=router --output=cat --no-pager
ok 'it is reached all the same' within 10 equals local server Attic route
ok 'at that name' equals "https://$NEAR:32400" server Attic best_uri
ok 'Cellar too, from afar' within 10 equals remote server Cellar route
add a77c Attic "$(connection "10-99-0-1.$OTHER.plex.direct" 32400 10.99.0.1 true)" > /dev/null
ok 'not with a certificate for another name' within 15 refreshed Attic route none
add a77c Attic "$(connection "$NEAR" 32400 10.99.0.1 true)" > /dev/null
ok 'with its own it is' within 15 refreshed Attic route local
# --- a captive portal

all_notices() { notices | jq -r .title; }
last_notice() { all_notices | tail -1; }
portal='<html><head><meta http-equiv="refresh" content="0; url=https://login.example/"></head></html>'
# It answers whatever is asked of anybody beyond it.
fake fault "$(jq -n --arg body "$portal" \
  '{endpoint: "*", status: 200, $body, content_type: "text/html"}')" > /dev/null
root sh -c "echo '$portal' > /run/check/ok"
ok 'a portal comes up: NetworkManager says so' within 10 network_says portal
ok 'Refresh is tried, and fails' within 8 fails 1 plex.tv account Refresh
ok 'what was seen a moment ago still holds: the portal answers, so there is a network' equals \
  '["Attic online plex-tv","Cellar online plex-tv"]' states
ok 'nobody was told anything' equals '' all_notices

root sh -c "echo 'NetworkManager is online' > /run/check/ok"
delete fault '{}'
asked=$(asked) since=$(now)
ok 'somebody signs in there: NetworkManager says full' within 10 network_says full
after=$(list_after "$asked" "$since")
ok "a list is asked for ($after ms later)" test "$after" -ge 3000 -a "$after" -lt 9000
ok 'both are online' within 10 equals '["Attic online plex-tv","Cellar online plex-tv"]' states

# --- unplugged

asked=$(asked)
behind ip link set far0 down
ok 'unplugged: every server is unknown at once' \
  within 15 equals '["Attic unknown network-down","Cellar unknown network-down"]' states
ok 'NetworkManager says none' network_says none
ok 'no look is planned' equals 0 property NextRefresh
ok 'what a person asks for is tried, and fails' within 8 fails 1 plex.tv account Refresh
ok 'nobody was told anything' equals '' all_notices
ok 'and plex.tv was not asked' equals "$asked" asked
behind ip link set far0 up
since=$(now)
after=$(list_after "$asked" "$since")
# Not more often than once a minute for changes of the network.
ok "plugged in: a list is asked for ($after ms later)" test "$after" -ge 3000
ok 'both are online' within 70 equals '["Attic online plex-tv","Cellar online plex-tv"]' states

# --- suspended, with one server gone just before, one meanwhile, and one that stays

# When logind's journal said last that the machine was awake again, in microseconds.
woke() {
  root journalctl --unit=systemd-logind --output=json --no-pager --grep='(sleep|suspend). finished' |
    jq -rs 'last | .__REALTIME_TIMESTAMP | tonumber'
}
# called_offline NAME: when it was, likewise.
called_offline() {
  jq -r --arg name "$1" 'select(.type == "signal" and .member == "ServerStateChanged"
    and .payload.data[1] == $name and .payload.data[4] == "offline") | .["timestamp-realtime"]' \
    "$OUT/bus.json" | grep .
}
gone() {
  fake presence "{\"id\": \"$1\", \"present\": false}" > /dev/null
  root systemctl stop "$2"
}
# Lists that plex.tv was asked for after request N.
lists_after() {
  fake log | jq --argjson n "$1" '[.[] | select(.n > $n and .endpoint == "v2")] | length'
}
root sh /bed/suspend.sh 5
ok 'a third server' server_at barn ba44 32402
add ba44 Barn "$(connection "$NEAR" 32402 10.99.0.1 true)" > /dev/null
ok 'is listed' within 15 refreshed Barn route local
gone ce11 cellar
ok 'Cellar goes, and is seen to' within 15 refreshed Cellar presence false
root systemctl suspend
gone a77c attic
asked=$(asked)
ok 'the machine sleeps and wakes' within 15 woke
woke=$(woke)
for name in Attic Cellar; do
  ok "$name is called offline" within 40 called_offline $name
  after=$((($(called_offline $name) - woke) / 1000))
  ok "not before a whole grace time ($after ms)" test $after -ge $((GRACE * 1000))
done
ok 'and a list before that and one after' test "$(lists_after "$asked")" -ge 2
ok 'Barn is online' equals online server Barn state
ok 'both that are gone are told in one notice' within 5 equals '2 Plex servers are offline' last_notice
ok 'both are on the screen' shot after-sleep.png
