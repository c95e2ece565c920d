//! From depacketised items to published units: parameters, policy, timeline, hub.

use std::sync::Arc;

use bytes::Bytes;
use retina::client::Stream;
use retina::codec::{CodecItem, ParametersRef, VideoParametersCodec};
use tokio::time::Instant;

use crate::hub::Publisher;
use crate::media::{
    AacParameters, AccessUnit, Codec, DropCounts, DropReason, H264Parameters, H265Parameters,
    JpegParameters, Policy, Refused, StreamName, Track, TrackId, TrackKind,
};
use crate::ops::limits;
use crate::ops::metrics::{CameraMetrics, CameraStreamMetrics};

use super::airlock::{Encoding, Items, OpenedTrack, Starts};
use super::retime::{Arrival, Stamp, Timeline, TrackClock};

/// What a stream keeps from one pull to the next, so that its readers see one stream.
#[derive(Debug, Default)]
pub(super) struct Carry {
    timeline: Timeline,
    /// As last told to the hub. The same parameters after a reconnect are the same `Arc`s.
    tracks: Vec<Arc<Track>>,
}

/// Where the units of one pull go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outlet<'a> {
    pub(super) stream: &'a StreamName,
    pub(super) publisher: &'a Publisher,
    pub(super) metrics: &'a CameraStreamMetrics,
    pub(super) all_metrics: &'a CameraMetrics,
}

/// The media of one pull. Video tracks come first, in the camera's order, then audio.
#[derive(Debug)]
pub(super) struct Intake<'a> {
    outlet: Outlet<'a>,
    carry: &'a mut Carry,
    slots: Vec<Slot>,
    starts: Starts,
    phase: Phase,
    /// When something lawful was last published (video, if there is any), or the pull began.
    progress: Instant,
    refused: Option<Refused>,
    clock_resets: u64,
}

/// Whether the hub knows the tracks of this pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Parameters, or the first random access point, are still to come.
    Collecting,
    /// Units go to the hub; the first did at this time.
    Publishing {
        /// That time.
        since: Instant,
    },
}

/// The camera changed its format in mid-session: readers need a new description, and the camera a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FormatChanged;

#[derive(Debug)]
struct Slot {
    opened: OpenedTrack,
    policy: Option<Policy>,
    counted: DropCounts,
}

/// What video and audio frames have in common.
struct Frame {
    slot: usize,
    stamp: Stamp,
    arrival: Arrival,
    parameters: Parameters,
    data: Bytes,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Parameters {
    Same,
    New,
}

impl<'a> Intake<'a> {
    /// A new pull with the tracks that were set up.
    pub(super) fn new(
        outlet: Outlet<'a>,
        carry: &'a mut Carry,
        opened: Vec<OpenedTrack>,
        starts: Starts,
        items: &Items,
    ) -> Self {
        let (mut tracks, audio): (Vec<_>, Vec<_>) =
            opened.into_iter().partition(|track| track.encoding.kind() == TrackKind::Video);
        tracks.sort_by_key(|track| track.media);
        // Sound whose parameters are not lawful is left out; the pictures go on without it.
        let (audio, unlawful): (Vec<_>, Vec<_>) = audio.into_iter().partition(|track| {
            matches!(parameters(track, items.stream(track.stream)), Some(Ok(_)))
        });
        tracks.extend(audio);
        let over = tracks.len().saturating_sub(limits::TRACKS) + unlawful.len();
        tracks.truncate(limits::TRACKS);
        if over > 0 {
            outlet.all_metrics.dropped(outlet.stream.as_str(), "track", over as u64);
        }
        carry.timeline.begin(
            tracks.iter().map(|t| TrackClock { kind: t.encoding.kind(), clock_rate: t.clock_rate }),
        );
        let slots = tracks
            .into_iter()
            .map(|opened| Slot { opened, policy: None, counted: DropCounts::default() })
            .collect();
        let clock_resets = carry.timeline.set_anew_count();
        let mut intake = Self {
            outlet,
            carry,
            slots,
            starts,
            phase: Phase::Collecting,
            progress: Instant::now(),
            refused: None,
            clock_resets,
        };
        for slot in 0..intake.slots.len() {
            intake.begin_policy(slot, items);
        }
        intake
    }

