#!/bin/bash
# A person signs in: by the code that `plex-account login` shows in a terminal, and in a browser, which
# plex.tv sends on to the daemon's own page. Leaves what the terminal and the browser showed, and
# how long the two ways take.
# shellcheck disable=SC2016 # $ is for the shell in there
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
export LC_ALL=C.UTF-8

RUNS=20 # logins of which the median is taken
DONE='You are signed in to Plex'
NOT_YET='Plex has not confirmed the sign-in yet'
FOOTER='This page comes from plex-accountd on this computer. It is not made or endorsed by Plex.'

# --- a terminal

window=login:0
terminal() { user env "LC_ALL=$LC_ALL" tmux -u -L e2e "$@"; }
# What is on it.
screen() { terminal capture-pane -p -t $window; }
# qr [OPTION...]: reads the QR code of a `plex-account login` on it, 33 dots wide with its margin and two
# high a line, as a picture on which `convert` did that.
qr() {
  local rows
  rows=$(screen | sed 's/$/                                 /; s/^\(.\{33\}\).*/\1/')
  {
    echo "P1 33 $(($(wc -l <<< "$rows") * 2))"
    while IFS= read -r row; do
      sed 's/[█▀]/1/g; s/[^1]/0/g' <<< "$row"
      sed 's/[█▄]/1/g; s/[^1]/0/g' <<< "$row"
    done <<< "$rows"
  } > "$OUT/qr.pbm"
  convert "$OUT/qr.pbm" "$@" -scale 400% "$OUT/qr.png"
  zbarimg --quiet --raw "$OUT/qr.png"
}

# --- a browser

# Starts one, and prints the name by which it is steered.
start_browser() {
  user curl --silent --show-error --fail-with-body --json '{"capabilities": {"alwaysMatch": {
    "acceptInsecureCerts": true, "goog:chromeOptions": {"args": ["--headless=new", "--no-sandbox",
      "--disable-gpu", "--disable-background-networking", "--disable-component-update",
      "--window-size=900,560", "--ip-address-space-overrides=127.0.0.1:443=public"]}}}}' \
    http://127.0.0.1:9515/session | jq -er .value.sessionId
}
# browser WHAT [JSON]: a command of WebDriver; prints what it answers.
browser() {
  local command=$1
  shift
  user curl --silent --show-error --fail-with-body ${1:+--json "$1"} \
    "http://127.0.0.1:9515/session/$session/$command" | jq -r .value
}
go() { browser url "$(jq -n --arg url "$1" '{$url}')" > /dev/null; }
run() { browser execute/sync "$(jq -n --arg script "$1" '{$script, args: []}')"; }
click() {
  local element
  element=$(browser element "$(jq -n --arg value "$1" '{using: "css selector", $value}')" | jq -r '.[]')
  browser "element/$element/click" '{}'
}
# Something that only Chromium's own protocol has.
devtools() {
  browser goog/cdp/execute "$(jq -n --arg cmd "$1" --argjson params "$2" '{$cmd, $params}')"
}
# What a screen reader is told of the page: landmarks, headings, links and texts, sorted.
spoken() {
  devtools Accessibility.getFullAXTree '{}' | jq -r '.nodes[] | select(.ignored | not)
    | select(.role.value | IN("RootWebArea", "main", "contentinfo", "heading", "link", "StaticText"))
    | [.role.value, .name.value] | map(select(. != "")) | join(": ")' | sort
}
# picture NAME: of the page as people see it who like it light, and who like it dark.
picture() {
  local look
  for look in light dark; do
    devtools Emulation.setEmulatedMedia \
      '{"features": [{"name": "prefers-color-scheme", "value": "'$look'"}]}' > /dev/null
    browser screenshot | base64 --decode > "$OUT/$1-$look.png"
    [ -s "$OUT/$1-$look.png" ]
  done
  not cmp --silent "$OUT/$1-light.png" "$OUT/$1-dark.png"
}

# --- what came of it

