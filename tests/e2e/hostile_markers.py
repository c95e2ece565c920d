"""Cameras that play, with a text in each place that a camera fills: nothing of it may come through.

Each mode plays pictures (and sound) that the reader knows, beside the text. Where the gateway drops what carries it,
the mode names the reason by which the drop is counted, so that a text that was never planted is seen.
"""
import base64
import dataclasses
import time

from hostile_talk import CLIPS, Stream, Stream265, TCP, app, bye, description, framed, pictures_of, rtcp, sdes, sender_report


@dataclasses.dataclass
class Marks:
    """`drops`: reasons by which drops, or ends, are counted; `clip`: h264, h265 (all pictures), h265-keys (see `keys`)
    or jpeg (see `scans`)."""

    run: object
    drops: tuple
    clip: str
    sound: bool


PLAYS = 15  # seconds
MARKERS = {}


def marks(*drops, clip="h264", sound=False):
    def add(run):
        MARKERS[run.__name__] = Marks(run, drops, clip, sound)
        return run

    return add


def forms(text):
    """How the text may stand in bytes: half of it, coded, and off the byte boundary."""
    found = {text[:8], text[8:], base64.b64encode(text)[:10], text.hex().encode()[:16]}
    for shift in range(1, 8):
        shifted = (int.from_bytes(text, "big") << shift).to_bytes(len(text) + 1, "big")[1:-1]
        found |= {shifted[:8], shifted[-8:]}
    return found


# ---- RTSP and RTP ------------------------------------------------------------------------------


def in_answers(t):
    """The text in what is said over RTSP."""
    m = t.marker
    sets = pictures_of("door.h264")[0][:2]
    session = f"i={m}\r\nu=http://{m}/\r\ne={m}\r\np={m}\r\nb=AS:500\r\nk=clear:{m}\r\na=tool:{m}\r\na={m}\r\na=control:*\r\n"
    video = f"i={m}\r\na={m}:1\r\na=label:{m}\r\na=x-dimensions:{m}\r\n"
    t.extra = {"Server": m, "X-Note": m, f"X-{m}": "1", "Date": m, "Cache-Control": m}
    challenge = f'Digest realm="{m}", nonce="{m}", opaque="{m}", qop="auth", domain="{m}"'
    t.answer(t.request(), f"401 {m}", WWW_Authenticate=challenge)
    body = description(sets, session, video, name=m, control=m).replace(b"packetization-mode", f"{m}={m};packetization-mode".encode())
    body = body.replace(b"o=- 1 1", f"o={m} {m} 1".encode())
    t.play(
        DESCRIBE={"status": f"200 {m}", "Content_Base": f"rtsp://{m}/{m}/", "body": body},
        SETUP={"status": f"200 {m}", "Session": f"{m};timeout=60", "Transport": TCP + f"ssrc=00005EED;x={m}"},
        PLAY={"status": f"200 {m}", "Session": m, "RTP_Info": f"url=rtsp://{m}/{m}/{m};seq=1;rtptime=1000"},
    )


