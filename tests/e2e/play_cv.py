"""OpenCV as a client: play_cv.py URL PICTURES GRAY SOUND [OPTION=VALUE...], the options of its libavformat. It has no sound."""
import os
import sys


def main(url, pictures, gray, _sound, *options):
    os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = "|".join(option.replace("=", ";", 1) for option in options)
    import cv2  # It reads the environment when it opens; later changes it may not see.

    capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG)
    if not capture.isOpened():
        sys.exit("not opened")
    with open(gray, "wb") as grays:
        for _ in range(int(pictures)):
            there, picture = capture.read()
            if not there:
                sys.exit("the stream ended")
            grays.write(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).tobytes())


if __name__ == "__main__":
    main(*sys.argv[1:])