    /// Takes one item. Never waits.
    pub(super) fn take(&mut self, item: CodecItem, items: &Items) -> Result<(), FormatChanged> {
        let frame = match item {
            CodecItem::VideoFrame(frame) => {
                let Some(slot) = self.slot(frame.stream_id()) else { return Ok(()) };
                Frame {
                    slot,
                    stamp: self.stamp(frame.timestamp()),
                    arrival: arrival(frame.end_ctx()),
                    parameters: if frame.has_new_parameters() {
                        Parameters::New
                    } else {
                        Parameters::Same
                    },
                    data: Bytes::from(frame.into_data()),
                }
            }
            CodecItem::AudioFrame(frame) => {
                let Some(slot) = self.slot(frame.stream_id()) else { return Ok(()) };
                Frame {
                    slot,
                    stamp: self.stamp(frame.timestamp()),
                    arrival: arrival(frame.ctx()),
                    parameters: Parameters::Same,
                    data: Bytes::copy_from_slice(frame.data()),
                }
            }
            CodecItem::Rtcp(packet) => {
                self.report(&packet);
                return Ok(());
            }
            // No track of messages is ever set up.
            CodecItem::MessageFrame(_) | _ => return Ok(()),
        };
        self.unit(frame, items)
    }

    /// Whether units go to the hub.
    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// When something lawful was last published, or the pull began.
    pub(super) fn progress(&self) -> Instant {
        self.progress
    }

    /// The parameters that were refused last.
    pub(super) fn refused(&self) -> Option<Refused> {
        self.refused
    }

    /// Brings the metrics up to date; once a second and at the end.
    pub(super) fn count(&mut self) {
        for slot in &mut self.slots {
            slot.count(&self.outlet);
        }
        let resets = self.carry.timeline.set_anew_count();
        self.outlet.metrics.clock_resets.inc_by(resets.saturating_sub(self.clock_resets));
        self.clock_resets = resets;
    }

    fn unit(&mut self, frame: Frame, items: &Items) -> Result<(), FormatChanged> {
        // Also units that are then dropped teach the timeline when their track began.
        let placed = self.carry.timeline.place(frame.slot, frame.stamp, frame.arrival);
        let Some(placed) = placed else { return Ok(()) };
        if frame.parameters == Parameters::New {
            self.new_parameters(frame.slot, items)?;
        }
        let Some(clean) = self.clean(frame.slot, frame.data, items)? else { return Ok(()) };
        match self.phase {
            Phase::Collecting if self.is_first(frame.slot, clean.random_access) => {
                self.phase = Phase::Publishing { since: Instant::now() };
                self.publish_tracks();
            }
            Phase::Collecting => {
                self.outlet.all_metrics.dropped(self.outlet.stream.as_str(), "before_start", 1);
                return Ok(());
            }
            Phase::Publishing { .. } => {
                let told = self.carry.tracks.get(frame.slot);
                if !told.is_some_and(|told| Arc::ptr_eq(told, &clean.track)) {
                    self.publish_tracks();
                }
            }
        }
        let kind = clean.track.kind();
        let counted = match kind {
            TrackKind::Video => &self.outlet.metrics.video,
            TrackKind::Audio => &self.outlet.metrics.audio,
        };
        counted.units.inc();
        counted.bytes.inc_by(clean.data.len() as u64);
        if kind == self.leading_kind() {
            self.progress = Instant::now();
        }
        self.outlet.publisher.push(AccessUnit {
            track: clean.track,
            ticks: placed.ticks,
            received: frame.arrival.at,
            wallclock: placed.wallclock,
            random_access: clean.random_access,
            data: clean.data,
        });
        Ok(())
    }

