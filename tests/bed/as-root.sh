# shellcheck shell=bash
# To be sourced at the top of the project: how this user gets to be root enough to boot a system.
#
# find_root sets `root_by` and `as_root`, the words to put before a command:
#
#   itself       they are root
#   sudo         asks for the password only if nothing else will do and there is a terminal
#   namespace    root of a user namespace, with a control group below the user's own; for what
#                debian-root makes in it, since the files of this machine belong to nobody there
#
# If there is no way, it fails, and `no_root` says what the user can do about it.
# shellcheck disable=SC2034 # variables for those who source this

find_root() {
  no_root=
  if [ "$(id -u)" = 0 ]; then
    root_by=itself as_root=()
    unshare --mount --pid --fork true 2> /dev/null && tests/bed/boot-systemd.sh can-boot && return
    no_root='this root may make no namespaces or control groups; run a container as privileged'
  elif sudo -n true 2> /dev/null; then
    root_by=sudo as_root=(sudo -n)
  elif find_namespace; then
    root_by=namespace
  elif [ -t 0 ] && command -v sudo > /dev/null && sudo -v; then
    root_by=sudo as_root=(sudo)
  else
    no_root="they boot a system, which needs root: be root, or be allowed sudo, or else $no_root"
  fi
  [ -z "$no_root" ]
}

find_namespace() {
  local command
  for command in unshare newuidmap mmdebstrap; do
    command -v $command > /dev/null ||
      { no_root='have the packages uidmap and mmdebstrap installed'; return 1; }
  done
  as_root=(unshare --user --map-root-user --map-auto --mount --)
  "${as_root[@]}" true 2> /dev/null || {
    no_root="be allowed user namespaces and a range of ids, see user_namespaces(7) and subuid(5)"
    return 1
  }
  # A group that may be written to, as systemd delegates it.
  local delegate=(systemd-run --user --scope --quiet --property=Delegate=yes --)
  if ! "${as_root[@]}" tests/bed/boot-systemd.sh can-boot 2> /dev/null; then
    as_root=("${delegate[@]}" "${as_root[@]}")
    "${as_root[@]}" tests/bed/boot-systemd.sh can-boot 2> /dev/null || {
      no_root='log in to a systemd session, which can delegate a control group'
      return 1
    }
  fi
  no_root=
}
