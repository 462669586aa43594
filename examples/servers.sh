#!/bin/bash
# Signs in, lists the account's servers and prints a line whenever one changes its state.
# Needs busctl (systemd) and jq. Ends with Ctrl-C.
set -euo pipefail

name=org.plexaccountd.Account1
object=/org/plexaccountd/Account1

call() { busctl --user --json=short call "$name" "$object" "$name" "$1"; }
property() { busctl --user --json=short get-property "$name" "$object" "$name" "$1" | jq .data; }

if [ "$(property SignedIn)" = false ]; then
  call StartLogin | jq -r '"Type \(.data[0]) at \(.data[1])"'
  until [ "$(property SignedIn)" = true ]; do sleep 1; done
  call Refresh > /dev/null
fi

call ListServers | jq -r '.data[0][] | "\(.name.data): \(.state.data)"'

busctl --user --json=short monitor \
  --match="type='signal',interface='$name',member='ServerStateChanged'" |
  jq --unbuffered -r 'select(.member == "ServerStateChanged").payload.data
    | "\(.[1]): \(.[2]) -> \(.[3])"'
