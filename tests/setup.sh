#!/bin/bash
# Installs the Debian packages that a make target needs, and only those that are missing.
#
#   tests/setup.sh GROUP...      groups: build demo test e2e bed debian-root interop bench live check
#   tests/setup.sh --list GROUP  only says which packages
#
# Asks dpkg first, so that a machine that has them needs neither root nor network. Not
# root: by sudo. No apt-get or no sudo: says what is missing and fails.
set -euo pipefail

group() {
  case $1 in
  build) echo gcc libc6-dev ca-certificates ;;
  demo) echo dbus-daemon systemd curl ;;
  test)
    echo dbus-daemon gnome-keyring strace libxml2-utils libdbus-1-dev openssl curl python3-venv zbar-tools
    # what the examples are written in, and shells that complete
    echo systemd jq python3-gi gjs gir1.2-soup-3.0 zsh fish
    ;;
  # on this machine
  e2e)
    echo procps util-linux iproute2 openssl jq make lintian imagemagick zbar-tools
    # what Flatpaks are made of
    echo flatpak busybox-static libglib2.0-bin
    ;;
  # in the system that is booted: this machine's, or one made by tests/bed/debian-root
  bed)
    echo dbus dbus-user-session dbus-broker libpam-systemd polkitd gnome-keyring python3-dbus \
      iproute2 procps jq curl openssl ca-certificates libglib2.0-bin make man-db
    # the desktop: see a notification as a person does
    echo xvfb xdotool imagemagick x11-xserver-utils xfce4-notifyd \
      librsvg2-common fonts-dejavu-core
    # other desktops, and a link that is clicked
    echo notification-daemon dunst xdg-utils desktop-file-utils
    # a network that comes and goes
    echo network-manager dnsmasq-base
    # a person who signs in: a terminal and a browser
    echo tmux chromium chromium-driver fonts-noto-core
    # programs in a sandbox
    echo flatpak
    # the other keyring, and what its recipe tries it with
    echo keepassxc libsecret-tools
    ;;
  interop)
    echo python3-venv iproute2 util-linux curl ca-certificates pkg-config libssl-dev
    # from wherever they are
    command -v npm > /dev/null || echo npm
    command -v go > /dev/null || echo golang-go
    ;;
  debian-root) echo mmdebstrap debian-archive-keyring ;;
  bench) echo dbus-daemon gnome-keyring valgrind jq util-linux ;;
  live) echo dbus-daemon jq util-linux ;;
  check) echo shellcheck mandoc man-db groff desktop-file-utils appstream libxml2-utils libdbus-1-dev ;;
  *) echo "tests/setup.sh: no group '$1'" >&2; return 1 ;;
  esac
}

if [ "${1:-}" = --list ]; then
  group "$2" | xargs
  exit
fi

missing=()
for name in "$@"; do
  # To build, any system will do that has a linker.
  [ "$name" != build ] || ! command -v cc > /dev/null || continue
  packages=$(group "$name")
  for package in $packages; do
    dpkg -s "$package" > /dev/null 2>&1 || missing+=("$package")
  done
done
[ ${#missing[@]} -gt 0 ] || exit 0
mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)

as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo)
if ! command -v apt-get > /dev/null || ! command -v "${as_root[0]:-true}" > /dev/null; then
  echo "tests/setup.sh: these are missing (Debian's names): ${missing[*]}" >&2
  exit 1
fi
echo "Installing: ${missing[*]}"
"${as_root[@]}" apt-get update -q > /dev/null
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get install -y -q --no-install-recommends "${missing[@]}" > /dev/null
