#!/usr/bin/env bash
# What a package must be, whatever is in it: tests/deb.sh FILE.deb. How it installs is tested in tests/vm.
set -euo pipefail
deb=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
dpkg-deb -R "$deb" "$work"

fail() {
  echo "$deb: $1" >&2
  exit 1
}
for script in postinst prerm postrm; do
  sh -n "$work/DEBIAN/$script"
  [ -x "$work/DEBIAN/$script" ] || fail "$script cannot be run"
done
[ ! -e "$work/DEBIAN/conffiles" ] || fail "the configuration must be no conffile: an upgrade would ask about it"
[ ! -e "$work/etc" ] || fail "nothing of it belongs into /etc"
for unit in systemd/*.service systemd/*.socket systemd/*.timer; do
  cmp -s "$unit" "$work/usr/lib/systemd/system/${unit##*/}" || fail "$unit is not in it"
done
for package in iproute2 nftables netbase dnsmasq-base systemd passwd libc6; do
  dpkg-deb -f "$deb" Depends | grep -qw -- "$package" || fail "does not depend on $package"
done
version=$("$work/usr/bin/camlock" --version | cut -d' ' -f2)
[ "$(dpkg-deb -f "$deb" Version)" = "$version-1" ] || fail "its version is not the binary's, $version"
[ -z "$(find "$work" -type f -perm /022)" ] || fail "files that others can write"
echo "$deb: $(du -k "$deb" | cut -f1) KiB, installed $(dpkg-deb -f "$deb" Installed-Size) KiB"
