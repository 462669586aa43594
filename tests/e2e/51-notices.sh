#!/bin/bash
# What a person sees of servers that go and come, on notification servers with buttons
# (xfce4-notifyd, notification-daemon) and without (dunst), and what a click on each button does.
# Leaves a picture of each.
# shellcheck disable=SC2016,SC2119 # $ is for the shell in there; arguments may be left out
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

FOREVER=18446744073709552000 # 2^64-1, as jq rounds it

# --- servers

# goes NAME, returns NAME: and it is seen.
goes() { absent "$1" && within 15 equals offline server "$1" state; }
returns() { present "$1" && within 15 equals online server "$1" state; }
states() { account ListServers | jq -c '[.[0][].state.data] | unique'; }
muted_until() { server "$1" muted_until; }
# Muted for about eight hours from now.
muted_for_8_hours() {
  local left=$(($(muted_until "$1") - $(date +%s)))
  test $left -gt 28700 -a $left -le 28800
}

# --- notices

# The titles of all notices so far that match, without times, as a JSON list.
titles() {
  notices | jq -sc --arg what "$1" 'map(.title | gsub("[\u2068\u2069]| · .*"; "")) | map(select(test($what)))'
}
# The buttons of the last notice: keys and labels in turn.
buttons() { notices | tail -1 | jq -c .actions; }
# The last notice took the place of one on the screen.
replaced() { notices | tail -1 | jq -e '.replaces > 0'; }
# What was clicked so far.
clicks() { jq -sc 'map(select(.member == "ActionInvoked") | .payload.data[1])' "$OUT/bus.json"; }
on_screen() { user env DISPLAY=:5 xdotool search --onlyvisible --class "$1"; }
# The last link that the browser was given.
opened() { user tail -1 opened; }

# other_desktop SERVER: takes the place of the notification server that runs.
other_desktop() {
  user sh -c 'kill "$(tail -1 "$XDG_RUNTIME_DIR/desktop:5/pids")"'
  within 5 not user busctl --user status org.freedesktop.Notifications
  desktop "$1"
}

# with_buttons CLASS OPEN MUTE NEVER UP SERVER...: on a notification server with windows of this
# class, whose buttons are that far from the left and above the lower edge, four servers go.
with_buttons() {
  local class=$1 open=$2 mute=$3 never=$4 up=$5 plain=$6 opens=$7 mutes=$8 nevers=$9
  # A click in a notice's first second counts for nothing: nobody has read it by then. The pointer
  # then goes to where it is in nobody's way.
  click() {
    sleep 1.2
    user /bed/desktop.sh click "$class" "$1" "-$up"
    user env DISPLAY=:5 xdotool mousemove 10 590
  }

  ok "$plain goes" goes "$plain"
  ok 'a notice with three buttons' within 5 equals \
    "[\"open\",\"Open\",\"mute\",\"Mute 8 h\",\"never\",\"Don't notify\",\"default\",\"\"]" buttons
  ok 'is on the screen' shot "$class-offline.png" "$class"
  ok "$plain is back" returns "$plain"
  ok 'its notice takes the place of the other' within 5 replaced
  ok 'and is on the screen' shot "$class-back.png" "$class"
  ok 'the list of notices' equals "[\"$plain is offline\",\"$plain is back\"]" titles "$plain"
  within 15 not on_screen "$class"

  ok "$opens goes" goes "$opens"
  ok 'a click on Open' click "$open"
  ok 'opens Plex in the browser' within 10 equals https://app.plex.tv/desktop opened
  ok 'and mutes nothing' equals 0 muted_until "$opens"
  within 15 not on_screen "$class"

  ok "$mutes goes" goes "$mutes"
  ok 'a click on Mute 8 h' click "$mute"
  ok 'does so' within 5 muted_for_8_hours "$mutes"
  ok 'and takes the notice away' within 5 not on_screen "$class"
  ok 'plex-account lists it' has "$mutes" user plex-account muted
  ok "$mutes is back" returns "$mutes"
  ok 'of which nothing is said' equals "[\"$mutes is offline\"]" titles "$mutes"

  ok "$nevers goes" goes "$nevers"
  ok "a click on Don't notify" click "$never"
  ok 'does so' within 5 equals $FOREVER muted_until "$nevers"
  ok 'and takes the notice away' within 5 not on_screen "$class"
  ok "$nevers is back" returns "$nevers"
  ok 'of which nothing is said' equals "[\"$nevers is offline\"]" titles "$nevers"
  ok 'plex-account undoes it' user plex-account unmute "$nevers"
  ok 'and it is no longer muted' equals 0 muted_until "$nevers"
}

