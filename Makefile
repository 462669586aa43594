# make                    build the daemon and plex-account (target/release)
# make install            install them; for root into /usr/local, else into ~/.local
# make uninstall          remove what make install put there (say the same PREFIX)
# make demo               see it work on a private bus, without account or internet
# make test               all tests, the end-to-end ones included
# make interop            real clients of plex.tv against the stand-in, as a table
# make bench              start-up, memory, wake-ups and cost of calls, as a table
# make live               walk through sign-in and presence with your own Plex account (docs/live.md)
# make check              format, lints, documentation, scripts and data files
# make deny               licences, banned and doubled crates, sources (installs cargo-deny)
# make deb                target/debian/*.deb (installs cargo-deb)
#
# For a package: make install DESTDIR=/tmp/root PREFIX=/usr
# What a target needs beyond Rust is installed by tests/setup.sh, from Debian packages.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

ID := org.plexaccountd.Account1
PREFIX ?= $(if $(filter 0,$(shell id -u)),/usr/local,$(HOME)/.local)
BINDIR ?= $(PREFIX)/bin
DATADIR ?= $(PREFIX)/share
DOCDIR ?= $(DATADIR)/doc/plex-accountd
# A user's own manager looks under share, that of the system under lib.
UNITDIR ?= $(if $(filter $(HOME)/%,$(PREFIX)),$(DATADIR),$(PREFIX)/lib)/systemd/user
ICONDIR := $(DATADIR)/icons/hicolor

ifneq ($(words $(DESTDIR)$(PREFIX)),1)
$(error PREFIX and DESTDIR must not contain spaces)
endif

TARGET := $(or $(CARGO_TARGET_DIR),target)
BINARIES := $(TARGET)/release/plex-accountd $(TARGET)/release/plex-account
SOURCES := Cargo.toml Cargo.lock $(shell find src crates dbus -type f)
# Tools that are built on demand, each version once.
TOOLS := $(TARGET)/tools
CARGO_DEB := 3.8.0
CARGO_DENY := 0.20.2
SCRIPTS := .ci/run $(shell grep -rlE '^\#!.*\b(ba)?sh$$' tests examples --include='*' --exclude-dir=fixtures)

.PHONY: all install uninstall demo test unit e2e flatpak interop bench live check deny deb

all: $(BINARIES)

# One call builds both. `touch`, since cargo leaves alone what did not change.
$(BINARIES) &: $(SOURCES)
	tests/setup.sh build
	cargo build --release --locked -p plex-accountd -p plex-account-cli --bins
	touch $(BINARIES)

