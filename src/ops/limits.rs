//! Every bound on input that a camera or a client may send, one constant each, with its reason.
//!
//! A test goes one over each of them. Times are [`Duration`]s; sizes are bytes unless named otherwise.
//!
//! # What one hostile camera costs
//!
//! [`camera_memory_bytes`] sums the caps of one camera stream, each at its worst at the same moment:
//!
//! | part | cap |
//! |---|---|
//! | the depacketisers' buffers, and one access unit | all tracks together hold [`ACCESS_UNIT_BYTES`]; the unit, and its re-framed copy. Or a JPEG picture twice, and its copy |
//! | the depacketisers' lists of pieces and NAL units | 16 bytes each, and as much for a growing list |
//! | bytes read from the camera | two blocks of [`CAMERA_BUFFER_BYTES`] |
//! | media before the answer to PLAY | held |
//! | TLS | the camera's certificates; two records and what is in them |
//! | messages | one being read, one in work |
//! | the stream's ring in the hub | [`RING_BYTES`]: each unit once, as it came or as it goes out; and one of which both are there while a reader builds the second |
//!
//! The sum stays within [`CAMERA_MEMORY_BYTES`]: that is asserted when this is compiled. An operator who
//! sets a larger ring adds the difference. Not in it: what readers hold while they write a unit that has
//! left the ring, and what the kernel holds.

use std::time::Duration;

// ---- RTSP messages, both sides -------------------------------------------------------------

/// Start line and headers of one RTSP message. Real heads stay under 2 KiB; 16 KiB leaves room for
/// digest parameters and long URLs.
pub const RTSP_HEAD_BYTES: usize = 16 * 1024;
/// Header lines of one RTSP message.
pub const RTSP_HEADERS: usize = 64;
/// Body of one RTSP message; the largest lawful body is a session description.
pub const RTSP_BODY_BYTES: usize = SDP_BYTES;
/// A request-URI, and any control URL a camera names.
pub const RTSP_URI_BYTES: usize = 1024;
/// Session description.
pub const SDP_BYTES: usize = 64 * 1024;
/// Media sections of a session description.
pub const SDP_MEDIA: usize = 8;
/// Alternatives of one `Transport` header.
pub const TRANSPORTS: usize = 8;
/// Parameters of one `a=fmtp` line; the longest real one has 13.
pub const SDP_FORMAT_PARAMETERS: usize = 32;
/// One parameter of a camera's login challenge (realm, nonce, opaque).
pub const CHALLENGE_BYTES: usize = 512;
/// Challenges taken from the `WWW-Authenticate` headers of one response.
pub const CHALLENGES: usize = 8;
/// The id of a `Session` header; cameras' have 8 to 64 characters.
pub const SESSION_ID_BYTES: usize = 256;
/// Text of a camera or client that may stand in a log line, after escaping.
pub const QUOTED_TEXT_BYTES: usize = 128;

/// Audit lines of one kind a minute; more are counted and summarised in one line.
pub const AUDIT_PER_MINUTE: u32 = 60;

// ---- Media ---------------------------------------------------------------------------------

/// One access unit, RTP headers included. An 8-megapixel key frame is about 1.5 MB; three of these lie in
/// memory at once (the depacketiser's, the policy's, the ring's).
pub const ACCESS_UNIT_BYTES: usize = 2 * 1024 * 1024;
/// NAL units of one access unit.
pub const ACCESS_UNIT_NALS: usize = 512;
/// RTP packets of one access unit, so that tiny fragments cannot cost more than their bytes say. The
/// largest unit in packets of 256 bytes.
pub const ACCESS_UNIT_PACKETS: usize = 8 * 1024;
/// One parameter set (VPS, SPS or PPS). Real ones stay under 200 bytes; scaling lists take about 1 KiB.
pub const PARAMETER_SET_BYTES: usize = 4 * 1024;
/// Picture width or height in luma samples: 8K and a margin.
pub const PICTURE_SIDE: u32 = 8192;
/// Luma samples of one picture: 8192 x 4352, level 6.2 of both codecs.
pub const PICTURE_SAMPLES: u64 = 35_651_584;
/// Reference pictures a parameter set may ask a decoder to hold (both codecs).
pub const REFERENCE_PICTURES: u32 = 16;
/// One JPEG picture: more than three bits for each pixel of the largest. (The depacketiser's own bound is 2 MB,
/// behind which it silently gives nothing.)
pub const JPEG_BYTES: usize = 1_700_000;
/// Room in it for what stands before the coded data, as it is written anew (611 bytes).
pub const JPEG_HEAD_BYTES: usize = 1024;
/// Width or height of a JPEG picture: eight bits count blocks of 8 pixels (RFC 2435 3.1.5).
pub const JPEG_SIDE: u16 = 2040;
/// Marker segments of a JPEG picture before its coded data; cameras write 6 to 20.
pub const JPEG_SEGMENTS: usize = 64;
/// One AAC frame: the length field of RFC 3640 AAC-hbr has 13 bits.
pub const AAC_FRAME_BYTES: usize = 8191;
/// One unit of G.711: half a second of one channel. Cameras send 20 to 160 ms.
pub const G711_FRAME_BYTES: usize = 4000;
/// One unit of G.726: half a second at 40 kbit/s.
pub const G726_FRAME_BYTES: usize = 2500;
/// One unit of L16: a quarter of a second of two channels at 48 kHz. Senders put 1 to 20 ms into a packet.
pub const L16_FRAME_BYTES: usize = 48_000;
/// Samples a second of L16 that are taken.
pub const L16_RATES: [u32; 8] = [8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000];
/// Syntactic elements of one AAC frame; a lawful one of two channels has a handful.
pub const AAC_ELEMENTS: usize = 64;
/// Tracks of one stream that the gateway takes from a camera.
pub const TRACKS: usize = 4;
/// Access units a second and track, above which a camera is flooding (120 fps and a margin; AAC at
/// 96 kHz is 94, G.711 in 10 ms packets 100, L16 of 48 kHz and two channels in packets of 1,400 bytes 139).
pub const UNITS_PER_SECOND: u32 = 400;

