#!/usr/bin/env bash
# Turns the footage that tools/setup.sh fetched into the clips that the demo's and the tests'
# simulated cameras play: .cache/clips/NAME@RATEfps.CODEC, and index.tsv beside them.
#
# A clip is an elementary stream, one access unit after another, as a camera would send it:
# H.264 and H.265 as Annex B with an access unit delimiter and a closed group every two seconds
# that starts with its parameter sets; MJPEG as JPEG pictures end to end. One encoder thread each,
# so that the same packages give the same bytes whatever the number of cores.
#
# Each clip is decoded and its pictures are counted before it gets its name. Clips are made again
# when this file or the footage changes. Only GStreamer is used, with the packages of setup.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly SOURCES=.cache/footage
readonly CLIPS=.cache/clips
readonly SCRATCH=.cache/footage-scratch # emptied at each start: one run at a time, see the lock

fail() {
  printf 'footage: FAILED: %s\n' "$1" >&2
  shift
  local line
  for line in "$@"; do printf 'footage:   %s\n' "$line" >&2; done
  exit 1
}

# ---------------------------------------------------------------------------------------------
# Pieces of pipelines. They are split at spaces when used.

# The first N pictures of each source, at an even rate, as I420.
vtest() { echo "filesrc location=$SOURCES/vtest.avi ! avidemux ! avdec_msmpeg4 ! $(only "$1")"; }
bikes() { echo "filesrc location=$SOURCES/bikes.mp4 ! qtdemux ! h264parse ! avdec_h264 ! $(only "$1")"; }
# tree.avi has 68 pictures at uneven times over 29.5 s: each is held until the next, and the noise
# of a sensor laid over it, so that it is a slow camera and not a frozen one. tree PICTURES WIDTH HEIGHT
tree() {
  noise "filesrc location=$SOURCES/tree.avi ! avidemux ! avdec_cinepak ! videoconvert ! videoscale ! videorate ! \
    video/x-raw,format=I420,framerate=10/1,width=$2,height=$3,pixel-aspect-ratio=1/1" "$1" "$2" "$3" 0.02
}

only() { echo "videoconvert ! video/x-raw,format=I420 ! identity eos-after=$(($1 + EOS_OFFSET))"; }

# GStreamer 1.22 lets one buffer fewer through than eos-after says: ask this one.
eos_offset() {
  local passed
  passed=$(gst-launch-1.0 -v fakesrc num-buffers=9 ! identity eos-after=5 ! fakesink silent=false |
    grep -c 'fakesink0: last-message = chain')
  echo $((5 - passed))
}

# noise PIPELINE PICTURES WIDTH HEIGHT STRENGTH
noise() {
  local caps="video/x-raw,format=I420,width=$3,height=$4,framerate=10/1"
  echo "$1 ! mix.sink_0 videotestsrc pattern=snow num-buffers=$2 ! $caps ! mix.sink_1 \
    compositor name=mix sink_1::alpha=$5 ! $caps ! $(only "$2")"
}

# h264 GROUP [B-FRAMES]: main profile, constant quality, a key picture every GROUP pictures exactly.
h264() {
  echo "x264enc threads=1 pass=qual quantizer=23 speed-preset=veryfast bframes=${2-0} b-adapt=false \
    key-int-max=$1 aud=true option-string=scenecut=0:open-gop=0:keyint-min=$1 ! \
    video/x-h264,profile=main,stream-format=byte-stream"
}

h265() {
  echo "x265enc speed-preset=veryfast log-level=none key-int-max=$1 \
    option-string=crf=26:bframes=0:scenecut=0:open-gop=0:min-keyint=$1:aud=1:repeat-headers=1:pools=none:frame-threads=1 ! \
    video/x-h265,profile=main,stream-format=byte-stream"
}

decoder_of() {
  case $1 in
    *.h264) echo "h264parse ! avdec_h264" ;;
    *.h265) echo "h265parse ! avdec_h265" ;;
    *.mjpeg) echo "jpegparse ! jpegdec" ;;
  esac
}

# ---------------------------------------------------------------------------------------------
# The clips: name, width, height, pictures between key pictures, pictures, pipeline.

clips() {
  # The campus camera: three to ten people walking, parked vans.
  clip vtest@10fps.h264 768 576 20 795 "$(vtest 795) ! $(h264 20)"
  # The same seen through other cameras: pictures out of order, other codecs, another size.
  clip vtest-bframes@10fps.h264 768 576 20 100 "$(vtest 100) ! $(h264 20 2)"
  clip vtest@10fps.h265 768 576 20 200 "$(vtest 200) ! $(h265 20)"
  clip vtest@10fps.mjpeg 768 576 1 100 "$(vtest 100) ! jpegenc quality=85"
  clip vtest-320x240@10fps.h264 320 240 20 100 \
    "$(vtest 100) ! videoscale ! video/x-raw,width=320,height=240 ! $(h264 20)"
  # Something lies over the lens: nearly black, hardly a trace of the scene, the noise of the sensor.
  clip vtest-dark@10fps.h264 768 576 20 200 \
    "$(noise "$(vtest 200) ! videobalance contrast=0.04 saturation=0.04" 200 768 576 0.06) ! $(h264 20)"
  # The camera was turned to another place.
  clip vtest-away@10fps.h264 768 576 20 200 "$(tree 200 768 576) ! $(h264 20)"
  # A tree in the wind: motion and nothing else.
  clip tree@10fps.h264 320 240 20 290 "$(tree 290 320 240) ! $(h264 20)"
  # A film of cyclists with cuts: what no fixed camera shows.
  clip bikes@25fps.h264 640 272 50 250 "$(bikes 250) ! $(h264 50)"
  # One picture of the campus camera, for tests of models: number 720, counted from 0.
  clip vtest-720@1fps.mjpeg 768 576 1 1 "$(vtest 721) ! jpegenc quality=92"
}

