#!/bin/bash
# Signs in, lists the account's servers and prints a line whenever one changes its state.
# Needs busctl (systemd) and jq. Ctrl-C ends it.
set -euo pipefail

name=org.plexaccountd.Account1
object=/org/plexaccountd/Account1

call() { busctl --user --json=short call "$name" "$object" "$name" "$1"; }

# What happens at the object, one message a line. Listening comes before the first look, so that
# nothing falls between the two; busctl listens once it shows a call of our own.
exec {news}< <(busctl --user --json=short monitor --match="path='$object'" 2> /dev/null)
monitor=$!
trap 'kill "$monitor"' EXIT
until read -r -t 0 -u "$news"; do call LoginStatus > /dev/null; done

state=$(call LoginStatus | jq -r '.data[0]')
case $state in
signed-in) ;;
signed-out | rejected | waiting)
  call StartLogin | jq -r '.data | "Type \(.[0]) at \(.[1]), or open \(.[2])"'
  until [[ ${line-} = *'"member":"LoginFinished"'* ]]; do read -r -u "$news" line; done
  jq -r '.payload.data | "Login \(.[0]). \(.[1])"' <<< "$line"
  jq -e '.payload.data[0] == "succeeded"' <<< "$line" > /dev/null || exit 1
  call Refresh > /dev/null # comes back when the servers are there
  ;;
*) # locked, or not known yet
  echo "The account is $state." >&2
  exit 1
  ;;
esac

call ListServers | jq -r '.data[0][] | "\(.name.data): \(.state.data)"'

jq --unbuffered -r 'select(.member == "ServerStateChanged").payload.data
  | "\(.[1]): \(.[3]) -> \(.[4])"' <&"$news"
