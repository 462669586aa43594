#!/bin/sh
# As tester: a browser that writes every http(s) link that it is given into ~/opened.
set -eu

mkdir -p ~/bin ~/.local/share/applications ~/.config
cat > ~/bin/fake-browser << 'SH'
#!/bin/sh
echo "$@" >> ~/opened
SH
chmod +x ~/bin/fake-browser
cat > ~/.local/share/applications/fake.desktop << DESKTOP
[Desktop Entry]
Type=Application
Name=Fake
Exec=$HOME/bin/fake-browser %u
MimeType=x-scheme-handler/http;x-scheme-handler/https;
DESKTOP
cat > ~/.config/mimeapps.list << 'LIST'
[Default Applications]
x-scheme-handler/http=fake.desktop
x-scheme-handler/https=fake.desktop
LIST
update-desktop-database ~/.local/share/applications
