//! What a camera profile sends, as an endless row of access units.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;

use crate::media::{AccessUnit, Codec, Track, TrackId};

use super::clips::{self, Beep, Clip, ClipName};
use super::pattern::{Pattern, PatternSettings, Picture};
use super::{Audio, Error, Source};

/// Access units of one profile in the order of their times, without end. All times count from the start of the
/// camera, so that two feeds of one profile show the same pictures at the same times.
#[derive(Debug)]
pub struct Feed {
    tracks: Vec<Arc<Track>>,
    video: Video,
    /// Number of the next picture since the camera started.
    picture: u64,
    fps: u32,
    sound: Option<&'static Beep>,
    /// Number of the next sound frame since the camera started.
    frame: u64,
}

/// One access unit of a feed.
#[derive(Debug, Clone)]
pub struct Unit {
    /// Its track.
    pub track: Arc<Track>,
    /// Number of the picture, as its bar code shows, or of the sound frame since the camera started.
    pub number: u32,
    /// When it is due, from the start of the camera.
    pub due: Duration,
    /// The same in ticks of the track's clock.
    pub ticks: i64,
    /// Whether a decoder may start here.
    pub random_access: bool,
    /// As [`AccessUnit::data`].
    pub data: Bytes,
}

#[derive(Debug)]
enum Video {
    Clip(&'static Clip),
    Pattern(Box<Pattern>),
}

impl Feed {
    /// The feed of a profile, from the key frame at or before `from`. The pattern puts a key frame wherever a
    /// feed starts; its next one follows a whole interval later.
    ///
    /// Picture numbers: in a clip the place in the clip (modulo 600), in a pattern the pictures since the
    /// start of the camera (modulo 2^32).
    pub fn new(source: Source, audio: Audio, from: Duration) -> Result<Self, Error> {
        let (video, codec, picture, fps) = match source {
            Source::Clip(name) => open_clip(name, from),
            Source::Pattern(settings) => open_pattern(settings, from)?,
        };
        let sound = match audio {
            Audio::None => None,
            Audio::Aac => Some(clips::aac()),
            Audio::Pcma => Some(clips::pcma()),
        };
        let mut tracks = vec![Arc::new(Track { id: TrackId(0), codec, clock_rate: 90_000 })];
        let mut frame = 0;
        if let Some(beep) = sound {
            let (codec, clock_rate) = (beep.codec.clone(), beep.clock_rate);
            tracks.push(Arc::new(Track { id: TrackId(1), codec, clock_rate }));
            let samples = picture * u64::from(clock_rate) / u64::from(fps);
            frame = samples.div_ceil(beep.frame_samples.into());
        }
        Ok(Self { tracks, video, picture, fps, sound, frame })
    }

    /// The tracks: pictures, then sound if there is any.
    pub fn tracks(&self) -> &[Arc<Track>] {
        &self.tracks
    }

    /// The next access unit.
    pub fn next_unit(&mut self) -> Unit {
        let picture_due = due(self.picture, 1, self.fps);
        if let (Some(beep), Some(track)) = (self.sound, self.tracks.get(1)) {
            let sound_due = due(self.frame, beep.frame_samples, beep.clock_rate);
            if sound_due < picture_due {
                let track = Arc::clone(track);
                return self.next_frame(beep, track, sound_due);
            }
        }
        self.next_picture(picture_due)
    }

    fn next_picture(&mut self, due: Duration) -> Unit {
        let Picture { number, key, data } = match &mut self.video {
            Video::Clip(clip) => Picture {
                number: low(self.picture % count(&clip.pictures)),
                key: self.picture.is_multiple_of(clips::GOP),
                data: nth(&clip.pictures, self.picture),
            },
            Video::Pattern(pattern) => pattern.next_picture(),
        };
        let ticks = self.picture * 90_000 / u64::from(self.fps);
        self.picture += 1;
        let track = self.tracks.first().map(Arc::clone);
        let track = track.unwrap_or_else(|| unreachable!("a feed has a video track"));
        let ticks = i64::try_from(ticks).unwrap_or(i64::MAX);
        Unit { track, number, due, ticks, random_access: key, data }
    }

    fn next_frame(&mut self, beep: &'static Beep, track: Arc<Track>, due: Duration) -> Unit {
        let (number, data) = (low(self.frame), nth(&beep.frames, self.frame));
        let ticks = self.frame * u64::from(beep.frame_samples);
        self.frame += 1;
        let ticks = i64::try_from(ticks).unwrap_or(i64::MAX);
        Unit { track, number, due, ticks, random_access: true, data }
    }
}

impl Iterator for Feed {
    type Item = Unit;

