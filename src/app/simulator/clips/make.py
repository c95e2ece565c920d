#!/usr/bin/env python3
"""Makes the simulator's clips. Run by hand, the results are committed:

    /usr/bin/python3 src/simulator/clips/make.py

Needs ffmpeg (5.1 was used, with libx264, libx265 and drawtext), numpy and the DejaVu fonts.

Every picture carries a bar code with its number (`src/simulator/pattern/layout.rs` describes it,
`tests/e2e/barcode.py` reads it), a running clock, and a flash block that is white from 0.40 s to 0.52 s of
each second, when the sound beeps. One clip is 24 s long: the shortest time above 20 s that is a whole number of
seconds, of pictures, and of 48 kHz AAC frames (600 pictures, 1,125 frames), so that all of it loops without a seam.
"""
import math
import subprocess
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
SECONDS, FPS, PICTURES = 24, 25, 600
BEEP_FROM, BEEP_TO, BEEP_HZ = 0.40, 0.52, 1000
FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSansMono-Bold.ttf"
WHITE, BLACK = 235, 16


def cell_side(width: int) -> int:
    return 32 if width >= 640 else 16


def draw_bar_code(luma: np.ndarray, number: int) -> None:
    """Two rows of 20 cells: low half above, high half below; sync, 16 bits, even parity, sync."""
    side = cell_side(luma.shape[1])
    for row, half in enumerate((number & 0xFFFF, number >> 16)):
        bits = [half >> (15 - i) & 1 for i in range(16)]
        cells = [1 - row, row, *bits, sum(bits) & 1, row]
        for column, cell in enumerate(cells):
            luma[row * side:(row + 1) * side, column * side:(column + 1) * side] = WHITE if cell else BLACK


def picture(width: int, height: int, number: int, tint: tuple[int, int]) -> bytes:
    side = cell_side(width)
    y, x = np.mgrid[0:height, 0:width]
    luma = (60 + 50 * y / height + 20 * np.sin(2 * math.pi * x / width)).astype(np.uint8)
    # A block runs to and fro below the bar code, one way in 3 s.
    phase = number / (3 * FPS) % 2
    left = int((width - 3 * side) * (phase if phase < 1 else 2 - phase)) & ~1
    top = 2 * side + side // 2
    luma[top:top + side, left:left + 3 * side] = 180
    # The flash block.
    second = number % FPS / FPS
    flash = BEEP_FROM - 1e-9 <= second < BEEP_TO - 1e-9
    luma[height - 3 * side:height - side, width - 3 * side:width - side] = WHITE if flash else BLACK
    draw_bar_code(luma, number)
    u = np.full((height // 2, width // 2), tint[0], np.uint8)
    v = np.full((height // 2, width // 2), tint[1], np.uint8)
    u[:side] = v[:side] = 128
    return luma.tobytes() + u.tobytes() + v.tobytes()


def video(name: str, width: int, height: int, title: str, tint: tuple[int, int], encoder: list[str]) -> None:
    big, small = height // 6, height // 14
    text = f"fontfile={FONT}:fontcolor=white:box=1:boxcolor=black@0.6:boxborderw=4:x=(w-text_w)/2"
    clock = r"%{eif\:trunc(t/60)\:d\:2}\:%{eif\:mod(trunc(t)\,60)\:d\:2}.%{eif\:round(mod(t\,1)*1000)\:d\:3}"
    filters = (f"drawtext={text}:fontsize={big}:y=h*0.42:text='{clock}',"
               f"drawtext={text}:fontsize={small}:y=h*0.66:text='{title}  picture %{{n}}'")
    command = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{width}x{height}",
               "-r", str(FPS), "-i", "-", "-vf", filters, "-an", "-pix_fmt", "yuv420p", *encoder, str(HERE / name)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        for number in range(PICTURES):
            process.stdin.write(picture(width, height, number, tint))
        process.stdin.close()
        if process.wait() != 0:
            sys.exit(f"{name}: ffmpeg failed")


def beeps(rate: int, seconds: int) -> bytes:
    time = np.arange(rate * seconds) / rate
    second = time % 1
    edge = 0.004  # soft edges: no click
    gain = np.clip(np.minimum(second - BEEP_FROM, BEEP_TO - second) / edge, 0, 1)
    return (0.3 * 32767 * gain * np.sin(2 * math.pi * BEEP_HZ * second)).astype("<i2").tobytes()


def sound(rate: int, seconds: int, arguments: list[str]) -> bytes:
    return subprocess.run(["ffmpeg", "-v", "error", "-f", "s16le", "-ar", str(rate), "-ac", "1", "-i", "-",
                           *arguments, "-"], input=beeps(rate, seconds), check=True, stdout=subprocess.PIPE).stdout


def aac() -> None:
    # Three rounds are coded and the middle one is kept: the transform overlaps into the neighbours, so only a cut
    # from the middle joins with itself. A decoder's output for packet k is the sound before packet k: one further.
    stream = sound(48000, 3 * SECONDS, ["-c:a", "aac", "-b:a", "24k", "-f", "adts", "-bitexact"])
    frames = []
    while stream:
        length = (stream[3] & 3) << 11 | stream[4] << 3 | stream[5] >> 5
        frames.append(stream[:length])
        stream = stream[length:]
    count = SECONDS * 48000 // 1024
    (HERE / "beep.aac").write_bytes(b"".join(frames[count + 1:2 * count + 1]))


def main() -> None:
    drop_sei = ["-bsf:v", "filter_units=remove_types=6|9"]
    x264 = ["-c:v", "libx264", "-profile:v", "high", "-preset", "veryslow", "-g", "25", "-bf", "0", "-threads", "1",
            "-x264-params", "keyint=25:min-keyint=25:scenecut=0:open-gop=0:slices=1:ref=1:repeat-headers=1",
            "-crf", "27", *drop_sei, "-f", "h264"]
    x265 = ["-c:v", "libx265", "-preset", "slow", "-crf", "29", "-x265-params",
            "keyint=25:min-keyint=25:scenecut=0:open-gop=0:bframes=0:ref=1:info=0:wpp=0:frame-threads=1:pools=1:"
            "hrd=0:aud=0:repeat-headers=1:log-level=error", "-bsf:v", "filter_units=remove_types=35|39|40", "-f", "hevc"]
    video("door.h264", 640, 360, "door", (124, 134), x264)
    video("yard.h265", 640, 360, "yard", (120, 122), x265)
    video("yard-sub.h264", 320, 180, "yard sub", (120, 122), x264)
    aac()
    # One second is the whole pattern; it repeats.
    (HERE / "beep.alaw").write_bytes(sound(8000, 1, ["-c:a", "pcm_alaw", "-f", "alaw"]))


if __name__ == "__main__":
    main()
