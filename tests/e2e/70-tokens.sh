#!/bin/bash
# Tokens for other programs: two real Flatpaks, real clicks on each button, and programs that are
# none; what a sandbox must not be able to do.
# shellcheck disable=SC2016,SC2119 # $ is for the shell in there; arguments may be left out
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

TOKENS=org.plexaccountd.Tokens1
ATTIC=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa

# flatpak APP COMMAND: by its shell.
flatpak() { user timeout 40 flatpak run "org.example.$1" -c "$2"; }
# What a program calls: GetServer, in a Flatpak.
GET="gdbus call --session --timeout 25 --dest $TOKENS --object-path /org/plexaccountd/Tokens1 \
  --method $TOKENS.GetServer Attic '{}'"
# The same by a program in a unit of this name.
unit_gets() {
  user systemd-run --user --quiet --pipe --wait --collect --unit="$1" -- busctl --user --timeout=25 call $TOKENS \
    /org/plexaccountd/Tokens1 $TOKENS GetServer 'sa{sv}' Attic 0
}
# asks ACCESS: puts a call of the Applet's into the background; what it says is in $OUT/answer.
asks() {
  flatpak Applet "$GET" > "$OUT/answer" 2>&1 &
}
answered() { within 15 has "$1" cat "$OUT/answer"; }
questions() { notices | jq -s '[.[] | select(.actions | index("once"))] | length'; }
asked_so_often() { equals "$1" questions; }
grants() { user plex-account grants --json | jq -c '[.[] | [.program, .verdict]]'; }
# The buttons of xfce4-notifyd, from the right: they are drawn in their order.
click() { user /bed/desktop.sh click xfce4-notifyd "$1" -31; }
mints() { fake log | jq '[.[] | select(.endpoint == "mint")] | length'; }

tests/bed/flatpaks.sh target/flatpaks > "$PWD/target/flatpaks.log" 2>&1 ||
  { cat target/flatpaks.log; exit 1; }
boot
cp -a target/flatpaks/repo "$BED_SHARE/repo"
# bubblewrap mounts a /proc of its own, which the kernel allows where nothing of ours lies over it.
root umount -l /proc/sys 2> /dev/null || :
ok 'two Flatpaks are installed' user sh -c '
  flatpak --user remote-add --no-gpg-verify test file:///bed/repo
  flatpak --user install -y --noninteractive test org.example.Applet org.example.Other'
fake_plextv
root curl --fail --silent -X DELETE --json '{"all": true}' https://plex.tv/fake/server
fake server "{\"id\": \"$ATTIC\", \"name\": \"Attic\", \"probe\": \"up\"}" > /dev/null
desktop
ok 'sign in' sign_in
ok 'the server is known' within 10 refreshed Attic state online

# --- a Flatpak is asked about

asks
ok 'a Flatpak is asked about' within 15 asked_so_often 1
ok 'by its name' noticed 'Let .*The Applet.* use .*Attic.*\? / .*org.example.Applet, Flatpak'
sleep 1.2 # what is clicked sooner does not count
ok 'a picture of it' shot question.png
ok 'a click on Allow' click -58
ok 'it gets a token' answered client_identifier
ok 'the person sees what was given' equals '[["flatpak:org.example.Applet","allow"]]' grants
before=$(mints)
ok 'the next call is answered at once' has client_identifier flatpak Applet "$GET"
ok 'from memory' equals "$before" mints
ok 'no question more' asked_so_often 1
ok 'it outlives a restart' user systemctl --user restart $UNIT
ok 'of the daemon' within 20 has client_identifier flatpak Applet "$GET"

# --- what a sandbox must not

ok 'a Flatpak without the right reaches nobody' has 'ServiceUnknown' flatpak Other "$GET"
decide='gdbus call --session --dest org.plexaccountd.Grants1 --object-path /org/plexaccountd/Grants1 --method org.plexaccountd.Grants1.Decide flatpak:org.example.Other servers allow'
ok 'nobody decides from a sandbox' has 'ServiceUnknown' flatpak Applet "$decide"
ok 'not even one that may talk to all names' has 'AccessDenied' user flatpak run \
  --talk-name='org.plexaccountd.*' --talk-name=org.plexaccountd.Grants1 org.example.Applet -c "$decide"