// ---- The airlock ---------------------------------------------------------------------------

/// RTP packets that the depacketiser of a track may hold since its last access unit. With one lost packet between any
/// two, 16 bits still count the losses of a unit. (Bytes: all tracks together, [`ACCESS_UNIT_BYTES`].)
pub const DEPACKETISER_PACKETS: usize = ACCESS_UNIT_PACKETS;
/// NAL units, likewise: a picture, and what cameras send before it as units of their own.
pub const DEPACKETISER_NALS: usize = 2 * ACCESS_UNIT_NALS;
/// First size of the buffer behind a track's depacketiser; it doubles as it fills.
pub const DEPACKETISER_BUFFER_BYTES: usize = 16 * 1024;
/// A buffer that held more than this is given back after the access unit. Most pictures at 4 Mbit/s are smaller; key
/// frames come every few seconds.
pub const DEPACKETISER_BUFFER_KEPT_BYTES: usize = 64 * 1024;
/// Access units of a track at once: what a network stall of 3 s holds back.
pub const UNITS_BURST: u32 = 3 * UNITS_PER_SECOND;
/// Bytes a second after PLAY that are not media: blank lines, stray answers, requests, RTCP,
/// channels never set up.
pub const OVERHEAD_BYTES_PER_SECOND: usize = 64 * 1024;
/// Sender reports a second and track passed on; the others are dropped and counted.
pub const RTCP_PER_SECOND: u32 = 10;
/// Bytes a second of one camera connection, all kinds: 200 Mbit/s.
pub const CAMERA_BYTES_PER_SECOND: usize = 25_000_000;
/// Least bytes a second of a camera that plays.
pub const CAMERA_FLOOR_BYTES_PER_SECOND: usize = 1024;
/// The time over which that is judged: a still picture in low light sends little between key frames.
pub const CAMERA_FLOOR_WINDOW: Duration = Duration::from_secs(30);
/// Interleaved data held between PLAY and its answer.
pub const EARLY_MEDIA_BYTES: usize = 224 * 1024;
/// Room for reads from a camera: the largest item that can be incomplete (a message), and then some.
pub const CAMERA_BUFFER_BYTES: usize = 160 * 1024;
/// The same for a camera that never sent more at once: eleven packets. Of 500 small cameras the full room was half of all
/// memory, and few filled it.
pub const CAMERA_BUFFER_LEAST_BYTES: usize = 16 * 1024;
/// What one camera stream may add to the process, see [`camera_memory_bytes`].
pub const CAMERA_MEMORY_BYTES: usize = 17 * 1024 * 1024;
/// A source this long silent may be followed by another: an encoder that restarted.
pub const CAMERA_SOURCE_SILENCE: Duration = Duration::from_secs(1);
/// Packets that break the RTP rules before the session ends.
pub const STRIKES: u32 = 100;

