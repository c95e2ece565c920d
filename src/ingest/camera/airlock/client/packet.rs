//! RTP and RTCP packets, read whole.

/// The parts of an RTP packet (RFC 3550 5.1) that matter. CSRC list, extension and padding are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rtp<'a> {
    pub(super) marker: bool,
    pub(super) payload_type: u8,
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
    pub(super) source: u32,
    pub(super) payload: &'a [u8],
}

/// Bytes of an RTP packet on an interleaved channel before its payload.
pub(super) const OVERHEAD: usize = 16;

impl<'a> Rtp<'a> {
    pub(super) fn parse(packet: &'a [u8]) -> Option<Self> {
        let (head, rest) = packet.split_first_chunk::<12>()?;
        let [first, second, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3] = *head;
        if first >> 6 != 2 {
            return None;
        }
        let mut payload = rest.get(usize::from(first & 0x0f).checked_mul(4)?..)?;
        if first & 0x10 != 0 {
            let (extension, rest) = payload.split_first_chunk::<4>()?;
            let [_, _, l0, l1] = *extension;
            payload = rest.get(usize::from(u16::from_be_bytes([l0, l1])).checked_mul(4)?..)?;
        }
        if first & 0x20 != 0 {
            let padding = usize::from(*payload.last()?);
            if padding == 0 {
                return None;
            }
            payload = payload.get(..payload.len().checked_sub(padding)?)?;
        }
        Some(Self {
            marker: second & 0x80 != 0,
            payload_type: second & 0x7f,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            source: u32::from_be_bytes([c0, c1, c2, c3]),
            payload,
        })
    }
}

/// The sender information of a sender report (RFC 3550 6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SenderReport {
    pub(super) source: u32,
    pub(super) ntp: u64,
    pub(super) timestamp: u32,
}

impl SenderReport {
    /// Reads the sender report that must stand first in a compound packet; the rest is not looked at.
    pub(super) fn parse(compound: &[u8]) -> Option<Self> {
        let (head, rest) = compound.split_first_chunk::<8>()?;
        let [first, kind, l0, l1, s0, s1, s2, s3] = *head;
        if first >> 6 != 2 || kind != 200 || u16::from_be_bytes([l0, l1]) < 6 {
            return None;
        }
        let (ntp, rest) = rest.split_first_chunk::<8>()?;
        let (timestamp, rest) = rest.split_first_chunk::<4>()?;
        // Packets and octets sent.
        rest.get(..8)?;
        Some(Self {
            source: u32::from_be_bytes([s0, s1, s2, s3]),
            ntp: u64::from_be_bytes(*ntp),
            timestamp: u32::from_be_bytes(*timestamp),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extension_csrc_and_padding_are_left_out() {
        let mut packet = vec![0x80 | 0x20 | 0x10 | 2, 0x80 | 97, 0, 7, 0, 0, 0, 9, 1, 2, 3, 4];
        packet.extend(*b"CSR1CSR2");
        packet.extend([0xbe, 0xde, 0, 1]);
        packet.extend(*b"EXT1");
        packet.extend(*b"media");
        packet.extend(*b"PAD\x04");
        let rtp = Rtp::parse(&packet).unwrap();
        assert_eq!(rtp.payload, b"media");
        assert_eq!((rtp.marker, rtp.payload_type, rtp.sequence), (true, 97, 7));
        assert_eq!((rtp.timestamp, rtp.source), (9, 0x0102_0304));
    }

    #[test]
    fn every_cut_of_a_packet_is_read_or_refused() {
        let whole: Vec<u8> = (0..60).collect();
        for first in 0..=255 {
            for end in 0..whole.len() {
                let mut packet = whole[..end].to_vec();
                if let Some(byte) = packet.first_mut() {
                    *byte = first;
                }
                if let Some(rtp) = Rtp::parse(&packet) {
                    assert!(rtp.payload.len() <= end - 12);
                }
                let _ = SenderReport::parse(&packet);
            }
        }
    }

    #[test]
    fn only_the_sender_information_of_a_compound_packet_remains() {
        let mut compound = vec![0x81, 200, 0, 12, 0, 0, 0, 5];
        compound.extend([1; 8]);
        compound.extend([0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4]);
        compound.extend(*b"report block of 24 bytes");
        compound.extend([0x81, 202, 0, 3, 0, 0, 0, 5, 1, 4]);
        compound.extend(*b"NAME\0\0");
        let report = SenderReport::parse(&compound).unwrap();
        assert_eq!((report.source, report.timestamp), (5, 2));
        assert!(SenderReport::parse(&compound[..27]).is_none());
        compound[1] = 203;
        assert!(SenderReport::parse(&compound).is_none());
    }
}
