#!/bin/sh
# In the booted system, as root: a real NetworkManager on a cable whose other end, 10.99.0.1 in the
# network namespace `far`, answers its connectivity check with the file /run/check/ok.
set -eu

ip netns add far
ip link add eth0 type veth peer name far0 netns far
# (`ip -n` mounts a /sys of its own, which not every user namespace may.)
far='nsenter --net=/run/netns/far'
$far ip addr add 10.99.0.1/24 dev far0
$far ip link set far0 up
$far ip link set lo up

mkdir -p /run/check
echo 'NetworkManager is online' > /run/check/ok
systemd-run --quiet --unit=far-http --property=NetworkNamespacePath=/run/netns/far \
  python3 -m http.server -d /run/check -b 10.99.0.1 80

printf '[main]\nplugins=keyfile\n[connectivity]\nuri=http://10.99.0.1/ok\nresponse=NetworkManager is online\ninterval=2\n' \
  > /etc/NetworkManager/NetworkManager.conf
mkdir -p /etc/NetworkManager/system-connections
file=/etc/NetworkManager/system-connections/eth0.nmconnection
cat > $file << 'KEYFILE'
[connection]
id=eth0
type=ethernet
interface-name=eth0
[ipv4]
method=manual
address1=10.99.0.2/24,10.99.0.1
[ipv6]
method=ignore
KEYFILE
chmod 600 $file
systemctl start NetworkManager
nm-online --quiet --timeout=10