/// TCP connect to a camera.
pub const CAMERA_CONNECT: Duration = Duration::from_secs(3);
/// TLS handshake with a camera; an old one takes a second for its RSA signature.
pub const CAMERA_HANDSHAKE: Duration = Duration::from_secs(5);
/// Certificates that a camera may send: its own, and those of the CAs up to the root.
pub const CAMERA_CERTIFICATES: usize = 4;
/// Bytes of these together; one with an RSA key of 4096 bits has about 2 KiB.
pub const CAMERA_CERTIFICATE_BYTES: usize = 16 * 1024;
/// Bytes on the wire of a camera's TLS that do not become application data: its handshake, tickets, key
/// updates, alerts. A lawful handshake has at most [`CAMERA_CERTIFICATE_BYTES`] and 2 KiB.
pub const CAMERA_TLS_BYTES: usize = 48 * 1024;
/// By how many bytes each byte of application data fills that credit again. A record of one RTP packet of
/// 20 ms of sound is 1.2 times its data; a camera that gives a record to each four bytes, 8 times.
pub const CAMERA_TLS_FACTOR: usize = 9;
/// Cameras whose certificates are remembered, those that are no longer configured included.
pub const CAMERA_CERTIFICATES_KNOWN: usize = 8 * CAMERAS;
/// One answer of a camera.
pub const CAMERA_ANSWER: Duration = Duration::from_secs(5);
/// One message of a camera, from first to last byte.
pub const CAMERA_MESSAGE: Duration = Duration::from_secs(2);
/// First access unit after PLAY.
pub const CAMERA_FIRST_UNIT: Duration = Duration::from_secs(10);
/// No access unit on a set-up video track.
pub const CAMERA_STALL: Duration = Duration::from_secs(5);
/// First random access point with usable parameters after PLAY, and the longest time without a video
/// unit that the media policy lets through. Cameras that save bits send a key frame every 10 to 20 s.
pub const CAMERA_RANDOM_ACCESS: Duration = Duration::from_secs(30);
/// Best effort TEARDOWN.
pub const CAMERA_TEARDOWN: Duration = Duration::from_millis(500);
/// `probe`: from the connection to the answer to PLAY, logins and all tracks.
pub const PROBE_OPEN: Duration = Duration::from_secs(20);
/// `probe`: longest time that a camera is watched.
pub const PROBE_WATCH: Duration = Duration::from_secs(60);
/// A camera's session timeout is clamped into this range.
pub const SESSION_TIMEOUT_MIN: Duration = Duration::from_secs(10);
/// See [`SESSION_TIMEOUT_MIN`].
pub const SESSION_TIMEOUT_MAX: Duration = Duration::from_secs(120);
/// Longest pause between keep-alives to a camera.
pub const KEEP_ALIVE_MAX: Duration = Duration::from_secs(30);
/// First pause before a camera is dialled again.
pub const BACK_OFF_MIN: Duration = Duration::from_secs(1);
/// Longest pause before a camera is dialled again.
pub const BACK_OFF_MAX: Duration = Duration::from_secs(60);
/// Pause while the segment's service is away: it is on this machine, asking costs 0.1 ms, and it is back within 2 s.
pub const BACK_OFF_SEGMENT: Duration = Duration::from_secs(2);
/// First pause after a refused login: cameras lock accounts after a handful of failures.
pub const BACK_OFF_LOGIN_MIN: Duration = Duration::from_secs(30);
/// Longest pause after refused logins.
pub const BACK_OFF_LOGIN_MAX: Duration = Duration::from_secs(600);
/// A session that played this long ends the memory of the failures before it.
pub const BACK_OFF_HEALTHY: Duration = Duration::from_secs(30);
/// Ends of one stream's sessions that are told in the log within [`CAMERA_NEWS_TIME`]; each may take two lines.
pub const CAMERA_NEWS: usize = 4;
/// See [`CAMERA_NEWS`].
pub const CAMERA_NEWS_TIME: Duration = Duration::from_secs(60);
/// Cameras of one gateway.
pub const CAMERAS: usize = 512;
/// Profiles of one camera.
pub const PROFILES: usize = 8;

// ---- Time ----------------------------------------------------------------------------------

/// How far a picture may go back behind the latest one (B-pictures).
pub const REORDER_TIME: Duration = Duration::from_secs(1);
/// Pictures in a row that may stay behind the latest one.
pub const REORDER_PICTURES: u32 = 16;
/// How far a camera's clock may run ahead of the arrival of its media before it is set anew.
pub const CLOCK_AHEAD: Duration = Duration::from_secs(2);
/// The same in the first seconds, when cameras send a whole group of pictures at once.
pub const CLOCK_AHEAD_AT_START: Duration = Duration::from_secs(15);
/// How far it may fall behind: longer than [`CAMERA_STALL`], so that media held up is not torn.
pub const CLOCK_BEHIND: Duration = Duration::from_secs(10);
/// Greatest difference between two tracks of a camera that its sender reports may set.
pub const TRACK_SKEW: Duration = Duration::from_secs(2);

// ---- Hub -----------------------------------------------------------------------------------

/// How far a reader may be behind live before it is moved to the newest random access point.
pub const READER_LAG: Duration = Duration::from_secs(2);
/// Media kept in a ring before the current group of pictures while the stream has readers.
pub const RING_BEFORE_GOP: Duration = Duration::from_secs(2);
/// Bytes of one stream's ring unless the operator says otherwise: 10 s at 4 Mbit/s (5 MB and 1.3 % as RTP packets) with
/// sound, or two of the largest units.
pub const RING_BYTES: usize = 6 * 1024 * 1024;
/// Access units of one stream's ring.
pub const RING_UNITS: usize = 4096;
/// Least time between two log lines on groups of pictures that one stream's ring cannot keep.
pub const RING_CUT_NEWS: Duration = Duration::from_secs(60);
/// Bytes of all rings of the process.
pub const RINGS_BYTES: usize = 512 * 1024 * 1024;
/// Streams the hub takes.
pub const STREAMS: usize = 1024;
/// Readers of one stream.
pub const READERS_PER_STREAM: usize = 8192;

// ---- RTP out -------------------------------------------------------------------------------