    fn clean(
        &mut self,
        slot: usize,
        data: Bytes,
        items: &Items,
    ) -> Result<Option<crate::media::Clean>, FormatChanged> {
        if self.policy(slot).is_none() {
            self.begin_policy(slot, items);
        }
        let Some(policy) = self.policy(slot) else {
            self.outlet.all_metrics.dropped(self.outlet.stream.as_str(), "no_parameters", 1);
            return Ok(None);
        };
        // Sharing the bytes costs nothing, and the unit may be needed again.
        match (policy.clean(data.clone()), self.phase) {
            (Ok(clean), _) => Ok(Some(clean)),
            (Err(DropReason::IncompatibleParameters), Phase::Publishing { .. }) => {
                Err(FormatChanged)
            }
            (Err(DropReason::IncompatibleParameters), Phase::Collecting) => {
                // The session description was out of date; nobody has seen it yet.
                self.begin_policy(slot, items);
                Ok(self.policy(slot).and_then(|policy| policy.clean(data).ok()))
            }
            // Counted by the policy.
            (Err(_), _) => Ok(None),
        }
    }

    fn new_parameters(&mut self, slot: usize, items: &Items) -> Result<(), FormatChanged> {
        let phase = self.phase;
        let Some(Slot { opened, policy: Some(policy), .. }) = self.slots.get_mut(slot) else {
            return Ok(());
        };
        match parameters(opened, items.stream(opened.stream)) {
            None => {}
            Some(Err(refused)) => self.refused = Some(refused),
            Some(Ok(codec)) => match (policy.replace(codec), phase) {
                (Err(DropReason::IncompatibleParameters), Phase::Publishing { .. }) => {
                    return Err(FormatChanged);
                }
                (Err(DropReason::IncompatibleParameters), Phase::Collecting) => {
                    self.begin_policy(slot, items);
                }
                // Counted by the policy, which drops what it cannot vouch for.
                (Ok(()) | Err(_), _) => {}
            },
        }
        Ok(())
    }

    /// Makes a track's policy, once its parameters are known and lawful.
    fn begin_policy(&mut self, index: usize, items: &Items) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        let codec = match parameters(&slot.opened, items.stream(slot.opened.stream)) {
            None => return,
            Some(Err(refused)) => {
                self.refused = Some(refused);
                return;
            }
            Some(Ok(codec)) => codec,
        };
        let Ok(id) = u8::try_from(index) else { return };
        let track = Track { id: TrackId(id), codec, clock_rate: slot.opened.clock_rate };
        let track = match self.carry.tracks.get(index) {
            Some(before) if **before == track => Arc::clone(before),
            Some(_) | None => Arc::new(track),
        };
        slot.count(&self.outlet);
        slot.counted = DropCounts::default();
        slot.policy = Some(Policy::new(track));
    }

    fn publish_tracks(&mut self) {
        let tracks = self.slots.iter().filter_map(|slot| slot.policy.as_ref());
        self.carry.tracks = tracks.map(|policy| Arc::clone(policy.track())).collect();
        self.outlet.publisher.set_tracks(self.carry.tracks.clone());
    }

    /// Whether a unit can be the first that is published.
    fn is_first(&self, slot: usize, random_access: bool) -> bool {
        let leads = self
            .slots
            .get(slot)
            .is_some_and(|slot| slot.opened.encoding.kind() == self.leading_kind());
        random_access && leads && self.slots.iter().all(|slot| slot.policy.is_some())
    }

    /// Pictures, if there are any.
    fn leading_kind(&self) -> TrackKind {
        self.slots.first().map_or(TrackKind::Video, |slot| slot.opened.encoding.kind())
    }

    fn report(&mut self, packet: &retina::rtcp::ReceivedCompoundPacket) {
        let Some(slot) = self.slot(packet.stream_id()) else { return };
        let Some(camera) = packet.rtp_timestamp() else { return };
        let sender = packet.pkts().next().and_then(|first| first.as_sender_report().ok().flatten());
        let Some(sender) = sender else { return };
        let ntp = sender.ntp_timestamp().0;
        self.carry.timeline.report(slot, ntp, camera.timestamp(), arrival(packet.ctx()));
    }

