#!/bin/sh
# In the booted system, as root: lets logind believe that this machine can suspend. From then on
# `systemctl suspend` freezes all of the user's processes for $1 seconds (2), with logind's
# PrepareForSleep before and after as on any machine.
set -eu

echo 'freeze mem' > /run/power-state
mount --bind /run/power-state /sys/power/state
freeze=/sys/fs/cgroup/user.slice/cgroup.freeze
mkdir -p /run/systemd/system/systemd-suspend.service.d
cat > /run/systemd/system/systemd-suspend.service.d/bed.conf << UNIT
[Service]
ExecStart=
ExecStart=/bin/sh -c 'echo 1 > $freeze; sleep ${1:-2}; echo 0 > $freeze'
UNIT
systemctl daemon-reload