/// RTP packet, header included, also over TCP.
pub const RTP_PACKET_BYTES: usize = 1400;

// ---- Clients -------------------------------------------------------------------------------

/// TLS handshake.
pub const HANDSHAKE: Duration = Duration::from_secs(5);
/// First byte of the first request.
pub const FIRST_BYTE: Duration = Duration::from_secs(5);
/// One request head (and body), from its first byte.
pub const REQUEST: Duration = Duration::from_secs(5);
/// A connection that has not logged in lives no longer.
pub const LOGIN: Duration = Duration::from_secs(15);
/// Connections before login, all sources.
pub const UNAUTHENTICATED: usize = 64;
/// Connections before login of one source; others wait.
pub const UNAUTHENTICATED_PER_SOURCE: usize = 8;
/// Accepted connections that wait for one of the places above; one over it, and the source that has most
/// of them loses its newest.
pub const WAITING: usize = 1024;
/// Of these, of one source.
pub const WAITING_PER_SOURCE: usize = 512;
/// How long a connection waits for a place before it is closed.
pub const PLACE_WAIT: Duration = Duration::from_secs(30);
/// Connections of all clients.
pub const CONNECTIONS: usize = 8192;
/// Bytes of one client that wait unsent in the kernel (`TCP_NOTSENT_LOWAT`): about a key frame, so that
/// a slow reader is seen while what it missed can still be skipped.
pub const UNSENT_BYTES: u32 = 128 * 1024;
/// First pause after `accept` failed for want of a descriptor or memory; doubles.
pub const ACCEPT_PAUSE_MIN: Duration = Duration::from_millis(10);
/// Longest such pause.
pub const ACCEPT_PAUSE_MAX: Duration = Duration::from_secs(1);
/// Least time between two log lines on connections of one listener that cannot be accepted.
pub const ACCEPT_NEWS: Duration = Duration::from_secs(60);
/// No byte of a write taken by a client.
pub const WRITE_STALL: Duration = Duration::from_secs(10);
/// All that waits for a client, from when something began to wait: who takes a packet now and then would else hold a
/// unit that left the ring for as long as it likes. The largest key frames at 560 kbit/s, common ones at 40.
pub const WRITE_WHOLE: Duration = Duration::from_secs(30);
/// Best effort goodbye to a client: what was begun, a TLS `close_notify`, and the client's own close.
pub const GOODBYE: Duration = Duration::from_secs(1);
/// All goodbyes of a gateway that stops, to clients and cameras at the same time; who has not taken his by then
/// is cut off.
pub const STOP: Duration = Duration::from_millis(1500);
/// RTSP session timeout towards clients.
pub const CLIENT_SESSION_TIMEOUT: Duration = Duration::from_secs(60);
/// Requests a second of one client connection.
pub const REQUESTS_PER_SECOND: u32 = 50;
/// Items a second of one client connection that are no requests: receiver reports, blank lines, answers.
pub const CLIENT_STRAYS_PER_SECOND: u32 = 200;
/// Chunks queued for one client before its next request is looked at.
pub const CLIENT_QUEUE: usize = 8;
/// Received bytes of one client that wait to be looked at: one whole message and a read.
pub const CLIENT_BUFFER_BYTES: usize = RTSP_HEAD_BYTES + RTSP_BODY_BYTES + 4096;
/// RTSP sessions of one client connection.
pub const SESSIONS_PER_CONNECTION: usize = 4;
/// Sender reports are never further apart.
pub const SENDER_REPORT: Duration = Duration::from_secs(5);
/// How long the demand of a DESCRIBE is kept for the SETUP that should follow.
pub const DESCRIBED_KEPT: Duration = Duration::from_secs(30);
/// How long DESCRIBE waits for an on-demand camera.
pub const DESCRIBE_WAIT: Duration = Duration::from_secs(10);

// ---- Tunnels: RTSP over HTTPS and WebSocket ----------------------------------------------------

/// Head of an HTTP request that opens a tunnel; players' stay under 600 bytes.
pub const TUNNEL_HEAD_BYTES: usize = 8 * 1024;
/// Header lines of it.
pub const TUNNEL_HEADERS: usize = 64;
/// The value of `x-sessioncookie`; players send 16 to 24 characters.
pub const TUNNEL_COOKIE_BYTES: usize = 128;
/// GET halves that wait for their POST. They have given back their place before login: clients that restart
/// would else fill the places with first halves, and no second half could come in. One over it, and the
/// source that has most of them loses its newest.
pub const TUNNELS_PENDING: usize = 512;
/// Of these, of one source.
pub const TUNNELS_PENDING_PER_SOURCE: usize = 256;
/// How long a GET half waits for its POST.
pub const TUNNEL_JOIN: Duration = Duration::from_secs(10);
/// Bytes of a tunnel, or of what may become one, that are read at once.
pub const TUNNEL_READ_BYTES: usize = 2048;
/// Blanks and line ends in a row between the characters of a POST.
pub const TUNNEL_BLANKS: usize = 1024;
/// One WebSocket message of a client, and any frame of it: one whole RTSP message.
pub const WEBSOCKET_MESSAGE_BYTES: usize = RTSP_HEAD_BYTES + RTSP_BODY_BYTES;
/// WebSocket control frames a second of one client, and frames without payload; clients ping every 10 to 30 s.
pub const WEBSOCKET_CONTROLS_PER_SECOND: u32 = 10;

