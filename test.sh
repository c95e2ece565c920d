#!/usr/bin/env bash
# Installs what the tests need and runs all of them. Prints the minutes of each stage.
#
#   ./test.sh            everything
#   ./test.sh STAGE...   some stages: install format lint unit oracles docs deny instructions build deb e2e vm fuzz
#                        soak soak_and_fuzz
#   ./test.sh --soak MINUTES   the soak for so long, with what it needs
#
# Debian 12 and Rust by rustup are assumed; packages are installed as root or through sudo. Nothing is skipped: what
# cannot be installed fails.
set -euo pipefail
cd "$(dirname "$0")"

VENV=tests/.venv
SOAK_MINUTES=10
DENY_VERSION=0.20.2
DEB_VERSION=3.8.0
PACKAGES="g++ ffmpeg openssl gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
  gstreamer1.0-plugins-ugly gstreamer1.0-libav gstreamer1.0-rtsp gstreamer1.0-x glib-networking
  gir1.2-gst-rtsp-server-1.0 gir1.2-gst-plugins-base-1.0 python3-gi python3-gst-1.0 python3-numpy python3-venv
  motion zoneminder mariadb-server valgrind dpkg-dev mmdebstrap e2fsprogs systemd
  iproute2 nftables dnsmasq-base tcpdump nmap
  bind9-dnsutils chrony curl iputils-ping mosquitto-clients ntpsec-ntpdate udhcpc"
POLICY=/usr/sbin/policy-rc.d

install_packages() {
  local missing=""
  for package in $PACKAGES; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
  done
  [ -z "$missing" ] && return
  local root=""
  [ "$(id -u)" = 0 ] || root=sudo
  $root apt-get update -qq
  # The tests start what they need; no package is to start its service.
  local forbid="" failed=0
  if [ ! -e "$POLICY" ]; then
    forbid=yes
    printf '#!/bin/sh\nexit 101\n' | $root tee "$POLICY" >/dev/null
    $root chmod 755 "$POLICY"
  fi
  # shellcheck disable=SC2086 # a list of words
  DEBIAN_FRONTEND=noninteractive $root apt-get install -y -qq --no-install-recommends $missing >/dev/null || failed=1
  [ -z "$forbid" ] || $root rm "$POLICY"
  return "$failed"
}

stage_install() {
  install_packages
  [ -x "$VENV/bin/pytest" ] || python3 -m venv "$VENV"
  "$VENV/bin/pip" install --quiet --disable-pip-version-check -r tests/e2e/requirements.txt
  if ! cargo deny --version 2>/dev/null | grep -qF "$DENY_VERSION"; then
    cargo install --quiet --locked "cargo-deny@$DENY_VERSION"
  fi
  if [ "$(cargo deb --version 2>/dev/null)" != "cargo-deb $DEB_VERSION" ]; then
    cargo install --quiet --locked "cargo-deb@$DEB_VERSION"
  fi
}
stage_format() {
  cargo fmt --check
  (cd fuzz && cargo fmt --check)
}
stage_lint() { cargo clippy --locked --all-targets --quiet -- -D warnings; }
stage_unit() { cargo test --locked --quiet; }
# Tests that need ffmpeg's encoders and decoders beside the code.
stage_oracles() {
  local work=tests/.work/oracles
  mkdir -p "$work"
  tests/oracles.sh "$work"
  CAMLOCK_AAC_DIR="$PWD/$work" CAMLOCK_HEVC_DIR="$PWD/$work" cargo test --locked --quiet --lib -- --ignored
}
stage_docs() { RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items --quiet; }
# The check itself is offline; it wants the sources of all targets.
stage_deny() {
  cargo fetch --locked --quiet
  cargo deny --locked --offline check bans licenses sources
  # The fuzz targets' own crates; their lock file is the gateway's and these.
  (cd fuzz && cp ../Cargo.lock . && cargo fetch --quiet)
  cargo deny --manifest-path fuzz/Cargo.toml --config deny.toml --offline check bans licenses sources
}
# Counts what a unit costs against the recorded baseline. Before the build: it leaves a binary of its own there.
stage_instructions() { cargo bench --locked --quiet --bench instructions; }
stage_build() { cargo build --locked --release --quiet; }
# The package of the release binary, into target/deb.
stage_deb() {
  rm -rf target/deb
  cargo deb --quiet --locked --no-build --output target/deb/
  tests/deb.sh target/deb/camlock_*.deb
}
# The package under a real systemd, in an emulated machine; its disk is made as root.
stage_vm() {
  local root=""
  [ "$(id -u)" = 0 ] || root="sudo --preserve-env=CI"
  $root python3 -B tests/vm/run target/deb/camlock_*.deb
}
# A smoke of half a minute for each target, corpora included; fuzz/run says how to go on longer.
stage_fuzz() { fuzz/run 30; }
# In namespaces of its own, which only root may make everywhere.
stage_soak() {
  local root=""
  [ "$(id -u)" = 0 ] || root="sudo --preserve-env=CI,CAMLOCK_BIN"
  $root "$VENV/bin/python" -B tests/soak/run.py "$SOAK_MINUTES"
}
# The soak needs half a core: the smoke of the fuzz targets runs beside it, one at a time and behind everything else.
stage_soak_and_fuzz() {
  local log=tests/.work/fuzz.log soaked=0 fuzzed=0 fuzz
  mkdir -p tests/.work
  JOBS=1 setsid nice -n 19 bash -c 'fuzz/run 30 && echo "the fuzz smoke took $SECONDS s"' >"$log" 2>&1 &
  fuzz=$!
  # shellcheck disable=SC2064 # the number as it is now
  trap "kill -- -$fuzz 2>/dev/null || true" EXIT
  stage_soak || soaked=$?
  wait "$fuzz" || fuzzed=$?
  trap - EXIT
  cat "$log"
  [ "$soaked" = 0 ] && [ "$fuzzed" = 0 ]
}
stage_e2e() { "$VENV/bin/pytest" -q --durations=10 -p no:cacheprovider tests/e2e; }

if [ "${1:-}" = --soak ]; then
  SOAK_MINUTES=${2:?usage: ./test.sh --soak MINUTES}
  set -- install build soak
fi
stages=${*:-install format lint unit oracles docs deny instructions build deb e2e vm soak_and_fuzz}
times=""
for stage in $stages; do
  echo "== $stage"
  begin=$SECONDS
  "stage_$stage"
  took=$((SECONDS - begin))
  times="$times$(printf '%6.1f min  %s' "$(awk "BEGIN { print $took / 60 }")" "$stage")"$'\n'
done
printf '== all passed\n%s%6.1f min  together\n' "$times" "$(awk "BEGIN { print $SECONDS / 60 }")"
