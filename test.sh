#!/usr/bin/env bash
# Installs what the tests need and runs them. Prints the minutes of each stage.
#
#   ./test.sh smoke      in some minutes: a camera, a client, and a round on a camera segment, with a development build
#   ./test.sh            everything that a change must pass; CI runs it
#   ./test.sh nightly    what takes hours: long fuzzing, a long soak, each hostile camera by itself, mutants, foreign builds
#   ./test.sh STAGE...   some stages: install format lint unit oracles docs deny instructions build deb e2e vm soak fuzz
#                        soak_fuzz mutants foreign
#   ./test.sh --soak MINUTES   the soak for so long, with what it needs
#
# Debian 12 and Rust by rustup are assumed; packages are installed as root or through sudo. In CI, where CI=true is set,
# nothing is skipped: what cannot be installed fails.
set -euo pipefail
cd "$(dirname "$0")"

VENV=tests/.venv
# A stage that runs beside others is a process of its own, and takes these from here.
export SOAK_MINUTES=${SOAK_MINUTES:-4}
export FUZZ_SECONDS=${FUZZ_SECONDS:-15}
DENY_VERSION=0.20.2
DEB_VERSION=3.8.0
MUTANTS_VERSION=27.1.0
FOREIGN=aarch64-unknown-linux-gnu
PACKAGES="g++ ffmpeg openssl gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
  gstreamer1.0-plugins-ugly gstreamer1.0-libav gstreamer1.0-rtsp gstreamer1.0-x glib-networking
  gir1.2-gst-rtsp-server-1.0 gir1.2-gst-plugins-base-1.0 python3-gi python3-gst-1.0 python3-numpy python3-venv
  motion zoneminder mariadb-server valgrind dpkg-dev mmdebstrap e2fsprogs systemd
  iproute2 nftables dnsmasq-base tcpdump nmap
  bind9-dnsutils chrony curl iputils-ping mosquitto-clients ntpsec-ntpdate udhcpc"
POLICY=/usr/sbin/policy-rc.d

install_packages() {
  local missing=""
  for package in "$@"; do
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
  # shellcheck disable=SC2086 # a list of words
  install_packages $PACKAGES
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
# In namespaces of its own, which only root may make everywhere.
stage_soak() {
  local root=""
  [ "$(id -u)" = 0 ] || root="sudo --preserve-env=CI,CAMLOCK_BIN"
  $root "$VENV/bin/python" -B tests/soak/run.py "$SOAK_MINUTES"
}
# So many seconds for each target, corpora included; fuzz/run says how to go on longer.
stage_fuzz() { fuzz/run "$FUZZ_SECONDS"; }
# The soak needs half a core and mostly waits; fuzzing gets what it leaves. The emulated machine takes a whole core: beside
# it the gateway is seconds late, and the soak says so.
stage_soak_fuzz() { JOBS=1 together soak fuzz; }
# Most tests wait most of the time: two workers, and what shares a fixture in one of them (tests/e2e/conftest.py).
stage_e2e() { e2e --durations=15 --dist loadgroup --no-loadscope-reorder -n 2 tests/e2e; }
# One client plays one camera; a camera on the segment is played, and the segment is shown to hold.
stage_smoke() {
  cargo build --locked --quiet
  CAMLOCK_BIN=target/debug/camlock e2e \
    "tests/e2e/test_clients.py::test_plays[ffmpeg_9-none_h264-password-RTSPS]" \
    tests/e2e/test_segment_run.py::test_pictures_flow_and_either_process_survives_the_other \
    tests/e2e/test_segment_canary.py::test_a_segment_that_holds_passes_and_the_ledger_has_all_tries
}
# Bugs that are planted into the hub, one at a time: the unit tests must find 95 of a hundred.
stage_mutants() {
  [ "$(cargo mutants --version 2>/dev/null)" = "cargo-mutants $MUTANTS_VERSION" ] ||
    cargo install --quiet --locked "cargo-mutants@$MUTANTS_VERSION"
  # 2 and 3: some were missed, or went on for ever.
  cargo mutants --file 'src/hub/**/*.rs' --output target --colors never -- --lib hub:: || [[ $? = [23] ]]
  python3 - target/mutants.out/outcomes.json <<'END'
import json, sys
found = json.load(open(sys.argv[1]))
caught, missed = found["caught"] + found["timeout"], found["missed"]
print(f"{caught} of {caught + missed} mutants found")
sys.exit(caught < 0.95 * (caught + missed))
END
}
# That it builds for another processor; nothing runs there.
stage_foreign() {
  install_packages gcc-aarch64-linux-gnu libc6-dev-arm64-cross
  rustup --quiet target add "$FOREIGN"
  CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc cargo build --locked --release --quiet --target "$FOREIGN"
}

# pytest, with these arguments.
e2e() { "$VENV/bin/pytest" -q -p no:cacheprovider "$@"; }

# Runs stages at the same time, each as a process group of its own; shows what each said once all have ended.
together() {
  local stage groups="" failed=""
  mkdir -p tests/.work
  for stage in "$@"; do
    setsid nice -n "$([ "$stage" = fuzz ] && echo 19 || echo 0)" ./test.sh "$stage" >"tests/.work/$stage.log" 2>&1 &
    groups="$groups $stage:$!"
  done
  # shellcheck disable=SC2064 # the numbers as they are now
  trap "for group in $groups; do kill -- -\${group#*:} 2>/dev/null || true; done" EXIT
  for group in $groups; do
    wait "${group#*:}" || failed="$failed ${group%:*}"
  done
  trap - EXIT
  for stage in "$@"; do cat "tests/.work/$stage.log"; done
  [ -z "$failed" ] || { echo "failed:$failed" >&2; return 1; }
}

case ${1:-} in
  --soak)
    SOAK_MINUTES=${2:?usage: ./test.sh --soak MINUTES}
    set -- install build soak
    ;;
  smoke) set -- install format smoke ;;
  nightly)
    SOAK_MINUTES=120 FUZZ_SECONDS=600
    export CAMLOCK_ALL_MODES=1
    set -- install unit build deb e2e vm soak fuzz mutants foreign
    ;;
esac
stages=${*:-install format lint unit oracles docs deny instructions build deb e2e vm soak_fuzz}
times=""
for stage in $stages; do
  echo "== $stage"
  begin=$SECONDS
  "stage_$stage"
  took=$((SECONDS - begin))
  times="$times$(printf '%6.1f min  %s' "$(awk "BEGIN { print $took / 60 }")" "$stage")"$'\n'
done
printf '== all passed\n%s%6.1f min  together\n' "$times" "$(awk "BEGIN { print $SECONDS / 60 }")"
