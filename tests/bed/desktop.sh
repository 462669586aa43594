#!/bin/bash
# A small X desktop on the session bus that it is run with, so that notifications, prompts and
# programs are seen and clicked as by a person:
#
#   boot-systemd.sh user /bed/desktop.sh ...
#
#   desktop.sh start [SERVER]              an X screen with a notification server: xfce4-notifyd
#                                          (the default), notification-daemon, dunst, or none
#   desktop.sh shot FILE.png               a picture of the whole screen
#   desktop.sh click CLASS X Y [BUTTON]    a click in the newest visible window of that class; an X
#                                          or Y below 0 counts from its right or lower edge
#   desktop.sh type CLASS TEXT             types TEXT and Return into that window
#   desktop.sh stop
#
# The screen is :5, or $DESKTOP_DISPLAY. The programs' output and process ids are in
# $XDG_RUNTIME_DIR/desktop:5/.
set -euo pipefail

export DISPLAY=${DESKTOP_DISPLAY:-:5}
run=${XDG_RUNTIME_DIR:-/tmp}/desktop$DISPLAY

# within COMMAND...: tries it until it succeeds, for five seconds at most.
within() {
  for _ in {1..50}; do
    "$@" > /dev/null 2>&1 && return
    sleep 0.1
  done
  echo "desktop.sh: not within five seconds: $*" >&2
  return 1
}

# launch COMMAND...: in the background.
launch() {
  setsid "$@" > "$run/${1##*/}.log" 2>&1 < /dev/null &
  echo $! >> "$run/pids"
}

# find_window CLASS: sets `window`.
find_window() {
  window=$(xdotool search --onlyvisible --class "$1" 2> /dev/null | tail -1)
  [ -n "$window" ]
}

start() {
  mkdir -p "$run"
  : > "$run/pids"
  # Where the screen is there already, this one ends at once and that one is used.
  launch Xvfb "$DISPLAY" -screen 0 1000x600x24 -nolisten tcp -noreset
  within xset q
  xsetroot -solid '#334455'
  # For what the bus starts, and for what the user manager starts.
  dbus-update-activation-environment DISPLAY
  systemctl --user set-environment "DISPLAY=$DISPLAY" 2> /dev/null || :
  case $1 in
  xfce4-notifyd) launch /usr/lib/*/xfce4/notifyd/xfce4-notifyd ;;
  notification-daemon) launch /usr/lib/notification-daemon/notification-daemon ;;
  dunst) launch dunst ;;
  none) return ;;
  *)
    echo "desktop.sh: no notification server '$1'" >&2
    return 2
    ;;
  esac
  within busctl --user status org.freedesktop.Notifications
}

click() {
  local x=$2 y=$3 WIDTH HEIGHT
  within find_window "$1"
  eval "$(xdotool getwindowgeometry --shell "$window")"
  [ "$x" -ge 0 ] || x=$((WIDTH + x))
  [ "$y" -ge 0 ] || y=$((HEIGHT + y))
  # A window that was just drawn needs to see the pointer come before it takes a click.
  xdotool mousemove --window "$window" "$x" "$y" sleep 0.2 click "${4:-1}"
}

type_line() {
  within find_window "$1"
  # One that was just drawn is not ready for keys.
  sleep 0.3
  xdotool windowfocus --sync "$window" sleep 0.1 type --delay 20 "$2"
  xdotool key Return
}

stop() {
  local pid
  while read -r pid; do
    kill "$pid" 2> /dev/null || :
  done < "$run/pids"
  rm -rf "$run"
}

verb=${1:-}
shift || :
case $verb in
start) start "${1:-xfce4-notifyd}" ;;
shot) import -window root "$1" ;;
click) click "$@" ;;
type) type_line "$@" ;;
stop) stop ;;
*)
  echo 'desktop.sh: start, shot, click, type or stop' >&2
  exit 2
  ;;
esac