auth_url() { account StartLogin | jq -r '.[2]'; }
# Where plex.tv is asked to send the browser, by this link.
forward_url() {
  local to
  to=$(sed -n 's/.*[?&]forwardUrl=\([^&]*\).*/\1/p' <<< "$1")
  printf '%b\n' "${to//%/\\x}"
}
# The moments in ms at which logins ended.
ends() { jq -r 'select(.member == "LoginFinished") | ."timestamp-realtime" / 1000 | floor' "$OUT/bus.json"; }
ended() { [ "$(ends | wc -l)" -gt "$1" ]; }
# What the stand-in was asked for after request N, out of these.
asked() {
  fake log | jq -c --argjson n "$1" '[.[] | select(.n > $n) | .endpoint
    | select(IN("auth-page", "pin", "link-page"))]'
}

# What the daemon has warned of.
complaints() { journal PRIORITY=3 PRIORITY=4 | jq -r .MESSAGE; }

# login_takes I: of a login in the browser the ms from the click on Allow until it has ended. I
# moves the click along between two of the daemon's polls.
login_takes() {
  local before clicked
  before=$(ends | wc -l)
  go about:blank # or the next link, another only after its #, would load nothing
  go "$(auth_url)"
  sleep "$(printf '%d.%d' $(($1 / 10)) $(($1 % 10)))"
  clicked=$(run 'const now = Date.now(); document.getElementById("allow").click(); return now')
  within 10 ended "$before" && echo $(($(ends | tail -1) - clicked))
}

# times TEST...: prints the median of so many logins, after each of which TEST succeeds.
times() {
  local i took=()
  for ((i = 0; i < RUNS; i++)); do
    took+=("$(login_takes "$i")")
    within 5 "$@" || return 1
  done
  mapfile -t took < <(printf '%s\n' "${took[@]}" | sort -n)
  echo "     median of $RUNS: $(((took[RUNS / 2 - 1] + took[RUNS / 2]) / 2)) ms (${took[0]} … ${took[-1]})" |
    tee -a "$OUT/times.txt"
}

boot
cp tests/demo-scenario.toml "$BED_SHARE/"
fake_plextv --scenario /bed/demo-scenario.toml
ok 'a terminal' terminal new-session -d -s login -x 80 -y 44 env 'PS1=$ ' bash --norc

# --- by the code, with no daemon running

ok 'no daemon is running' equals inactive unit ActiveState
terminal send-keys -t $window 'plex-account login' Enter
ok 'plex-account login starts it, and shows the time that is left' \
  within 10 matches '^Waiting for you: 1[45]:[0-5][0-9] left' screen
code=$(login_detail code)
ok 'the link and the code' matches "^.{35}on any device and type  $code" screen
ok 'a phone reads the link with the code' equals "https://plex.tv/link/?pin=$code" qr
screen | sed '/^Waiting/q' > "$OUT/terminal.txt"
echo >> "$OUT/terminal.txt"
user plex-account login > "$OUT/piped.txt" &
window=login:1
ok 'a second terminal' terminal new-window -t $window env NO_COLOR=1 bash --norc
terminal send-keys -t $window 'plex-account login' Enter
ok 'has the same, without colours' within 10 equals "https://plex.tv/link/?pin=$code" qr -negate
terminal send-keys -t $window C-c
ok 'Ctrl-C there asks' within 5 has 'Cancel the login as well? [y/N]' screen
terminal send-keys -t $window Enter
ok 'and leaves the login alone' within 5 has 'The login goes on' screen
window=login:0
ok 'somebody types it' fake approve '{"which": "short"}'
ok 'plex-account says who has signed in' within 10 has 'Signed in as demo.' screen
ok 'so does one whose output is piped' within 10 has 'Signed in as demo.' cat "$OUT/piped.txt"
ok 'and had one line for the time that is left' equals 1 grep --count left "$OUT/piped.txt"
ok 'with nothing for a terminal in it' not grep --quiet '[[:cntrl:]]' "$OUT/piped.txt"
ok 'lists the servers' within 10 matches '^Attic +● online' screen
ok 'and is done' within 10 matches '^\$ *$' screen
screen | sed '1,/^Signed in/{/^Signed in/!d}; /^\$ *$/,$d' >> "$OUT/terminal.txt"