    fn next(&mut self) -> Option<Unit> {
        Some(self.next_unit())
    }
}

impl Unit {
    /// The unit as the rest of the code knows it.
    pub fn into_access_unit(self, received: Instant, wallclock: SystemTime) -> AccessUnit {
        AccessUnit {
            track: self.track,
            ticks: self.ticks,
            received,
            wallclock,
            random_access: self.random_access,
            data: self.data,
        }
    }
}

fn open_clip(name: ClipName, from: Duration) -> (Video, Codec, u64, u32) {
    let clip = name.clip();
    let picture = pictures_until(from, clips::FPS);
    (Video::Clip(clip), clip.codec.clone(), picture - picture % clips::GOP, clips::FPS)
}

fn open_pattern(
    settings: PatternSettings,
    from: Duration,
) -> Result<(Video, Codec, u64, u32), Error> {
    let picture = pictures_until(from, settings.fps);
    let pattern = Pattern::new(settings, low(picture))?;
    let codec = pattern.codec();
    Ok((Video::Pattern(Box::new(pattern)), codec, picture, settings.fps))
}

fn pictures_until(from: Duration, fps: u32) -> u64 {
    let nanos = from.as_nanos() * u128::from(fps) / 1_000_000_000;
    u64::try_from(nanos).unwrap_or(0)
}

/// When the piece with this number starts.
fn due(number: u64, ticks: u32, rate: u32) -> Duration {
    let nanos = u128::from(number) * u128::from(ticks) * 1_000_000_000 / u128::from(rate.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

fn nth(pieces: &[Bytes], number: u64) -> Bytes {
    let at = usize::try_from(number % count(pieces)).unwrap_or(0);
    pieces.get(at).cloned().unwrap_or_default()
}

fn count(pieces: &[Bytes]) -> u64 {
    u64::try_from(pieces.len()).unwrap_or(1).max(1)
}

/// The low 32 bits.
fn low(number: u64) -> u32 {
    let [.., a, b, c, d] = number.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::simulator::PatternCodec;
    use crate::media::{AacParameters, H264Parameters, H265Parameters};

    #[test]
    fn a_feed_runs_over_the_end_of_its_clip() {
        let from = Duration::from_millis(23_500);
        let feed = Feed::new(Source::Clip(ClipName::Door), Audio::Aac, from).unwrap();
        let units: Vec<Unit> = feed.take(300).collect();
        // The key frame before, at 23 s.
        let video: Vec<&Unit> = units.iter().filter(|unit| unit.track.id == TrackId(0)).collect();
        assert_eq!((video[0].ticks, video[0].random_access), (23 * 90_000, true));
        let clip = ClipName::Door.clip();
        for (n, unit) in video.iter().enumerate() {
            assert_eq!(unit.ticks, 23 * 90_000 + i64::try_from(n).unwrap() * 3600);
            assert_eq!(unit.random_access, n % 25 == 0);
            assert_eq!(unit.data, clip.pictures[(575 + n) % 600]);
            assert_eq!(usize::try_from(unit.number).unwrap(), (575 + n) % 600);
        }
        let sound: Vec<&Unit> = units.iter().filter(|unit| unit.track.id == TrackId(1)).collect();
        assert!(sound[0].due >= video[0].due);
        assert!(sound.windows(2).all(|pair| pair[1].ticks - pair[0].ticks == 1024));
        assert!(units.windows(2).all(|pair| pair[0].due <= pair[1].due));
    }

    #[test]
    fn a_pattern_starts_with_a_key_frame_at_the_cameras_time() {
        let settings = PatternSettings::default();
        let from = Duration::from_millis(4_010);
        let mut feed = Feed::new(Source::Pattern(settings), Audio::None, from).unwrap();
        let unit = feed.next_unit();
        assert_eq!((unit.ticks, unit.random_access), (360_000, true));
        assert!(!feed.next_unit().random_access);
    }

    #[test]
    fn a_bad_pattern_is_refused() {
        let settings = PatternSettings { fps: 0, ..PatternSettings::default() };
        let feed = Feed::new(Source::Pattern(settings), Audio::None, Duration::ZERO);
        assert!(matches!(feed, Err(Error::Pattern { name: "fps", .. })));
    }

    /// The strict reader of camera input finds in every parameter set what the feed says it holds.
    #[test]
    fn the_parameters_are_true() {
        let pattern = PatternSettings { width: 1920, height: 1080, ..PatternSettings::default() };
        for source in [
            Source::Clip(ClipName::Door),
            Source::Clip(ClipName::Yard),
            Source::Clip(ClipName::YardSub),
            Source::Pattern(pattern),
            Source::Pattern(PatternSettings { codec: PatternCodec::H265, ..pattern }),
        ] {
            let feed = Feed::new(source, Audio::Aac, Duration::ZERO).unwrap();
            for track in feed.tracks() {
                match &track.codec {
                    Codec::H264(p) => {
                        assert_eq!(H264Parameters::new(&p.sps, &p.pps).as_ref(), Ok(p));
                    }
                    Codec::H265(p) => {
                        assert_eq!(H265Parameters::new(&p.vps, &p.sps, &p.pps).as_ref(), Ok(p));
                    }
                    Codec::Aac(p) => assert_eq!(AacParameters::new(&p.config).as_ref(), Ok(p)),
                    Codec::Jpeg(_)
                    | Codec::Pcma { .. }
                    | Codec::Pcmu { .. }
                    | Codec::G726(_)
                    | Codec::L16 { .. } => panic!("not asked for"),
                }
            }
        }
    }
}
