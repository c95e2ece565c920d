//! How many ends of sessions one camera can have told in the log.

use std::collections::VecDeque;
use std::time::Instant;

use crate::ops::limits;

/// Which ends of a stream's sessions are told: at most [`limits::CAMERA_NEWS`] within
/// [`limits::CAMERA_NEWS_TIME`]. The others are counted; the metrics know all of them.
#[derive(Debug, Default)]
pub(in crate::ingest::camera) struct News {
    told: VecDeque<Instant>,
    untold: u64,
}

impl News {
    /// Another end. `Some`: it is told, with the number of those before it that were not.
    pub(in crate::ingest::camera) fn tell(&mut self, now: Instant) -> Option<u64> {
        let old = |told: &Instant| now.saturating_duration_since(*told) >= limits::CAMERA_NEWS_TIME;
        while self.told.front().is_some_and(old) {
            self.told.pop_front();
        }
        if self.told.len() >= limits::CAMERA_NEWS {
            self.untold = self.untold.saturating_add(1);
            return None;
        }
        self.told.push_back(now);
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn no_minute_has_more_than_its_share() {
        let start = tokio::time::Instant::now().into_std();
        let mut news = News::default();
        let told: Vec<(u64, u64)> = (0..200)
            .filter_map(|s| Some((s, news.tell(start + Duration::from_secs(s))?)))
            .collect();
        let window = limits::CAMERA_NEWS_TIME.as_secs();
        let mut expected = Vec::new();
        for begin in (0..200).step_by(usize::try_from(window).unwrap()) {
            let untold = if begin == 0 { 0 } else { window - limits::CAMERA_NEWS as u64 };
            expected.extend([(begin, untold), (begin + 1, 0), (begin + 2, 0), (begin + 3, 0)]);
        }
        assert_eq!(told, expected);
    }
}
