//! The names that are the gateway's in the segment.

use hickory_proto::rr::Name;

/// The gateway's names. `internal` is set aside for private use, so none of them is anybody else's.
const OWN: [&[&[u8]]; 4] = [
    &[b"camlock", b"internal"],
    &[b"gateway", b"camlock", b"internal"],
    &[b"time", b"camlock", b"internal"],
    &[b"ntp", b"camlock", b"internal"],
];
/// Names below which every name is a time server's.
const TIME_ZONES: [&[&[u8]]; 1] = [&[b"pool", b"ntp", b"org"]];
/// First labels of time servers, alone, with a number, or with a hyphen and more: `time.windows.com`,
/// `ntp1.aliyun.com`, `time-a-g.nist.gov`, and vendors' own such as `time.ys7.com`.
const TIME_LABELS: [&str; 3] = ["time", "ntp", "sntp"];

/// Whether a name is the gateway's own, or a time server's, for which the gateway stands in: a camera without the
/// time cannot log in, and its records prove nothing. Letter case does not matter.
pub(super) fn is_ours(name: &Name) -> bool {
    let labels: Vec<&[u8]> = name.iter().collect();
    OWN.iter().any(|own| same(&labels, own))
        || TIME_ZONES.iter().any(|zone| is_in(&labels, zone))
        || labels.len() >= 2 && labels.first().is_some_and(|first| is_time(first))
}

fn same(labels: &[&[u8]], own: &[&[u8]]) -> bool {
    labels.len() == own.len() && labels.iter().zip(own).all(|(a, b)| a.eq_ignore_ascii_case(b))
}

/// The zone's own name too.
fn is_in(labels: &[&[u8]], zone: &[&[u8]]) -> bool {
    let above = labels.len().saturating_sub(zone.len());
    labels.get(above..).is_some_and(|end| same(end, zone))
}

fn is_time(label: &[u8]) -> bool {
    TIME_LABELS.iter().any(|time| {
        let Some((first, rest)) = label.split_at_checked(time.len()) else { return false };
        first.eq_ignore_ascii_case(time.as_bytes())
            && (rest.iter().all(u8::is_ascii_digit) || rest.first() == Some(&b'-'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateway_stands_in_for_itself_and_for_time_servers() {
        for ours in [
            "camlock.internal.",
            "GateWay.camlock.internal.",
            "time.camlock.internal.",
            "ntp.camlock.internal.",
            "pool.ntp.org.",
            "2.debian.pool.NTP.org.",
            "time.windows.com.",
            "time1.google.com.",
            "ntp-b.nist.gov.",
            "sntp.example.",
        ] {
            assert!(is_ours(&Name::from_ascii(ours).unwrap()), "{ours}");
        }
        for foreign in [
            ".",
            "internal.",
            "a.gateway.camlock.internal.",
            "gateway.camlock.internal.example.",
            "ntp.",
            "org.",
            "xpool.ntp.org.",
            "timeline.example.",
            "ntpx.example.",
            "a.time.example.",
            "litedev.ezvizlife.com.",
        ] {
            assert!(!is_ours(&Name::from_ascii(foreign).unwrap()), "{foreign}");
        }
    }
}
