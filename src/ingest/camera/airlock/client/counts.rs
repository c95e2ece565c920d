//! What passed and what was dropped.

/// What passed the airlock and what was dropped, by reason. All since the session began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Bytes read from the camera.
    pub bytes: u64,
    /// Media packets passed on.
    pub packets: u64,
    /// Bytes of media packets passed on.
    pub media_bytes: u64,
    /// Packets the camera's sequence numbers say are missing.
    pub lost: u64,
    /// Media packets whose RTP header is broken, and empty ones.
    pub dropped_header: u64,
    /// Media packets of another source than the session's (left over from an old session).
    pub dropped_source: u64,
    /// Media packets that go back in sequence.
    pub dropped_sequence: u64,
    /// Media packets whose payload breaks its format, or that the depacketiser did not take.
    pub dropped_payload: u64,
    /// Data on channels nobody set up, and media before PLAY.
    pub dropped_channel: u64,
    /// Media that came before the answer to PLAY, beyond what is held.
    pub dropped_early: u64,
    /// RTCP that is no sender report of the session, or came too often.
    pub dropped_rtcp: u64,
    /// Sender reports passed on.
    pub sender_reports: u64,
    /// Answers to nothing we asked.
    pub stray_answers: u64,
    /// Requests the camera sent us.
    pub camera_requests: u64,
    /// Bytes after PLAY that are not media.
    pub overhead_bytes: u64,
    /// Media sections of the session description not presented.
    pub dropped_sections: u64,
    /// Keep-alives sent.
    pub keep_alives: u64,
    /// Panics of the depacketiser that were caught.
    pub panics: u64,
    /// What the airlock put right.
    pub odd: Oddities,
}

/// What a camera does otherwise than asked, announced or standardised, and the airlock puts right.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Oddities {
    /// Its URLs name another host than the request's. They are text for the camera, never dialled.
    pub other_host: bool,
    /// Its `Content-Base` has no scheme.
    pub base_without_scheme: bool,
    /// Its answers have no `CSeq`.
    pub no_cseq: bool,
    /// It sends on other channels than asked for.
    pub other_channels: bool,
    /// Its packets have another payload type than its session description says.
    pub other_payload_type: bool,
    /// Its packets have another source (SSRC) than its answer to SETUP says.
    pub other_source: bool,
    /// Its frames of sound lack their marker.
    pub no_markers: bool,
}

impl Counts {
    /// What was dropped, by the stable words of the metrics.
    pub fn dropped(&self) -> [(&'static str, u64); 10] {
        [
            ("packet_header", self.dropped_header),
            ("packet_source", self.dropped_source),
            ("packet_sequence", self.dropped_sequence),
            ("packet_payload", self.dropped_payload),
            ("packet_channel", self.dropped_channel),
            ("packet_early", self.dropped_early),
            ("rtcp", self.dropped_rtcp),
            ("stray_answer", self.stray_answers),
            ("camera_request", self.camera_requests),
            ("section", self.dropped_sections),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reasons_are_these() {
        let names = Counts::default().dropped().map(|(name, _)| name);
        assert_surface!("airlock-drops", names.join("\n"));
    }
}
