#!/bin/bash
# Two real Flatpaks, made here of nothing but busybox and gdbus:
#
#   flatpaks.sh DIR        makes the repository DIR/repo
#
# org.example.Applet may talk to org.plexaccountd.Tokens1, org.example.Other to nothing on the bus.
# Both are a shell: `flatpak run org.example.Applet -c 'gdbus call …'`.
set -euo pipefail

dir=$1
arch=$(flatpak --default-arch)
rm -rf "${dir:?}/repo" "$dir/runtime" "$dir/apps"

# A program with the libraries that it needs.
with_libraries() {
  local library
  install -D "$(command -v "$1")" "$dir/runtime/usr/bin/$1"
  while read -r library; do
    install -D "$library" "$dir/runtime/usr${library#/usr}"
  done < <(ldd "$(command -v "$1")" | grep -oE '/[^ ]+')
}

mkdir -p "$dir/runtime/usr/bin" "$dir/runtime/files"
cp "$(command -v busybox)" "$dir/runtime/usr/bin/busybox"
for name in sh sleep cat; do ln -s busybox "$dir/runtime/usr/bin/$name"; done
with_libraries gdbus
cat > "$dir/runtime/metadata" << END
[Runtime]
name=org.example.Platform
runtime=org.example.Platform/$arch/1
sdk=org.example.Platform/$arch/1
END
flatpak build-export --runtime --disable-sandbox "$dir/repo" "$dir/runtime" 1

for app in Applet Other; do
  mkdir -p "$dir/apps/$app/files" "$dir/apps/$app/export/share/applications"
  cat > "$dir/apps/$app/export/share/applications/org.example.$app.desktop" << END
[Desktop Entry]
Type=Application
Name=The $app
Exec=sh
END
  cat > "$dir/apps/$app/metadata" << END
[Application]
name=org.example.$app
runtime=org.example.Platform/$arch/1
sdk=org.example.Platform/$arch/1
command=sh
END
done
cat >> "$dir/apps/Applet/metadata" << 'END'

[Session Bus Policy]
org.plexaccountd.Tokens1=talk
END
for app in Applet Other; do
  flatpak build-export --disable-sandbox "$dir/repo" "$dir/apps/$app" 1
done
