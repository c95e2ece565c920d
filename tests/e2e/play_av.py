"""PyAV as a client: play_av.py URL PICTURES GRAY SOUND [OPTION=VALUE...], the options of libavformat."""
import sys

import av
import numpy


def main(url, pictures, gray, sound, *options):
    count, s16 = 0, av.AudioResampler(format="s16", layout="mono")
    with (
        av.open(url, options=dict(option.split("=", 1) for option in options), timeout=20) as container,
        open(gray, "wb") as grays,
        open(sound, "wb") as sounds,
    ):
        for frame in container.decode(*container.streams.get(video=0), *container.streams.audio[:1]):
            if isinstance(frame, av.AudioFrame):
                for part in s16.resample(frame):
                    sounds.write(part.to_ndarray().astype("<i2").tobytes())
                continue
            grays.write(numpy.ascontiguousarray(frame.to_ndarray(format="gray")).tobytes())
            count += 1
            if count == int(pictures):
                break


if __name__ == "__main__":
    main(*sys.argv[1:])
