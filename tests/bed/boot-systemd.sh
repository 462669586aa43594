#!/bin/bash
# Boots a real systemd as PID 1 of its own namespaces: journal, logind, polkit, session bus, and the
# user manager of a user `tester`. Its root file system is a throw-away overlay, so nothing that
# happens in there stays, and nothing here changes. Boots in about a second.
#
#   boot-systemd.sh start          boots; returns once tester's user manager is up
#   boot-systemd.sh root CMD...    runs CMD in there as root
#   boot-systemd.sh user CMD...    runs CMD in there as tester, with the session bus, in no unit
#   boot-systemd.sh login CMD...   the same in a logind session of its own
#   boot-systemd.sh stop           powers it off and removes every trace of it
#
# Settings come from the environment, the same ones for each call:
#
#   BED_STATE=DIR     what is known of the running system; another DIR is another system
#   BED_SHARE=DIR     this folder is /bed in there, writable
#   BED_ROOT=DIR      the root file system to boot, as made by debian-root; else that of this
#                     machine, to which no package may be added while the system runs
#   BED_BROKER=1      dbus-broker carries both buses (as on Fedora and Arch), not dbus-daemon
#
# Needs root, if only that of a user namespace (as-root.sh). There is no network in there but
# loopback, and /proc/sys is read-only, since much of it is this machine's.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin

state=${BED_STATE:-/tmp/plex-accountd-bed}
share=$(realpath -m "${BED_SHARE:-$state.share}")
uid=4242 # of tester

# inside [NAME=VALUE...] CMD...: in all its namespaces, with an environment of its own.
inside() {
  nsenter --mount --pid --cgroup --ipc --uts --net --wdns=/ --target "$(< "$state/pid")" -- \
    env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

as_tester() {
  inside setpriv --reuid=tester --regid=tester --init-groups --reset-env \
    env --chdir=/home/tester "XDG_RUNTIME_DIR=/run/user/$uid" \
    "DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/$uid/bus" "$@"
}

# The control group that the system gets as the root of its own, below one that we may write to.
# (The second is where version 1 is in use too.)
control_group() {
  local top own
  for top in /sys/fs/cgroup /sys/fs/cgroup/unified; do
    [ -e "$top/cgroup.controllers" ] || continue
    own=$(sed -n 's/^0:://p' /proc/self/cgroup)
    [ -w "$top/cgroup.procs" ] || top=$top${own%/}
    [ -w "$top/cgroup.procs" ] || continue
    echo "$top/${state##*/}"
    return
  done
  echo 'boot-systemd.sh: no control group (version 2) that may be written to' >&2
  return 1
}

# In the new namespaces: makes the root file system, and becomes systemd.
become_systemd() {
  local lower options device scope
  lower=$(realpath "${BED_ROOT:-/}")
  mount -t tmpfs -o mode=755 bed "$state/fs"
  cd "$state/fs"
  mkdir upper work root
  options=lowerdir=$lower,upperdir=upper,workdir=work
  # In a user namespace it may use extended attributes of this kind only.
  grep -q ' 4294967295$' /proc/self/uid_map || options+=,userxattr
  mount -t overlay -o "$options" bed root
  cd root

  mount -t proc proc proc
  mount --bind proc/sys proc/sys
  mount -o remount,bind,ro proc/sys
  mount -t sysfs -o ro sysfs sys
  mount -t cgroup2 cgroup2 sys/fs/cgroup
  mount -t tmpfs -o mode=755 run run
  mount -t tmpfs -o mode=1777 tmp tmp
  mkdir bed
  mount --bind "$share" bed

  mount -t tmpfs -o mode=755 dev dev
  mkdir dev/pts dev/shm
  mount -t tmpfs -o mode=1777 shm dev/shm
  mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts dev/pts
  ln -s pts/ptmx dev/ptmx
  ln -s /proc/self/fd dev/fd
  for device in null zero full random urandom tty fuse; do
    [ -e "/dev/$device" ] || continue
    touch "dev/$device"
    mount --bind "/dev/$device" "dev/$device"
  done

  # A machine of its own, which starts what the tests need and none of this one's services.
  ip link set lo up
  echo bed > etc/hostname
  echo '127.0.0.1 localhost bed' > etc/hosts
  : > etc/fstab
  tr -d - < /proc/sys/kernel/random/uuid > etc/machine-id
  rm -f etc/systemd/system/*.wants/* usr/lib/systemd/system/sysinit.target.wants/sys-*.mount
  printf '%s\n' '[Unit]' 'Requires=basic.target' \
    'Wants=dbus.service systemd-logind.service systemd-user-sessions.service' \
    > etc/systemd/system/bed.target
  for scope in system user; do
    rm -f "etc/systemd/$scope/dbus.service"
    [ -z "${BED_BROKER:-}" ] ||
      ln -s "/usr/lib/systemd/$scope/dbus-broker.service" "etc/systemd/$scope/dbus.service"
  done
  chroot . useradd --create-home --uid $uid --shell /bin/bash tester
  # The user manager runs without anybody logged in.
  mkdir -p var/lib/systemd/linger var/log/journal
  touch var/lib/systemd/linger/tester

  pivot_root . mnt
  umount --lazy mnt
  mount --make-rshared /
  exec env -i container=bed PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /usr/lib/systemd/systemd --unit=bed.target
}

start() {
  local group launcher
  group=$(control_group)
  mkdir -p "$state/fs" "$share" "$group"
  echo "$group" > "$state/group"
  (
    echo "$BASHPID" > "$group/cgroup.procs"
    exec unshare --mount --pid --fork --cgroup --ipc --uts --net "$0" become-systemd
  ) > "$state/console" 2>&1 < /dev/null &
  launcher=$!
  for _ in {1..300}; do
    kill -0 "$launcher" 2> /dev/null || break
    if pgrep --parent "$launcher" > "$state/pid" &&
      as_tester systemctl --user is-active --quiet default.target 2> /dev/null; then
      return
    fi
    sleep 0.1
  done
  cat "$state/console" >&2
  inside journalctl --no-pager --lines=20 >&2 || :
  echo 'boot-systemd.sh: it did not boot' >&2
  stop
  return 1
}

stop() {
  local pid group
  pid=$(cat "$state/pid" 2> /dev/null || :)
  group=$(cat "$state/group" 2> /dev/null || :)
  if [ -n "$pid" ]; then
    kill -s RTMIN+4 "$pid" 2> /dev/null || : # for systemd: poweroff.target
    for _ in {1..100}; do
      [ -d "/proc/$pid" ] || break
      sleep 0.1
    done
    kill -s KILL "$pid" 2> /dev/null || :
  fi
  if [ -d "$group" ]; then
    # Its processes end with their PID 1, but not at that very moment.
    for _ in {1..100}; do
      grep -q 'populated 1' "$group/cgroup.events" || break
      sleep 0.05
    done
    find "$group" -depth -type d -exec rmdir {} \;
  fi
  rm -rf "$state"
}

verb=${1:-}
shift || :
case $verb in
start) start ;;
become-systemd) become_systemd ;;
root) inside "$@" ;;
user) as_tester "$@" ;;
login)
  inside systemd-run --pipe --wait --collect --quiet --property=User=tester \
    --property=PAMName=login --property=WorkingDirectory=/home/tester "$@"
  ;;
stop) stop ;;
can-boot) control_group > /dev/null ;; # asked by as-root.sh
*)
  echo 'boot-systemd.sh: start, root CMD..., user CMD..., login CMD... or stop' >&2
  exit 2
  ;;
esac