// ---- Admin listener -------------------------------------------------------------------------

/// Open connections of the admin listener.
pub const ADMIN_CONNECTIONS: usize = 16;
/// Listen addresses of one kind.
pub const LISTENERS: usize = 16;
/// Life of one admin connection.
pub const ADMIN_CONNECTION: Duration = Duration::from_secs(15);

// ---- Login ---------------------------------------------------------------------------------

/// Password hashes computed at once.
pub const PASSWORD_HASHES: usize = 2;
/// Password checks waiting for one of these.
pub const PASSWORD_QUEUE: usize = 256;
/// Password or user name as presented.
pub const CREDENTIAL_BYTES: usize = 256;
/// Failures of one (source, account) before penalties begin.
pub const FREE_FAILURES: u32 = 3;
/// First penalty; doubles with each failure.
pub const PENALTY_MIN: Duration = Duration::from_secs(5);
/// Longest penalty.
pub const PENALTY_MAX: Duration = Duration::from_secs(600);
/// (source, account) pairs remembered.
pub const PENALTIES: usize = 65_536;
/// Credentials remembered as good, so that one client's many connections cost one password hash.
pub const KNOWN_GOOD: usize = 1024;
/// How long they are remembered after their last use.
pub const KNOWN_GOOD_TIME: Duration = Duration::from_secs(300);
/// A digest nonce of ours lives this long.
pub const NONCE_TIME: Duration = Duration::from_secs(300);

// ---- Overload ------------------------------------------------------------------------------

/// Pause of the task whose lateness says how long runnable tasks wait for a CPU.
pub const LATENESS_TICK: Duration = Duration::from_millis(100);
/// Over so long the median of that lateness is taken: one stop of the machine, however long, is one late tick.
pub const LATENESS_WINDOW: Duration = Duration::from_secs(5);
/// Ticks of that window.
pub const LATENESS_TICKS: usize = 50;
/// A median so late and CPU is short: a tenth of what a reader may lag ([`READER_LAG`]), five pictures at 25 fps.
pub const LATENESS_FULL: Duration = Duration::from_millis(200);
/// A median below this, and there is CPU for more readers.
pub const LATENESS_EASY: Duration = Duration::from_millis(100);
/// How long CPU must be short before readers are refused.
pub const CPU_FULL_AFTER: Duration = Duration::from_secs(3);
/// And before those that lag are ended, counted from the same moment.
pub const CPU_SHED_AFTER: Duration = Duration::from_secs(13);
/// How often memory is measured, and both are judged, while readers are served.
pub const LOAD_SAMPLE: Duration = Duration::from_millis(500);
/// How often memory is measured while nobody is served; how late tasks are woken is not.
pub const LOAD_REST: Duration = Duration::from_secs(5);
/// Percent of the memory budget above which readers are refused.
pub const MEMORY_FULL_PERCENT: u64 = 90;
/// Percent of it below which there is room again.
pub const MEMORY_EASY_PERCENT: u64 = 85;
/// How long memory must be over its budget before readers that lag are ended.
pub const MEMORY_SHED_AFTER: Duration = Duration::from_secs(2);
/// Percent of the machine's or the cgroup's memory that is the budget, if none is configured. The kernel keeps
/// what clients have not taken yet in the rest.
pub const MEMORY_SHARE_PERCENT: u64 = 75;
/// What one more reader is taken to cost until the next measurement shows it.
pub const READER_BYTES: u64 = 64 * 1024;
/// Least time between two rounds of ending readers that lag.
pub const SHED_PAUSE: Duration = Duration::from_secs(1);
/// One of so many readers is ended in a round, or one if there are fewer: what a round brought shows some seconds later.
pub const SHED_SHARE: usize = 64;
/// A reader that was moved on for being too late counts as one that lags for so long. ([`READER_LAG`] makes one of
/// a reader that does not take what it was given.)
pub const LAGGED_KEPT: Duration = Duration::from_secs(10);
/// How long there must be room before readers are taken again. They are told to come back after it.
pub const OVERLOAD_EASES: Duration = Duration::from_secs(10);

// ---- The segment: devices, news, ledger -----------------------------------------------------------