# Name and mode of everything that is installed: FILE MODE DESTINATION. Where a file
# has @BINDIR@ or @DOCDIR@ in it, the true folder is put there.
define FILES
$(TARGET)/release/plex-accountd 755 $(BINDIR)/plex-accountd
$(TARGET)/release/plex-account 755 $(BINDIR)/plex-account
systemd/plex-accountd.service 644 $(UNITDIR)/plex-accountd.service
$(foreach f,$(wildcard dbus/*.service),$f 644 $(DATADIR)/dbus-1/services/$(notdir $f)
)packaging/$(ID).desktop 644 $(DATADIR)/applications/$(ID).desktop
packaging/$(ID).metainfo.xml 644 $(DATADIR)/metainfo/$(ID).metainfo.xml
packaging/$(ID).svg 644 $(ICONDIR)/scalable/apps/$(ID).svg
packaging/$(ID)-symbolic.svg 644 $(ICONDIR)/symbolic/apps/$(ID)-symbolic.svg
packaging/man/plex-account.1 644 $(DATADIR)/man/man1/plex-account.1
packaging/man/plex-accountd.toml.5 644 $(DATADIR)/man/man5/plex-accountd.toml.5
packaging/man/$(ID).5 644 $(DATADIR)/man/man5/$(ID).5
packaging/man/plex-accountd.8 644 $(DATADIR)/man/man8/plex-accountd.8
packaging/completions/plex-account.bash 644 $(DATADIR)/bash-completion/completions/plex-account
packaging/completions/plex-account.zsh 644 $(DATADIR)/zsh/site-functions/_plex-account
packaging/completions/plex-account.fish 644 $(DATADIR)/fish/vendor_completions.d/plex-account.fish
systemd/hardening.conf 644 $(DOCDIR)/examples/hardening.conf
LICENSE-MIT 644 $(DOCDIR)/LICENSE-MIT
LICENSE-APACHE 644 $(DOCDIR)/LICENSE-APACHE
$(foreach f,$(wildcard examples/servers.* examples/titles.* examples/waybar.jsonc),$f 644 $(DOCDIR)/$f
)$(foreach f,$(wildcard packaging/config.toml),$f 644 $(DOCDIR)/examples/config.toml
)$(foreach f,$(wildcard README.md),$f 644 $(DOCDIR)/$f
)$(foreach f,$(wildcard dbus/*.xml),$f 644 $(DATADIR)/dbus-1/interfaces/$(notdir $f)
)
endef
export FILES

install: $(BINARIES)
	@while read -r file mode to; do
	  [ -n "$$file" ] || continue
	  case $$file in
	  *.service) sed 's|@BINDIR@|$(BINDIR)|; s|@DOCDIR@|$(DOCDIR)|' "$$file" | install -Dm"$$mode" /dev/stdin "$(DESTDIR)$$to" ;;
	  *) install -Dm"$$mode" "$$file" "$(DESTDIR)$$to" ;;
	  esac
	done <<< "$$FILES"
	$(if $(DESTDIR),exit 0)
	$(RELOAD)
	echo
	echo 'Installed in $(PREFIX). To start it now and at each login:'
	echo
	echo '  systemctl --user enable --now plex-accountd'

uninstall:
	@$(if $(DESTDIR),,systemctl --user disable --now plex-accountd 2> /dev/null || :)
	while read -r file mode to; do
	  [ -z "$$file" ] || rm -f "$(DESTDIR)$$to"
	done <<< "$$FILES"
	for dir in $(DOCDIR)/examples $(DOCDIR); do
	  rmdir "$(DESTDIR)$$dir" 2> /dev/null || :
	done
	$(if $(DESTDIR),,$(RELOAD))

# The running manager and bus of this user, if there are any, see the new files at once.
define RELOAD
systemctl --user daemon-reload 2> /dev/null || :
busctl --user call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus ReloadConfig > /dev/null 2>&1 || :
endef

demo:
	tests/setup.sh build demo
	tests/demo.sh

test: unit e2e

unit:
	tests/setup.sh build test
	if cargo nextest --version > /dev/null 2>&1; then
	  cargo nextest run --workspace --locked
	  cargo test --workspace --locked --doc
	else
	  cargo test --workspace --locked
	fi

e2e:
	tests/e2e/run

# Of the end-to-end tests the one with real Flatpaks.
flatpak:
	tests/e2e/run tokens

interop:
	tests/setup.sh build interop
	tests/interop/run

live: $(BINARIES)
	tests/setup.sh build live
	@tests/live.sh

bench:
	tests/setup.sh build bench
	tests/bench.sh

check:
	tests/setup.sh build check
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --document-private-items --locked
	shellcheck -x $(SCRIPTS)
	desktop-file-validate packaging/$(ID).desktop
	appstreamcli validate --no-net packaging/$(ID).metainfo.xml
	xmllint --noout packaging/*.svg
	mandoc -T lint -W warning packaging/man/*.[158]
	for f in packaging/man/*.[158]; do
	  said=$$(man --warnings -E UTF-8 -l "$$f" 2>&1 > /dev/null)
	  [ -z "$$said" ] || { echo "$$f: $$said"; exit 1; }
	done
	for f in dbus/*.xml; do
	  [ ! -e "$$f" ] || xmllint --noout --nonet --dtdvalid /usr/share/xml/dbus-1/introspect.dtd "$$f"
	done

$(TOOLS)/cargo-deb-$(CARGO_DEB) $(TOOLS)/cargo-deny-$(CARGO_DENY):
	crate=$(notdir $@)
	# Unoptimised: they are built for longer than they run.
	CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --locked --debug --root $(TOOLS) \
	  "$${crate%-*}" --version "$${crate##*-}"
	touch $@

deny: $(TOOLS)/cargo-deny-$(CARGO_DENY)
	$(TOOLS)/bin/cargo-deny --all-features check bans licenses sources

# The package holds what `make install` makes, less the licence texts: Debian has them.
deb: $(BINARIES) $(TOOLS)/cargo-deb-$(CARGO_DEB)
	rm -rf target/packaging
	$(MAKE) --no-print-directory install PREFIX=/usr DESTDIR=target/packaging
	rm target/packaging/usr/share/doc/plex-accountd/LICENSE-*
	$(TOOLS)/bin/cargo-deb --no-build --locked
