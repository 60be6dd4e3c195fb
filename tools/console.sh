#!/usr/bin/env bash
# Builds the operators' page into console/embed/app, which the program embeds. Does nothing when nothing has changed.
#
#   tools/console.sh            what `make run` needs
#   tools/console.sh --check    also its types, lints, licences and unit tests: what `make test` needs
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly NODE_MINIMUM=20.19 # engines in console/package.json
readonly CACHE=.cache
readonly STAMP=console/.built
readonly CHECKED=console/.checked

step="starting"

say() { printf 'console: %s\n' "$*"; }

# fail MESSAGE [WHAT-TO-DO]...
fail() {
  printf 'console: FAILED while %s: %s\n' "$step" "$1" >&2
  shift
  local line
  for line in "$@"; do printf 'console:   %s\n' "$line" >&2; done
  exit 1
}

# What the page is made of: its sources, its packages, and the protocol. fingerprint [what belongs to it besides]
fingerprint() {
  node --version
  find console/src console/public console/tools console/index.html console/h.html console/package.json console/package-lock.json \
    console/*.ts console/tsconfig.json proto/src/gen/xueliang.v1.bin tools/console.sh "$@" \
    -path console/src/gen -prune -o -type f -print0 | sort -z | xargs -0 sha256sum
}

check_node() {
  step="looking for Node"
  command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1 || fail "node or npm is not in PATH" \
    "The operators' page is built with Node $NODE_MINIMUM or newer and npm; Debian 12's own nodejs is older." \
    "Install Node for the user who runs make. The rest can be built without the page: cargo build --release"
  local version
  version=$(node --version)
  version=${version#v}
  [[ $(printf '%s\n' "$NODE_MINIMUM" "$version" | sort -V | head -n1) == "$NODE_MINIMUM" ]] ||
    fail "Node is $version, at least $NODE_MINIMUM is needed" "Install a newer Node for the user who runs make."
}

# npm ci takes away what is there first: only where the lock file is another.
install_packages() {
  step="installing the page's npm packages"
  local sum
  sum=$(sha256sum console/package-lock.json | cut -d' ' -f1)
  [[ -f console/node_modules/.xueliang-sum && $(<console/node_modules/.xueliang-sum) == "$sum" ]] && return
  say "$step"
  # Nothing that a package brings is run while it is installed.
  (cd console && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) || fail "npm ci failed" \
    "Check the network, or npm's registry and proxy settings (npm config get registry), then start again."
  printf '%s\n' "$sum" >console/node_modules/.xueliang-sum
}

build() {
  step="building the page"
  say "$step"
  (cd console && npm run --silent generate && npm run --silent build) ||
    fail "the build failed (its words are above)"
}

check() {
  step="checking the page"
  say "$step: types, lints, licences, unit tests"
  (cd console && npm run --silent check && npm run --silent test) || fail "a check failed (its words are above)"
}

checks=no
case ${1-} in
  "") ;;
  --check) checks=yes ;;
  *) step="reading arguments"; fail "unknown argument $1" "Usage: tools/console.sh [--check]" ;;
esac

mkdir -p "$CACHE"
# One at a time, so that `make run` and `make test` can be started together.
exec 9>"$CACHE/console.lock"
flock 9

check_node
wanted=$(fingerprint)
if [[ ! -f $STAMP || $(<"$STAMP") != "$wanted" || ! -f console/embed/app/index.html ]]; then
  rm -f "$STAMP"
  install_packages
  build
  printf '%s\n' "$wanted" >"$STAMP"
fi
if [[ $checks == yes ]]; then
  # The browser's tests need them, too.
  install_packages
  wanted=$(fingerprint console/e2e console/eslint.config.js)
  if [[ ! -f $CHECKED || $(<"$CHECKED") != "$wanted" ]]; then
    rm -f "$CHECKED"
    check
    printf '%s\n' "$wanted" >"$CHECKED"
  fi
fi