/// A text that a device wrote (a name it asks for, a banner), as the ledger keeps it: a DNS name has at most 253.
pub const DEVICE_TEXT_BYTES: usize = 256;
/// How often the segment says how it is to the gateway; the ledger takes it every [`LEDGER_CHECKPOINT`].
pub const SEGMENT_PULSE: Duration = Duration::from_secs(10);
/// Camera interfaces of the segment: the bridge takes more, but no box has them.
pub const SEGMENT_INTERFACES: usize = 64;
/// Ports of one camera that may be dialled: RTSP, its TLS, HTTP, HTTPS, and a recorder's channels.
pub const SEGMENT_CAMERA_PORTS: usize = 16;
/// Ethernet addresses that are let in at a time: all cameras twice. Without it one device could fill the bridge's table.
pub const SEGMENT_DEVICES: usize = 2 * CAMERAS;
/// IP addresses let in at a time that are no configured camera's. The kernel keeps one table of neighbours for the whole
/// box, 1,024 at most: a device that takes many addresses must not use it up.
pub const SEGMENT_STRANGERS: usize = 256;
/// TCP connections a second that a device may begin: a camera that cannot reach its cloud tries a few.
pub const SEGMENT_CONNECTS_PER_SECOND: usize = 50;
/// TCP connections of a device at a time: the sink holds one for at most 3 s.
pub const SEGMENT_CONNECTIONS_PER_DEVICE: usize = 64;
/// Datagrams a second that one device may send to the local services; 60,000 questions a day are fewer than one.
pub const SEGMENT_DATAGRAMS_PER_SECOND: usize = 300;
/// A camera's name in an ask to the segment: that of a stream's first part.
pub const SEGMENT_NAME_BYTES: usize = 64;
/// A frame of news from the segment, its length apart: a canary's result with all its lists full takes a third.
pub const SEGMENT_NEWS_BYTES: usize = 32 * 1024;
/// Age of the canary's last run from which on it proves nothing: it runs daily, and one day may be missed.
pub const CANARY_AGE: Duration = Duration::from_secs(48 * 3600);
/// Kinds of attempts by protocol and verdict, all that there can be.
pub const SEGMENT_SUMS: usize = 128;
/// Ways of the canary that one of its lists names.
pub const CANARY_WAYS: usize = 64;
/// Positive controls of the canary that can fail.
pub const CANARY_CONTROLS: usize = 16;
/// News that waits for the gateway, frames and bytes: what ten cameras at their worst do in a minute. Beyond half
/// of it rows are left out, which come again when they grow; then the oldest go.
pub const SEGMENT_NEWS_QUEUE: usize = 1024;
/// See above.
pub const SEGMENT_NEWS_QUEUE_BYTES: usize = 1024 * 1024;
/// Time that the gateway may take no byte of its news, before another may read.
pub const SEGMENT_NEWS_WRITE: Duration = Duration::from_secs(10);
/// Silence of the segment after which the gateway connects anew: three pulses.
pub const SEGMENT_SILENCE: Duration = Duration::from_secs(30);
/// Pauses before the gateway connects to the segment's news again.
pub const SEGMENT_AGAIN_MIN: Duration = Duration::from_millis(250);
/// See above.
pub const SEGMENT_AGAIN_MAX: Duration = Duration::from_secs(2);
/// How often each task of the segment's service says that it goes on.
pub const SEGMENT_BEAT: Duration = Duration::from_secs(1);
/// Connections that wait in the kernel at each socket of the segment's service: one for each stream.
pub const SEGMENT_BACKLOG: i32 = 1024;
/// Asks that the segment's service works on at once; the next wait in the kernel. All streams of a large
/// installation ask at its start; an answer takes as long as the camera takes to connect.
pub const SEGMENT_ASKS: usize = 256;
/// Time for an ask to come whole, and for its answer to be taken: it comes from the same machine.
pub const SEGMENT_ASK: Duration = Duration::from_secs(1);
/// Time that the gateway waits for the answer: the camera's [`CAMERA_CONNECT`], and a turn of those before it.
pub const SEGMENT_ANSWER: Duration = Duration::from_secs(6);

// ---- What devices on the segment try -------------------------------------------------------

/// Bytes of a frame that are looked at: the names of a full DHCP or mDNS message are in them.
pub const OBSERVED_FRAME_BYTES: usize = 1024;
/// Frames that one socket may have looked at before others run.
pub const OBSERVED_BATCH: usize = 64;
/// Kernel memory for the frames that wait at one socket; it gives no more than `net.core.rmem_max` says.
pub const OBSERVED_QUEUE_BYTES: usize = 2 * 1024 * 1024;
/// Frames that are thrown away at the start because they came before the socket's filter: more than a queue of the
/// usual size holds.
pub const OBSERVED_EARLY: usize = 1024;
/// How often whoever looks at frames shows that he does.
pub const OBSERVED_BEAT: Duration = Duration::from_secs(1);
/// Devices beside the configured cameras that have an account of their own in a day: a switch full of others.
pub const OBSERVED_DEVICES: usize = 512;
/// Rows that each device may have whatever the others do.
pub const OBSERVED_ROWS_OWN: usize = 32;
/// Rows beyond these, of all devices together. At most some 700 bytes each, with the longest names: 12 MiB.
pub const OBSERVED_ROWS_SHARED: usize = 16_384;
/// Rows of one device: the doorbell with the most endpoints that anyone wrote about had 33 in four boots.
pub const OBSERVED_ROWS_DEVICE: usize = 1_024;
/// Rows of one device and protocol, so that a flood of one does not hide what else the device does.
pub const OBSERVED_ROWS_PROTOCOL: usize = 256;
/// Rows of one device that stand for many destinations of a protocol: about one for each protocol.
pub const OBSERVED_ROWS_MANY: usize = 48;
/// Rows of days that ended that wait for somebody to write them.
pub const OBSERVED_ROWS_ENDED: usize = 2 * OBSERVED_ROWS_SHARED;
/// Rows that grew and are written at once, with the new ones. At a flush every 10 s, some 300 bytes each, the fullest
/// account costs the ledger 80 MB in a day, beside the new rows.
pub const OBSERVED_ROWS_GROWN: usize = 32;
/// A row that grew, but did not double, is written so often.
pub const OBSERVED_ROW_EVERY: Duration = Duration::from_secs(3600);
/// Device events that wait for somebody to take them: each account has three kinds.
pub const OBSERVED_EVENTS: usize = 2_048;
/// The same kind of event of the same device is told at most so often.
pub const OBSERVED_EVENT_EVERY: Duration = Duration::from_secs(3600);

