//! Recovery point SEI messages (H.264 D.1.8, D.2.8): where a decoder may start that gets no IDR picture.

use crate::media::bits::{BitReader, slice_start};

/// A NAL unit that says no more than: a decoder may start here, and what follows in output order is right
/// (recovery_frame_cnt 0, no exact match, no broken link).
pub(in crate::media) const RECOVERY_POINT: [u8; 5] = [6, RECOVERY_POINT_TYPE, 1, 0x84, 0x80];

/// payloadType of a recovery point.
const RECOVERY_POINT_TYPE: u8 = 6;

/// Whether an SEI NAL unit holds a recovery point whose recovery_frame_cnt is 0. Only the first KiB is looked
/// at: encoders put it behind nothing longer than times.
pub(in crate::media) fn recovers_at_once(nal: &[u8]) -> bool {
    let start = slice_start(nal.get(1..).unwrap_or_default());
    let mut rest: &[u8] = &start;
    while let Some((kind, size)) = head(&mut rest) {
        let Some((payload, behind)) = rest.split_at_checked(size) else { return false };
        if kind == usize::from(RECOVERY_POINT_TYPE) {
            return BitReader::new(payload).ue() == Ok(0);
        }
        rest = behind;
    }
    false
}

/// payloadType and payloadSize of the next message.
fn head(rest: &mut &[u8]) -> Option<(usize, usize)> {
    Some((number(rest)?, number(rest)?))
}

/// ff bytes, and one that ends them, added up.
fn number(rest: &mut &[u8]) -> Option<usize> {
    let more = rest.iter().take_while(|byte| **byte == 0xff).count();
    let last = *rest.get(more)?;
    *rest = rest.get(more + 1..)?;
    Some(more * 0xff + usize::from(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recovery_point_is_found_behind_other_messages() {
        assert!(recovers_at_once(&RECOVERY_POINT));
        // Behind a buffering period, and behind user data of 300 bytes.
        assert!(recovers_at_once(&[6, 0, 2, 0xaa, 0xbb, 6, 1, 0xc4, 0x80]));
        let mut long = vec![6, 5, 0xff, 45];
        long.extend([0x55; 300]);
        long.extend(&RECOVERY_POINT[1..]);
        assert!(recovers_at_once(&long));
        // As x264 writes it.
        assert!(recovers_at_once(&[6, 6, 1, 0xc4, 0x80]));
    }

    #[test]
    fn anything_else_is_none() {
        // recovery_frame_cnt 1: gradual refresh.
        assert!(!recovers_at_once(&[6, 6, 1, 0x50, 0x80]));
        for nal in [
            &[][..],
            &[6],
            &[6, 6],
            &[6, 6, 1],
            &[6, 6, 0, 0x80],
            &[6, 0xff, 0xff],
            &[6, 5, 9, 6, 1, 0xc4],
        ] {
            assert!(!recovers_at_once(nal), "{nal:?}");
        }
        // One over what is looked at.
        let mut far = vec![6, 5, 0xff, 0xff, 0xff, 0xff, 0];
        far.extend([0x55; 4 * 255]);
        far.extend(&RECOVERY_POINT[1..]);
        assert!(!recovers_at_once(&far));
    }
}