ok 'nor signs out' has 'AccessDenied' user flatpak run --talk-name=$NAME org.example.Applet -c \
  "gdbus call --session --dest $NAME --object-path $OBJECT --method $NAME.SignOut"
asks_other() {
  user flatpak run --talk-name=$TOKENS org.example.Other -c "$GET" > "$OUT/answer" 2>&1 &
}
asks_other
ok 'another Flatpak is another question' within 15 asked_so_often 2
forged="gdbus emit --session --object-path /org/freedesktop/Notifications \
  --signal org.freedesktop.Notifications.ActionInvoked"
sleep 1.2
user flatpak run org.example.Other -c "for id in 1 2 3 4 5 6 7 8 9; do $forged \$id allow; done" > /dev/null 2>&1 || :
ok 'a click that a Flatpak forges is none' equals '[["flatpak:org.example.Applet","allow"]]' grants
ok "a click on Don't allow" click -246
ok 'is a no' answered AccessDenied
ok 'for good' has AccessDenied user flatpak run --talk-name=$TOKENS org.example.Other -c "$GET"
ok 'without a question more' asked_so_often 2

# --- programs that are no Flatpaks

ok 'a program in a terminal is told what to do' has 'plex-account token' user busctl --user call $TOKENS \
  /org/plexaccountd/Tokens1 $TOKENS GetServer 'sa{sv}' Attic 0
user systemd-run --user --quiet --pipe --wait --collect --unit=trakt -- busctl --user --timeout=25 call $TOKENS \
  /org/plexaccountd/Tokens1 $TOKENS GetServer 'sa{sv}' Attic 0 > "$OUT/answer" 2>&1 &
ok 'a unit with a name is asked about' within 15 asked_so_often 3
ok 'with a word of warning' noticed 'trakt.* / .*another program could pass for it'
sleep 1.2
ok 'a click on Once' click -152
ok 'it gets a token' answered client_identifier
ok 'once' equals '[["flatpak:org.example.Applet","allow"],["flatpak:org.example.Other","deny"]]' grants
# What logind makes of a session of this kind; its programs are in no unit of the user's systemd.
session() {
  root systemd-run --quiet --pipe --wait --collect --uid=tester -p PAMName=login -E "XDG_SESSION_TYPE=$1" \
    -E XDG_SESSION_CLASS=user -- sh -c 'cat /proc/self/cgroup
    busctl --address="unix:path=/run/user/$(id -u)/bus" --timeout=25 call "$@"' sh $TOKENS \
    /org/plexaccountd/Tokens1 $TOKENS GetServer 'sa{sv}' Attic 0
}
ok 'a session of a terminal, as ssh has it, is told what to do' has 'plex-account token' session tty
session x11 > "$OUT/answer" 2>&1 &
ok 'one on a screen is asked about' within 15 asked_so_often 4
ok 'by what its program calls itself' noticed 'a program that calls itself .*busctl'
ok 'which is no name to remember' equals '["deny","once"]' jq -sc 'map(select(.member == "Notify")
  | .payload.data[5]) | last | [.[0], .[2]]' "$OUT/bus.json"
sleep 1.2
ok 'a click on Once' click -58
ok 'it gets a token' answered client_identifier
ok 'it is in a scope of the session' has session- cat "$OUT/answer"

ok 'the command line allows it' user plex-account allow unit:trakt.service Attic
ok 'then nobody is asked' has client_identifier unit_gets trakt
# So that the documentation stays true: outside of a sandbox a name is no proof.
ok 'a program that takes the name of a Flatpak passes for it' has client_identifier user systemd-run --user \
  --quiet --scope --unit=app-flatpak-org.example.Applet-4711.scope -- busctl --user call $TOKENS \
  /org/plexaccountd/Tokens1 $TOKENS GetServer 'sa{sv}' Attic 0
ok 'the person asks the server' has MediaContainer user plex-account api Attic /library/sections

# --- the end

token=$(user plex-account token Attic)
ok 'a token is in no file of the state folder' not files_with "$token"
ok 'and in no log' not grep -qF "$token" <(user journalctl --user --no-pager)
ok 'forget says until when it works' has 'may work until' user plex-account forget flatpak:org.example.Applet
ok 'sign-out ends what is left' user plex-account logout
ok 'all of it' equals '[]' grants
ok 'nobody gets anything' has 'Nobody is signed in' unit_gets trakt
