#!/usr/bin/env bash
# Makes sound and pictures of many kinds with ffmpeg's encoders: tests/oracles.sh FOLDER
set -euo pipefail
cd "$1"
make() { [ -s "$1" ] || ffmpeg -nostdin -v error -f lavfi -i "$2" "${@:3}" -y "$1"; }
for rate in 8000 16000 32000 44100 48000; do
  for kbit in 24 64 128; do
    make "sine-$rate-$kbit.aac" "sine=f=440:r=$rate:d=3" -c:a aac -b:a "${kbit}k"
    make "noise-$rate-$kbit.aac" "anoisesrc=r=$rate:d=3" -c:a aac -b:a "${kbit}k"
    make "clicks-$rate-$kbit.aac" "aevalsrc=0.9*lt(mod(t\\,0.13)\\,0.002):s=$rate:d=3" -ac 2 -c:a aac -b:a "${kbit}k"
    make "wide-$rate-$kbit.aac" "aevalsrc=0.4*sin(2*PI*300*t)|0.4*random(0):s=$rate:d=3" -c:a aac -b:a "${kbit}k"
  done
done
picture=testsrc2=s=416x240:r=25:d=2
hevc() { make "$1.h265" "$picture" -c:v libx265 -preset ultrafast -x265-params "log-level=none:$2"; }
hevc plain keyint=10
hevc b-pictures keyint=25:bframes=3:b-pyramid=1
hevc slices keyint=10:slices=4
hevc weighted keyint=20:weightp=1:weightb=1:bframes=2
hevc open keyint=10:open-gop=1:bframes=3
hevc refs keyint=25:ref=5
hevc wpp keyint=10:wpp=1
hevc lossless keyint=10:lossless=1
hevc sao keyint=10:sao=1:deblock=2,2