// ---- The ledger ----------------------------------------------------------------------------

/// One line of the ledger, newline not counted. The longest lawful record, a canary's result with all its lists full
/// of names, stays far below.
pub const LEDGER_LINE_BYTES: usize = 16 * 1024;
/// The boot id in a checkpoint; Linux's has 36 characters.
pub const LEDGER_BOOT_ID_CHARS: usize = 64;
/// How often changed rows go to the ledger.
pub const LEDGER_ROWS: Duration = Duration::from_secs(10);
/// How often a heartbeat and a checkpoint are written: what the last minute says is not signed yet.
pub const LEDGER_CHECKPOINT: Duration = Duration::from_secs(60);
/// After so long without a heartbeat the ledger's reader calls it a gap: two may be late.
pub const LEDGER_GAP: Duration = Duration::from_secs(180);
/// A row that was written and grows is written again after this, then after twice that ...
pub const LEDGER_ROW_PAUSE: Duration = Duration::from_secs(20);
/// ... and at last so often. At that pace 200 rows that grow all day take 3 MB.
pub const LEDGER_ROW_PAUSE_MAX: Duration = Duration::from_secs(3600);
/// Rows whose pace is kept; more are written as they come.
pub const LEDGER_PACED_ROWS: usize = 16_384;
/// Entries on their way to the ledger's thread: what an observer tells at once.
pub const LEDGER_QUEUE: usize = 4096;
/// Entries that wait for a disk that takes none; the oldest give way, and are counted.
pub const LEDGER_WAITING: usize = 8192;
/// Lines that are written in one piece.
pub const LEDGER_BATCH_BYTES: usize = 256 * 1024;
/// What a crash left at the end of a file, as it is kept; a line or a block of zeros.
pub const LEDGER_TORN_BYTES: u64 = 1024 * 1024;
/// A key's file.
pub const LEDGER_KEY_BYTES: u64 = 4096;
/// Time for everything to be written when somebody waits for it.
pub const LEDGER_FLUSH: Duration = Duration::from_secs(5);
/// A disk that works on one write for so long is told as a fault.
pub const LEDGER_SLOW: Duration = Duration::from_secs(10);
// ---- The canary ----------------------------------------------------------------------------------

/// Addresses of this machine that the canary tries to reach: more than a router with a few VLANs has.
pub const CANARY_UPLINKS: usize = 16;
/// Interfaces of this machine that must show that frames on them are seen: a box with many containers has some 30.
pub const CANARY_BEACONS: usize = 64;
/// Between two ways: frames that carry no number are told apart by when they came.
pub const CANARY_PACE: Duration = Duration::from_millis(40);
/// For an answer of a local service; it is asked twice. They answer within a millisecond.
pub const CANARY_ANSWER: Duration = Duration::from_millis(700);
/// For a TCP connection to the sink.
pub const CANARY_CONNECT: Duration = Duration::from_millis(500);
/// How long it watches after the last way: a packet that waits for a neighbour's address leaves within 3 s.
pub const CANARY_AFTER: Duration = Duration::from_millis(3500);
/// Marked frames that a watcher keeps; more tell nothing new.
pub const CANARY_FOUND: usize = 4096;
/// Of a frame, so many bytes are looked at: what segmentation offload puts together has at most 64 KiB.
pub const CANARY_FRAME_BYTES: usize = 66 * 1024;
/// Frames that wait for a watcher: 50 ms of 10 Gbit/s.
pub const CANARY_WAITING_BYTES: usize = 64 * 1024 * 1024;
/// Of the ledger that grew while the canary was out, so many bytes are read; its own rows are 100 KiB.
pub const CANARY_LEDGER_BYTES: u64 = 64 * 1024 * 1024;
/// How long the ledger may take to list all tries: it is told to write them down.
pub const CANARY_LISTED: Duration = Duration::from_secs(6);
/// For an answer on the control socket: it waits for the disk.
pub const SEGMENT_CONTROL: Duration = Duration::from_secs(10);
/// An answer on the control socket.
pub const SEGMENT_CONTROL_BYTES: u64 = 64 * 1024;

