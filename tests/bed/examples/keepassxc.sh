#!/bin/bash
# Makes KeePassXC the keyring of the session, with an open database ~/k2.kdbx whose password is
# `pw`. As tester, after `desktop.sh start none`. Its collection is called after the file.
set -euo pipefail
export DISPLAY=:5
cd

# Nobody else is the keyring. gnome-keyring is activated by its file, whatever its unit says.
systemctl --user mask --quiet --now gnome-keyring-daemon.socket gnome-keyring-daemon.service
mkdir -p ~/.local/share/dbus-1/services
printf '%s\n' '[D-BUS Service]' Name=org.freedesktop.secrets Exec=/bin/false \
  > ~/.local/share/dbus-1/services/org.freedesktop.secrets.service
busctl --user call org.freedesktop.DBus / org.freedesktop.DBus ReloadConfig

# A database whose group `Secrets` is there for other programs. Without such a group KeePassXC asks
# for one in a window. Which group it is stands in the database, and no command sets that but import.
rm -f k.kdbx k2.kdbx
printf 'pw\npw\n' | keepassxc-cli db-create -q -p k.kdbx > /dev/null
echo pw | keepassxc-cli mkdir -q k.kdbx Secrets
echo pw | keepassxc-cli export -q -f xml k.kdbx > k.xml
python3 - << 'PYTHON'
import base64, re, uuid

xml = open("k.xml").read()
id = re.search(r"<UUID>([^<]+)</UUID>\s*<Name>Secrets</Name>", xml)[1]
group = "{%s}" % uuid.UUID(bytes=base64.b64decode(id))
item = f"<Item><Key>FDO_SECRETS_EXPOSED_GROUP</Key><Value>{group}</Value></Item>"
open("k2.xml", "w").write(xml.replace("</Meta>", f"<CustomData>{item}</CustomData></Meta>", 1))
PYTHON
printf 'pw\npw\n' | keepassxc-cli import -q -p k2.xml k2.kdbx > /dev/null

mkdir -p ~/.config/keepassxc
cat > ~/.config/keepassxc/keepassxc.ini << 'INI'
[General]
ConfigVersion=2
UpdateCheckMessageShown=true
[FdoSecrets]
Enabled=true
ConfirmAccessItem=false
ConfirmDeleteItem=false
ShowNotification=false
[GUI]
CheckForUpdates=false
INI
systemd-run --user --quiet --collect --property=TimeoutStopSec=2 --unit=keepassxc \
  --setenv=DISPLAY=:5 sh -c 'echo pw | keepassxc --pw-stdin ~/k2.kdbx'

# It owns the name before it has opened the database.
collections() {
  busctl --user get-property org.freedesktop.secrets /org/freedesktop/secrets \
    org.freedesktop.Secret.Service Collections
}
for _ in {1..100}; do
  [[ $(collections 2> /dev/null) != */k2* ]] || break
  sleep 0.1
done
collections

# An item of another program, so that ours is not the only one.
printf tokK | timeout 10 secret-tool store --label=Plex service plexd account me
[ "$(timeout 10 secret-tool lookup service plexd account me)" = tokK ]