# --- in a browser here

# What `plex-account login` would open is written down, and opened in a browser that can be steered.
cat > "$BED_SHARE/note-link" <<< '#!/bin/sh
echo "$1" > /tmp/opened'
chmod +x "$BED_SHARE/note-link"
user sh -c 'mkdir -p ~/.local/share/applications ~/.config
  echo "[Desktop Entry]
Type=Application
Name=Note
Exec=/bed/note-link %u" > ~/.local/share/applications/note.desktop
  echo "[Default Applications]
x-scheme-handler/https=note.desktop" > ~/.config/mimeapps.list'
user systemd-run --user --quiet --unit=chromedriver chromedriver --port=9515
# To this browser, as to others, plex.tv is out in the internet and the daemon is not.
ok 'a browser' within 10 has ready user curl --silent http://127.0.0.1:9515/status
session=$(start_browser)

config '[login]
poll_interval = "30s"
[notifications]
login = false'
ok 'a daemon that looks at plex.tv by itself every 30 s' user systemctl --user reload $UNIT
n=$(fake state | jq .last_n)
terminal send-keys -t $window 'clear; DISPLAY=:9 plex-account login' Enter
ok 'plex-account login opens a link where there is a display' within 10 user test -s /tmp/opened
link=$(user cat /tmp/opened)
ok 'that of plex.tv' matches '^https://app\.plex\.tv/auth#\?' echo "$link"
to=$(forward_url "$link")
ok 'which leads back here' matches '^http://127\.0\.0\.1:[0-9]+/[0-9a-f]{32}$' echo "$to"
go "$link"
ok 'the person allows it there' click '#allow'
ok 'and is sent to the page of this daemon' within 10 equals "$to" browser url
ok 'which says that it is done' equals "$DONE" browser title
ok 'it is what it looks like' picture landing
go https://plex.tv/link
ok 'plex.tv had been asked before that was answered' equals '["auth-page","pin","link-page"]' asked "$n"
ok 'and plex-account has ended too' within 10 has 'Signed in as demo.' screen

# --- a browser that comes too early

go "$(forward_url "$(auth_url)")"
ok 'who comes before it is allowed is told so' equals "$NOT_YET" browser title
ok 'it is what it looks like' picture not-yet
ok 'and sounds like' equals "RootWebArea: $NOT_YET
StaticText: If you have allowed it, it goes on by itself, and you may close this window.
StaticText: Look again
StaticText: $NOT_YET
StaticText: $FOOTER
contentinfo
heading: $NOT_YET
link: Look again
main" spoken
ok 'it is allowed elsewhere' fake approve '{"which": "strong"}'
ok 'the link on the page looks again' click a
ok 'and then it is done' within 5 equals "$DONE" browser title
ok 'which sounds like' equals "RootWebArea: $DONE
StaticText: The sign-in on this computer is done. You may close this window.
StaticText: $FOOTER
StaticText: $DONE
contentinfo
heading: $DONE
main" spoken
ok 'in English' equals en run 'return document.documentElement.lang'
ok 'with nothing fetched from anywhere' \
  equals 0 run 'return performance.getEntriesByType("resource").length'

# --- how long it takes, as it comes, from the click on Allow to LoginFinished

config '[notifications]
login = false'
ok 'with the landing page' user systemctl --user reload $UNIT
times equals "$DONE" browser title
# Where no port can be had, silently.
user sh -c 'mkdir -p ~/.config/systemd/user/$0.d && cat > ~/.config/systemd/user/$0.d/no-port.conf' \
  $UNIT <<< '[Service]
SystemCallFilter=~bind
SystemCallErrorNumber=EADDRINUSE'
user systemctl --user daemon-reload
ok 'a daemon that can have no port' user systemctl --user restart $UNIT
ok 'gives links that do not lead back' equals '' forward_url "$(auth_url)"
ok 'says no word of it' equals '' complaints
times equals 'Done. You may close this page.' run 'return document.getElementById("result").textContent'