// ---- The segment: local services ----------------------------------------------------------------

/// A DNS question: a name of 255 bytes, and padding and a cookie by EDNS. The least that all take over UDP.
pub const DNS_QUESTION_BYTES: usize = 512;
/// Bytes that a DNS answer may be longer than its question: an SOA record of 33, or an address of 16.
pub const DNS_ANSWER_GROWTH: usize = 33;
/// DNS answers a second to one device. Ten cameras with 60,000 questions a day each ask 7 times in all.
pub const DNS_PER_SECOND: u32 = 200;
/// DNS answers a second to all: 0.1 s of one core.
pub const DNS_PER_SECOND_IN_ALL: u32 = 4000;
/// DNS over TCP: connections at once, and of one device. A truncated answer, the reason for it, never is.
pub const DNS_CONNECTIONS: usize = 32;
/// See above.
pub const DNS_CONNECTIONS_PER_SOURCE: usize = 4;
/// Questions on one DNS connection, and the time it may last.
pub const DNS_CONNECTION_QUESTIONS: usize = 32;
/// See above.
pub const DNS_CONNECTION: Duration = Duration::from_secs(5);
/// NTP answers a second to one device: a client that sets its clock at start asks eight times in two seconds.
pub const NTP_PER_SECOND: u32 = 8;
/// NTP answers a second to all.
pub const NTP_PER_SECOND_IN_ALL: u32 = 1000;
/// Devices whose questions are counted apart; others share one count.
pub const SERVICE_SOURCES: usize = 1024;
/// What is read of a connection that ends in the sink: a ClientHello with the largest key share is 2 KiB.
pub const SINK_BYTES: usize = 4096;
/// Reads of it, so that one byte at a time does not cost more.
pub const SINK_READS: usize = 64;
/// How long it may take.
pub const SINK_TIME: Duration = Duration::from_secs(3);
/// Header lines of an HTTP request in the sink.
pub const SINK_HEADERS: usize = 64;
/// Connections in the sink at once: 1 MiB.
pub const SINK_CONNECTIONS: usize = 256;
/// Of one device. A camera's cloud client holds one for each of its endpoints.
pub const SINK_CONNECTIONS_PER_SOURCE: usize = 32;

// ---- Backups -------------------------------------------------------------------------------

/// Directories of a backup within each other: those of the state directories have three.
pub const BACKUP_DEPTH: usize = 8;
/// Files of a backup: ten years of the ledger's days, and room.
pub const BACKUP_FILES: usize = 20_000;
/// Bytes of a backup's files.
pub const BACKUP_BYTES: u64 = 16 * 1024 * 1024 * 1024;
/// The list in a backup: 20,000 files take 6 MiB.
pub const BACKUP_MANIFEST_BYTES: u64 = 16 * 1024 * 1024;

// ---- Memory --------------------------------------------------------------------------------

/// The most that one camera stream holds, its ring of [`RING_BYTES`] included: the sum in the module's
/// description.
pub const fn camera_memory_bytes() -> usize {
    // A buffer is a power of two: less than twice what it holds, and what it holds if that is the largest unit. Of a
    // unit of half the bytes, it, its copy, its buffer and the other tracks' come to the same.
    let pictures = 3 * ACCESS_UNIT_BYTES;
    // The depacketiser's own buffer doubles as it fills; then the picture is rewritten. One track, and no other video.
    let frame = 4 + 65_535;
    let jpeg = 2 * (JPEG_BYTES + frame) + JPEG_BYTES + TRACKS * 2 * frame.next_power_of_two();
    let lists = TRACKS * 2 * 16 * (DEPACKETISER_PACKETS + 2 * DEPACKETISER_NALS);
    let read = 2 * CAMERA_BUFFER_BYTES;
    let early = 2 * EARLY_MEDIA_BYTES;
    let messages = 2 * (RTSP_HEAD_BYTES + RTSP_BODY_BYTES);
    // Kept for the session: the certificates. Two records, as they came and deciphered.
    let tls = CAMERA_CERTIFICATE_BYTES + 2 * 2 * (16 * 1024 + 2048);
    max(pictures, jpeg) + lists + read + early + messages + tls + RING_BYTES + ACCESS_UNIT_BYTES
}

const _: () = assert!(
    camera_memory_bytes() <= CAMERA_MEMORY_BYTES,
    "the caps of one camera stream add up to more than its budget"
);

const fn max(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_camera_costs_no_more_than_its_budget() {
        const MIB: usize = 1024 * 1024;
        let sum = camera_memory_bytes();
        assert_eq!(CAMERA_MEMORY_BYTES, 17 * MIB);
        assert!(sum <= CAMERA_MEMORY_BYTES, "{sum}");
        // A buffer is a power of two: it does not double for the largest unit.
        assert!(ACCESS_UNIT_BYTES.is_power_of_two());
        // What cannot be judged until it is whole fits the room for reads.
        let message = RTSP_HEAD_BYTES + RTSP_BODY_BYTES;
        assert!(message < CAMERA_BUFFER_BYTES, "{message}");
    }
}