# Makes one clip in the background, two at a time.
clip() {
  while (($(jobs -rp | wc -l) >= ${JOBS:-2})); do wait -n || true; done
  make_clip "$@" &
}

# x265 writes its parameter sets once more ahead of the first access unit delimiter: drops those.
from_first_delimiter() {
  local offset
  offset=$(LC_ALL=C grep -obUaPm1 '\x00\x00\x00\x01\x46\x01' "$1" | head -n1 | cut -d: -f1)
  tail -c "+$((offset + 1))" "$1" >"$1.cut"
  mv -f "$1.cut" "$1"
}

# Keeps the last of the JPEG pictures in a file: each begins with the marker FFD8 followed by another marker.
last_picture() {
  local offset
  offset=$(LC_ALL=C grep -obUaP '\xff\xd8\xff' "$1" | tail -n1 | cut -d: -f1)
  tail -c "+$((offset + 1))" "$1" >"$1.cut"
  mv -f "$1.cut" "$1"
}

make_clip() {
  local name=$1 width=$2 height=$3 group=$4 pictures=$5 raw=$SCRATCH/$1 log=$SCRATCH/$1.log counted pipeline
  read -ra pipeline <<<"${6//$'\n'/ } ! filesink location=$raw"
  if ! gst-launch-1.0 -q "${pipeline[@]}" >"$log" 2>&1; then
    cat "$log" >&2
    fail "GStreamer could not make $name" "An element may be missing: run tools/setup.sh, then start again."
  fi
  if [[ $name == *.h265 ]]; then from_first_delimiter "$raw"; fi
  if [[ $name == vtest-720@* ]]; then last_picture "$raw"; fi
  read -ra pipeline <<<"filesrc location=$raw ! $(decoder_of "$name") ! video/x-raw,width=$width,height=$height ! \
    fakesink silent=false sync=false"
  # fakesink prints a line for every picture that reaches it.
  gst-launch-1.0 -v "${pipeline[@]}" >"$log" 2>&1 || { tail -n 5 "$log" >&2; fail "$name does not decode"; }
  counted=$(grep -c 'last-message = chain' "$log" || true)
  [[ $counted == "$pictures" ]] || fail "$name has $counted pictures after decoding, expected $pictures"
  mv -f "$raw" "$CLIPS/$name"
  printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$name" "$width" "$height" "$group" "$pictures" "$(stat -c %s "$CLIPS/$name")" \
    >"$SCRATCH/$name.row"
}

# ---------------------------------------------------------------------------------------------

# What the clips were made of. The sums of the footage are pinned in setup.sh.
recipe() { sha256sum tools/footage.sh "$SOURCES"/{vtest.avi,tree.avi,bikes.mp4} | sha256sum | cut -d' ' -f1; }

# True when index.tsv was written by this recipe and every clip in it has its size.
ready() {
  [[ -f $CLIPS/index.tsv ]] || return 1
  local name size
  [[ $(head -n1 "$CLIPS/index.tsv") == "# $(recipe)" ]] || return 1
  while IFS=$'\t' read -r name _ _ _ _ size; do
    [[ $name == \#* || $(stat -c %s "$CLIPS/$name" 2>/dev/null) == "$size" ]] || return 1
  done <"$CLIPS/index.tsv"
}

for source in vtest.avi tree.avi bikes.mp4; do
  [[ -f $SOURCES/$source ]] || fail "$SOURCES/$source is missing" "Run tools/setup.sh first."
done
exec 9>.cache/footage.lock
flock 9
ready && exit 0
command -v gst-launch-1.0 >/dev/null || fail "gst-launch-1.0 is missing" "Run tools/setup.sh first."

echo "footage: making clips in $CLIPS"
rm -rf "$SCRATCH" "$CLIPS"
mkdir -p "$SCRATCH" "$CLIPS"
trap 'rm -rf "$SCRATCH"' EXIT
EOS_OFFSET=$(eos_offset)
clips
wait
{
  printf '# %s\n' "$(recipe)"
  printf '# clip\twidth\theight\tpictures in a group\tpictures\tbytes\n'
  find "$SCRATCH" -name '*.row' -exec cat {} + | sort
} >"$SCRATCH/index.tsv"
# A clip that failed has said why and has no row.
[[ $(grep -vc '^#' "$SCRATCH/index.tsv") == $(grep -cE '^  clip ' tools/footage.sh) ]] ||
  fail "not every clip could be made (see above)"
mv -f "$SCRATCH/index.tsv" "$CLIPS/index.tsv"
echo "footage: ready"