def control_packets(m):
    """Each kind of RTCP packet, and a report with more behind what is known of it."""
    ours = (0x5EED).to_bytes(4, "big")
    longer = bytearray(sender_report(1000) + m)
    longer[3] += len(m) // 4
    kinds = [sdes(m), app(m), bytes(longer), rtcp(201, 1, ours + m + bytes(8)), rtcp(205, 1, ours + m), rtcp(206, 15, ours + m), rtcp(207, 0, ours + m)]
    return lambda n: framed(1, sender_report(1000 + n * 3600) + kinds[n // 5 % len(kinds)]) if n % 5 == 0 else b""


def requests(t):
    m = t.marker
    return lambda n: f"{m} rtsp://{m}/ RTSP/1.0\r\nCSeq: {n}\r\n{m}: {m}\r\n\r\n".encode() if n % 20 == 7 else b""


@marks("camera_request", "packet_channel")
def marker_in_rtsp_and_rtcp(t):
    in_answers(t)
    control, request, m = control_packets(t.marker.encode()), requests(t), t.marker.encode()
    t.show(PLAYS, beside=lambda n: control(n) + request(n) + (framed(9, m) if n % 20 == 9 else b""))
    t.send(framed(1, sender_report(1) + bye(m)))


@marks()
def marker_in_rtp(t):
    """Header extension, CSRC list and padding."""
    m = t.marker.encode()
    t.play()
    t.show(PLAYS, stream=Stream(csrc=m, extension=m, padding=m))


# ---- H.264 -------------------------------------------------------------------------------------


@marks("sei", "delimiter", "unknown_nal", "filler")
def marker_in_nals(t):
    """SEI, AUD, filler, end of sequence, and the types that nobody has defined, around each picture."""
    m = t.marker.encode()
    t.play()
    before = [b"\x09\xf0" + m, b"\x06\x05\x10" + m + b"\x80", b"\x06\x04\x10" + m + b"\x80"]
    before += [bytes([kind]) + m for kind in (12, 13, 14, 16, 17, 18, 19, 20, 21, 22, 23)]
    t.show(PLAYS, dress=lambda nals, n: [before[0], *nals[:-1], *before[1:3], before[3 + n % (len(before) - 3)], nals[-1]])


def tailed(nals, m, sets=lambda nal: nal[0] & 31 in (7, 8)):
    """Parameter sets with more behind their end."""
    return [nal + m if sets(nal) else nal for nal in nals]


@marks()
def marker_in_parameter_tails(t):
    """In band: the sound ones come by the session description."""
    m = t.marker.encode()
    t.play()
    t.show(PLAYS, dress=lambda nals, n: tailed(nals, m))


@marks()
def marker_in_description_tails(t):
    """In the session description: the sound ones come in band."""
    m = t.marker.encode()
    t.play(DESCRIBE={"body": description(tailed(pictures_of("door.h264")[0][:2], m))})
    t.show(PLAYS)


# ---- H.265 -------------------------------------------------------------------------------------


def bits(data):
    return "".join(f"{byte:08b}" for byte in data)


def whole(text):
    """Bits as bytes, with zeros up to the next byte."""
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big") if text else b""


def play_h265(t, sets=None):
    t.play(DESCRIBE={"body": description(sets or pictures_of("yard.h265")[0][:3])})


@marks("sei", "delimiter", "unknown_nal", "filler", "bad_nal_header", clip="h265")
def marker_in_h265_nals(t):
    """SEI before and behind, AUD, filler, reserved types, and NAL units of other layers."""
    m = t.marker.encode()
    play_h265(t)
    unit = lambda kind, body, layer=0: bytes([kind << 1 | layer >> 5, (layer & 31) << 3 | 1]) + body
    delimiter, before, behind = unit(35, b"\x50" + m), unit(39, b"\x05\x10" + m + b"\x80"), unit(40, b"\x84\x10" + m + b"\x80")
    others = [unit(kind, m) for kind in (10, 15, 22, 31, 36, 37, 38, *range(41, 64))] + [unit(1, m, 3), unit(39, m, 63)]
    # Types 48 to 50 are the payload format's own.
    others = [nal for nal in others if nal[0] >> 1 not in (48, 49, 50)]
    t.show(PLAYS, Stream265(), clip=pictures_of("yard.h265"), dress=lambda nals, n: [
        delimiter, *nals[:-1], before, others[n % len(others)], nals[-1], behind,
    ])


def extended(nal, m):
    """The text as extension data; the extension flag is the last bit before the stop bit, of all three sets."""
    text = bits(nal).rstrip("0")[:-1]
    assert text[-1] == "0"
    # A VPS has data behind the flag; the others have eight flags more, of which four say that data follow.
    kinds = "" if nal[0] >> 1 & 63 == 32 else "00001111"
    return whole(text[:-1] + "1" + kinds + bits(m) + "1")


def in_h265_sets(name, dress, *drops):
    """In band, with every other key picture; the sound ones come with the others and in the session description."""

    @marks(*drops, clip="h265")
    def run(t):
        m = t.marker.encode()
        play_h265(t)
        t.show(PLAYS, Stream265(), clip=pictures_of("yard.h265"), dress=lambda nals, n: (
            [*dress(nals[:3], m), nals[3]] if len(nals) == 4 and n // 25 % 2 else nals
        ))

    MARKERS[name] = MARKERS.pop("run")


in_h265_sets("marker_in_h265_parameter_tails", lambda sets, m: [nal + m for nal in sets])
in_h265_sets("marker_in_h265_vps_extension", lambda sets, m: [extended(sets[0], m), *sets[1:]])
in_h265_sets("marker_in_h265_sps_extension", lambda sets, m: [sets[0], extended(sets[1], m), sets[2]])
in_h265_sets("marker_in_h265_pps_extension", lambda sets, m: [*sets[:2], extended(sets[2], m)])


@marks(clip="h265")
def marker_in_h265_description_tails(t):
    m = t.marker.encode()
    play_h265(t, [nal + m for nal in pictures_of("yard.h265")[0][:3]])
    t.show(PLAYS, Stream265(), clip=pictures_of("yard.h265"))


def announcing(pps):
    """slice_segment_header_extension_present_flag, the last but one before the stop bit."""
    text = bits(pps).rstrip("0")[:-1]
    assert text[-2:] == "00"
    return whole(text[:-2] + "101")


def with_extension(nal, extension):
    """An IDR slice of yard.h265 with a header extension; the header's fields are fixed but for slice_qp_delta."""
    text = bits(nal[:16])
    # NAL header, two flags, slice_pic_parameter_set_id 0, slice_type 2, two SAO flags.
    assert nal[0] >> 1 & 63 in (19, 20) and text[16:24] == "10101111", text
    zeros = len(text[24:]) - len(text[24:].lstrip("0"))
    end = 24 + 2 * zeros + 1 + 1
    length = f"{len(extension) + 1:b}"
    header = text[:end] + "0" * (len(length) - 1) + length + bits(extension) + "1"
    return whole(header) + nal[end // 8 + 1 :]


def keys():
    """The key pictures of yard.h265, for parameter sets that announce header extensions, with an empty one."""
    key_pictures = [nals for nals in pictures_of("yard.h265") if len(nals) == 4]
    return [[*nals[:2], announcing(nals[2]), with_extension(nals[3], b"")] for nals in key_pictures]


@marks("bad_slice", clip="h265-keys")
def marker_in_h265_slice_extension(t):
    """Every other picture has one with something in it."""
    m, sound = t.marker.encode(), keys()
    key_pictures = [nals for nals in pictures_of("yard.h265") if len(nals) == 4]
    play_h265(t, sound[0][:3])
    t.show(PLAYS, Stream265(), clip=sound, dress=lambda nals, n: (
        [*nals[:3], with_extension(key_pictures[n % len(sound)][3], m)] if n % 2 else nals
    ))


# ---- JPEG --------------------------------------------------------------------------------------


def scans():
    """Coded data of pictures, as far as the gateway looks into it: bytes without a marker."""
    return [bytes((number * 7 + at) % 255 for at in range(3000)) for number in range(200)]


def jpeg_unit(stream, coded, ts, spare=0):
    """RFC 2435: type 1, 640 x 360, both tables in the first packet; `spare` is the byte that their header does not use."""
    parts = [coded[at : at + 1200] for at in range(0, len(coded), 1200)]
    heads = [(n * 1200).to_bytes(4, "big") + bytes([1, 255, 80, 45]) for n in range(len(parts))]
    heads[0] += bytes([spare, 0, 0, 128]) + bytes(range(16, 80)) * 2
    return b"".join(
        stream.packet(ts, head + part, n + 1 == len(parts)) for n, (head, part) in enumerate(zip(heads, parts))
    )


@marks("jpeg_trailing", "bad_jpeg", clip="jpeg")
def marker_in_jpeg(t):
    """Behind the end marker; as a comment and as application data before it and at the begin, which is all where RTP
    leaves room for such segments; and a byte at a time where the tables' header has one to spare."""
    m, stream = t.marker.encode(), Stream(kind=26)
    segment = lambda kind: b"\xff" + bytes([kind]) + (2 + len(m)).to_bytes(2, "big") + m
    dresses = [
        lambda coded: coded + b"\xff\xd9" + m,
        lambda coded: coded + segment(0xFE) + b"\xff\xd9",
        lambda coded: segment(0xE1) + coded + b"\xff\xd9",
        lambda coded: coded + b"\xff\xd9" + segment(0xFE),
    ]
    sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\nm=video 0 RTP/AVP 26\r\na=control:track1\r\n"
    t.play(DESCRIBE={"body": sdp.encode()})
    clip, begin = scans(), time.monotonic()
    for n in range(PLAYS * 25):
        coded = clip[n % len(clip)]
        coded = dresses[n // 2 % 4](coded) if n % 2 else coded
        t.send(jpeg_unit(stream, coded, 1000 + n * 3600, m[n % len(m)]))
        t.serve()
        t.pause(begin + (n + 1) / 25 - time.monotonic())


# ---- Sound -------------------------------------------------------------------------------------


AAC_CONFIG = "1188"  # AAC-LC, 48 kHz, mono


def aac_frames():
    """The frames of beep.aac, without their ADTS headers."""
    data, frames = (CLIPS / "beep.aac").read_bytes(), []
    while data:
        size = (data[3] & 3) << 11 | data[4] << 3 | data[5] >> 5
        frames.append(data[7:size])
        data = data[size:]
    return frames


def with_elements(frame, m):
    """A data and a fill element before the sound, both behind it, and bytes behind the end."""
    data = "100" + "0000" + "0" + f"{len(m):08b}" + bits(m)
    fill = "110" + "1111" + f"{len(m) - 14:08b}" + bits(m)
    sound = bits(frame).rstrip("0")
    assert sound.endswith("111")
    return whole(data + fill + sound[:-3] + fill + data + "111") + m


def play_with_sound(t, config=AAC_CONFIG):
    audio = (
        "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 mpeg4-generic/48000/1\r\na=fmtp:97 streamtype=5;profile-level-id=1;mode=AAC-hbr;"
        f"sizelength=13;indexlength=3;indexdeltalength=3;config={config}\r\na=control:track2\r\n"
    )
    t.play(DESCRIBE={"body": description() + audio.encode()})


def sounds(dress):
    stream, frames = Stream(channel=2, ssrc=0xBEEF, kind=97), aac_frames()

    def beside(n):
        """As many frames as belong to the time of a picture."""
        found = b""
        for number in range(n * 48000 // 25 // 1024, (n + 1) * 48000 // 25 // 1024):
            frame = dress(frames[number % len(frames)], number)
            found += stream.packet(number * 1024, b"\0\x10" + (len(frame) << 3).to_bytes(2, "big") + frame, True)
        return found

    return beside


@marks("aac_fill", "aac_data", "aac_trailing", sound=True)
def marker_in_aac_elements(t):
    m = t.marker.encode()
    play_with_sound(t)
    t.show(PLAYS, beside=sounds(lambda frame, n: with_elements(frame, m) if n % 2 else frame))


@marks()
def marker_in_aac_config(t):
    """Behind the end of the AudioSpecificConfig. The pictures go on, with or without the sound."""
    play_with_sound(t, AAC_CONFIG + t.marker.encode().hex())
    t.show(PLAYS, beside=sounds(lambda frame, n: frame))
