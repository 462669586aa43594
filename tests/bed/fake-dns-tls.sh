#!/bin/bash
# Lets plex.tv be the machine itself: its names lead to 127.0.0.1, and a certificate for them is
# signed by an authority that the system trusts. So a program that is told nothing of it says https
# to plex.tv, and checks as it always does, but for those that bring their own list of authorities.
#
#   fake-dns-tls.sh certs DIR    makes DIR/ca.pem, DIR/plex.crt, DIR/plex.key and DIR/hosts
#   fake-dns-tls.sh bed DIR      in the booted system, as root: puts them to use
#
# The names are those of plex.tv, or $NAMES.
set -euo pipefail

names=${NAMES:-plex.tv www.plex.tv app.plex.tv clients.plex.tv metadata.provider.plex.tv}

# quiet COMMAND...: what it says is of interest only if it fails.
quiet() {
  local said
  said=$("$@" 2>&1) || { echo "$said" >&2; return 1; }
}

certs() {
  local key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
  mkdir -p "$1"
  cd "$1"
  quiet openssl req -x509 "${key[@]}" -keyout ca.key -out ca.pem -days 30 -subj '/CN=Test CA' \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
  quiet openssl req "${key[@]}" -keyout plex.key -out plex.csr -subj /CN=plex.tv
  printf '%s\n' basicConstraints=CA:FALSE extendedKeyUsage=serverAuth \
    "subjectAltName=DNS:${names// /,DNS:}" > extensions
  quiet openssl x509 -req -in plex.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out plex.crt -days 30 \
    -extfile extensions
  echo "127.0.0.1 localhost $names" > hosts
}

dir=$(realpath -m "${2:-tls}")
case ${1:-} in
certs) certs "$dir" ;;
bed)
  cat "$dir/hosts" >> /etc/hosts
  # What update-ca-certificates would do, which takes seconds.
  cat "$dir/ca.pem" >> /etc/ssl/certs/ca-certificates.crt
  ;;
*)
  echo 'fake-dns-tls.sh: certs DIR or bed DIR' >&2
  exit 2
  ;;
esac
