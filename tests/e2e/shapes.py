"""The shapes of streams that cameras send: name -> what `clip_camera.py` is to play and what a client is to see."""
import dataclasses

import clips

PICTURES = 75
SECONDS = 2.5
ALAW = {"codec": "alaw", "rate": 8000, "channels": 1}


@dataclasses.dataclass(frozen=True, eq=False)
class Shape:
    """`options` are those of `clips.encode`, `stream` and `sounds` those of `clip_camera.py`. Pictures are numbered 0..count and
    repeat; a client is to see `pictures` of them in a row. `turns`: the encoder's options of each equal part of the clip."""

    name: str
    codec: str = None
    count: int = 50
    fps: int = 25
    options: dict = dataclasses.field(default_factory=dict)
    stream: dict = dataclasses.field(default_factory=dict)
    sounds: tuple = ()
    pictures: int = PICTURES
    turns: tuple = ()

    @property
    def slug(self):
        return "".join(c if c.isalnum() else "-" for c in self.name.lower())

    def units(self):
        if not self.turns:
            return clips.encode(self.codec, self.count, fps=self.fps, **self.options)
        part, units = self.count // len(self.turns), []
        for first, options in zip(range(0, self.count, part), self.turns):
            coded = clips.encode(self.codec, part, fps=self.fps, first=first, options=options, **self.options)
            units += [(data, first + when) for data, when in coded]
        return units

    def describe(self, folder):
        """What clip_camera.py takes."""
        described = dict(self.stream, sounds=[dict(sound, hz=1000 * (i + 1)) for i, sound in enumerate(self.sounds)])
        if self.codec:
            described["clips"] = [str(clips.save(folder, self.slug, self.codec, self.units(), self.fps))]
        return described


X264 = "b-pyramid=normal:ref=4"
VUI = (
    "aud=1:cqm=jvt:sar=4/3:colorprim=bt709:transfer=bt709:colormatrix=bt709:videoformat=pal:nal-hrd=vbr:bitrate=1000:"
    "vbv-maxrate=2000:vbv-bufsize=2000:pic-struct=1"
)
FOUR_K = {"width": 3840, "height": 2160, "noise_rows": 640, "gop": 8}

SHAPES = [
    Shape("H.264, pictures only", "h264"),
    Shape("H.265, pictures only", "h265"),
    Shape("A-law only", sounds=(ALAW,)),
    Shape("AAC 48 kHz stereo only", sounds=({"codec": "aac", "rate": 48000, "channels": 2},)),
    Shape("two sound tracks", "h264", sounds=(ALAW, {"codec": "aac", "rate": 16000, "channels": 1})),
    Shape("A-law in packets of 20 ms", "h264", sounds=(dict(ALAW, samples=160),)),
    Shape("A-law in packets of 1,024 samples", "h265", sounds=(dict(ALAW, samples=1024),)),
    Shape("AAC 8 kHz mono", "h264", sounds=({"codec": "aac", "rate": 8000, "channels": 1},)),
    Shape("AAC 48 kHz stereo", "h265", sounds=({"codec": "aac", "rate": 48000, "channels": 2},)),
    Shape("payload type 35", "h264", stream={"type": 35}),
    Shape("payload type 0 for pictures, 127 for sound", "h265", stream={"type": 0}, sounds=(dict(ALAW, type=127),)),
    Shape("H.264, parameter sets only in band", "h264", stream={"sprop": False}),
    Shape("H.265, parameter sets only in band", "h265", stream={"sprop": False}),
    Shape("H.264, B-pictures as a pyramid", "h264", options={"b": 3, "options": X264}),
    Shape("H.264, open groups of pictures", "h264", options={"b": 3, "options": X264 + ":open-gop=1"}, count=100),
    Shape(
        "H.264, open groups of pictures, joined amid", "h264", options={"b": 3, "options": "b-pyramid=none:open-gop=1"}, count=500,
        stream={"begin": 30},
    ),
    Shape("H.265, open groups of pictures", "h265", options={"b": 3, "options": "open-gop=1"}, count=100),
    Shape("H.264, key frame every 10 s", "h264", count=500, options={"gop": 250}),
    Shape("H.265, key frame every 10 s", "h265", count=250, options={"gop": 250}),
    Shape("H.264, 8 megapixels, key frames of 1.5 MB", "h264", count=8, options=FOUR_K, pictures=12),
    Shape("H.265, 8 megapixels, key frames of 1.5 MB", "h265", count=8, options=FOUR_K, pictures=12),
    Shape("H.264, 50 pictures a second", "h264", fps=50, pictures=150),
    Shape("H.264, 1 picture a second", "h264", count=4, fps=1, options={"gop": 4}, pictures=5),
    # Long enough for the second sender report: no player is to go back for it.
    Shape("H.264, first picture 0.4 s late", "h264", stream={"late": 0.4}, sounds=(ALAW,), pictures=200),
    Shape("H.264, 8 slices", "h264", options={"options": "slices=8"}),
    Shape("H.265, 8 slices", "h265", count=25, options={"options": "slices=8:pools=2", "width": 1280, "height": 720}),
    Shape("H.264, interlaced (MBAFF)", "h264", options={"options": "interlaced=1:tff=1"}),
    # As stitched from two encoders, each with its own SPS and PPS before its key frames.
    Shape(
        "H.264, parameter sets with ids 0 and 5 by turns", "h264", stream={"repeat": False},
        turns=("sps-id=0:cabac=1:ref=1", "sps-id=5:cabac=1:ref=2"),
    ),
    Shape("H.264, HRD, scaling lists, delimiters", "h264", options={"options": VUI}),
]