    fn stamp(&self, timestamp: retina::Timestamp) -> Stamp {
        let start = match self.starts {
            Starts::Announced => Some(i64::from(timestamp.start())),
            Starts::Unknown => None,
        };
        Stamp { camera: timestamp.timestamp(), start }
    }

    fn slot(&self, stream: usize) -> Option<usize> {
        self.slots.iter().position(|slot| slot.opened.stream == stream)
    }

    fn policy(&mut self, slot: usize) -> Option<&mut Policy> {
        self.slots.get_mut(slot)?.policy.as_mut()
    }
}

impl Slot {
    fn count(&mut self, outlet: &Outlet<'_>) {
        let Some(policy) = &self.policy else { return };
        for (reason, count) in policy.counts().iter() {
            let new = count.saturating_sub(self.counted.get(reason));
            if new > 0 {
                outlet.all_metrics.dropped(outlet.stream.as_str(), reason.label(), new);
            }
        }
        self.counted = policy.counts().clone();
    }
}

/// A track's parameters, checked, if the camera has told them.
pub(super) fn parameters(
    opened: &OpenedTrack,
    stream: Option<&Stream>,
) -> Option<Result<Codec, Refused>> {
    let parameters = stream?.parameters()?;
    let codec = match (opened.encoding, parameters) {
        (Encoding::H264, ParametersRef::Video(video)) => match video.codec_params() {
            VideoParametersCodec::H264 { sps, pps } => {
                H264Parameters::new(sps, pps).map(Codec::H264)
            }
            VideoParametersCodec::H265 { .. } | VideoParametersCodec::Jpeg | _ => return None,
        },
        (Encoding::H265, ParametersRef::Video(video)) => match video.codec_params() {
            VideoParametersCodec::H265 { vps, sps, pps } => {
                H265Parameters::new(vps, sps, pps).map(Codec::H265)
            }
            VideoParametersCodec::H264 { .. } | VideoParametersCodec::Jpeg | _ => return None,
        },
        (Encoding::Jpeg, ParametersRef::Video(video)) => match video.codec_params() {
            VideoParametersCodec::Jpeg => jpeg_size(video.pixel_dimensions()).map(Codec::Jpeg),
            VideoParametersCodec::H264 { .. } | VideoParametersCodec::H265 { .. } | _ => {
                return None;
            }
        },
        (Encoding::Aac, ParametersRef::Audio(audio)) => {
            AacParameters::new(audio.extra_data()).map(Codec::Aac)
        }
        (Encoding::Pcma, ParametersRef::Audio(_)) => Ok(Codec::Pcma { channels: channels(opened) }),
        (Encoding::Pcmu, ParametersRef::Audio(_)) => Ok(Codec::Pcmu { channels: channels(opened) }),
        (Encoding::G726(g726), ParametersRef::Audio(_)) => Ok(Codec::G726(g726)),
        (Encoding::L16, ParametersRef::Audio(_)) => Ok(Codec::L16 { channels: channels(opened) }),
        (
            Encoding::H264 | Encoding::H265 | Encoding::Jpeg,
            ParametersRef::Audio(_) | ParametersRef::Message(_),
        )
        | (
            Encoding::Aac | Encoding::Pcma | Encoding::Pcmu | Encoding::G726(_) | Encoding::L16,
            ParametersRef::Video(_) | ParametersRef::Message(_),
        ) => return None,
    };
    Some(codec)
}

fn jpeg_size((width, height): (u32, u32)) -> Result<JpegParameters, Refused> {
    // What does not fit is refused as 0 is.
    let side = |side: u32| u16::try_from(side).unwrap_or(0);
    JpegParameters::new(side(width), side(height))
}

fn channels(opened: &OpenedTrack) -> u8 {
    opened.channels.unwrap_or(1).clamp(1, 2)
}

fn arrival(context: &retina::PacketContext) -> Arrival {
    Arrival { at: context.received(), utc: context.received_wall().into() }
}