boot
cp "$BED/examples/browser.sh" "$BED_SHARE/"
for name in Attic Barn Cellar Den Garage Hall Kitchen Loft Office Porch Shed Yard; do
  printf '[[server]]\nid = "%s"\nname = "%s"\nprobe = "up"\n' $name $name
done > "$BED_SHARE/servers.toml"
crowd=$(printf '"Box%02d" ' {1..30})
for id in $crowd; do
  printf '[[server]]\nid = %s\nname = %s\nprobe = "up"\n' "$id" "$id"
done >> "$BED_SHARE/servers.toml"
crowd=[$(tr ' ' , <<< "${crowd% }")]
# Only what is started here shall own the name.
root sh -c 'rm -f /usr/share/dbus-1/services/*otif*'
user busctl --user call org.freedesktop.DBus / org.freedesktop.DBus ReloadConfig
fake_plextv --listen 127.0.0.1:8080 --scenario /bed/servers.toml
user sh /bed/browser.sh
config '[plextv]
base_url = "http://127.0.0.1:8080"
clients_url = "http://127.0.0.1:8080"
[refresh]
interval = "1s"
[presence]
grace = "1s"
[notifications]
login = false'
desktop xfce4-notifyd
ok 'sign in' sign_in
ok 'forty-two servers, all online' within 20 equals '["online"]' states

# --- xfce4-notifyd

with_buttons xfce4-notifyd 59 157 255 31 Attic Barn Cellar Den

# The daemon is restarted while a notice is on the screen.
restart() { ok 'the daemon is restarted' user systemctl --user restart $UNIT; }
ok 'Shed goes' goes Shed
ok 'it is on the screen' within 5 on_screen xfce4-notifyd
restart
ok 'and still is' on_screen xfce4-notifyd
sleep 1.2 # a click in its first second counts for nothing, also after the restart
ok 'a click on Mute 8 h' user /bed/desktop.sh click xfce4-notifyd 157 -31
ok 'does so' within 5 muted_for_8_hours Shed
ok 'and takes the notice away' within 5 not on_screen xfce4-notifyd
ok 'Yard goes' goes Yard
ok 'it is on the screen' within 5 on_screen xfce4-notifyd
restart
ok 'Yard is back' returns Yard
ok 'its notice takes the place of the other' within 5 replaced
ok 'nothing is repeated' equals \
  '["Shed is offline","Yard is offline","Yard is back"]' titles 'Shed|Yard'
within 15 not on_screen xfce4-notifyd
ok 'and nothing is kept of what is no longer shown' \
  within 5 not user sh -c 'ls "$XDG_RUNTIME_DIR/plex-accountd/notices.json"'

fake presence "{\"ids\": $crowd, \"present\": false, \"probe\": \"down\"}" > /dev/null
ok 'thirty servers go at once' within 30 equals offline server Box30 state
ok 'one notice' within 5 equals '["30 Plex servers are offline"]' titles 'Box|servers'
ok 'is on the screen' shot many.png
fake presence "{\"ids\": $crowd, \"present\": true, \"probe\": \"up\"}" > /dev/null
ok 'thirty are back' within 30 equals online server Box30 state
ok 'one notice' within 5 equals \
  '["30 Plex servers are offline","30 Plex servers are back"]' titles 'Box|servers'

# --- notification-daemon

other_desktop notification-daemon
with_buttons notification-daemon 157 221 301 37 Garage Hall Kitchen Loft

# --- dunst

other_desktop dunst
ok 'Office goes' goes Office
ok 'it is on the screen' shot dunst-offline.png Dunst
sleep 1.2 # not in its first second
ok 'a middle click' user dunstctl action 0
ok 'opens Plex in the browser' within 10 equals https://app.plex.tv/desktop opened
ok 'Office is back' returns Office
ok 'and said to be' within 5 equals '["Office is offline","Office is back"]' titles Office
ok 'on the screen, too' shot dunst-back.png Dunst
ok 'it is asked' account ProbeServer s Office
ok 'it is reached' within 10 equals local server Office route
sleep 1.2 # not in its first second
ok 'a middle click' user dunstctl action 0
ok 'opens the server itself' within 10 equals "$(server Office best_uri)" opened

# --- one that keeps coming and going

for _ in 1 2 3; do
  ok 'Porch goes' goes Porch
  ok 'Porch is back' returns Porch
done
# What is redrawn in its place counts once.
told() { titles "$1" | jq -c 'reduce .[] as $title ([]; if last == $title then . else . + [$title] end)'; }
ok 'two notices, then one for all that follows, kept true in its place' within 5 equals \
  '["Porch is offline","Porch is back","Porch comes and goes"]' told Porch
ok 'it is on the screen' shot flapping.png Dunst

ok 'each click was heard as what it was' equals \
  '["open","mute","never","mute","open","mute","never","default","default"]' clicks
