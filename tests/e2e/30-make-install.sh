#!/bin/bash
# `make install` by a user, without root, into a home: the session finds what it put there.
# shellcheck disable=SC2016,SC2119 # $ is for the shell in there; arguments may be left out
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

boot_bare
fake_plextv

# A clone that has been built; cp -a keeps the times that make goes by.
mkdir -p "$BED_SHARE/clone/target/release"
cp -a Cargo.toml Cargo.lock LICENSE-* Makefile dbus packaging src systemd tests "$BED_SHARE/clone/"
cp -a target/release/plex-accountd target/release/plex-account "$BED_SHARE/clone/target/release/"
make_() { user make --no-print-directory -C clone "$@"; }
user cp -a /bed/clone .

ok 'make install tells the next step' has 'systemctl --user enable --now plex-accountd' make_ install
ok 'systemd-analyze has nothing to say' equals '' \
  user sh -c 'PATH=$HOME/.local/bin:$PATH systemd-analyze --user verify plex-accountd.service 2>&1'
ok 'a call starts the unit by D-Bus activation' equals signed-out login_state
ok 'it is the one from home' has /home/tester/.local/bin/plex-accountd user systemctl --user show $UNIT -p ExecStart
ok 'sign in' sign_in
ok 'plex-account works from there' has demo user .local/bin/plex-account status
ok 'make install over it' make_ install
ok 'then a restart' user systemctl --user restart $UNIT
ok 'keeps the account' equals signed-in login_state
ok 'make uninstall' make_ uninstall
ok 'stopped it' not account LoginStatus
ok 'left no file' equals '' user find .local -name '*plex*' -not -path '*/state/*'
