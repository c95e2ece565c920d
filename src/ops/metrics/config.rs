//! Whether what runs is what the configuration file says.

use prometheus_client::encoding::EncodeLabelValue;

use super::table::{Counter, Family, Gauge, Label, metrics};

/// What became of one reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum ReloadOutcome {
    /// All that a reload changes is in force.
    Applied,
    /// All but what the log names: a certificate that cannot be read, a camera that cannot be started.
    Partly,
    /// The file has faults; nothing changed.
    Refused,
}

metrics! {
    /// Reloads of the configuration.
    pub struct ConfigMetrics = "config" {
        reloads: Family<Label<ReloadOutcome>, Counter> = "Configuration reloads, by outcome";
        stale: Gauge = "1 if the last configuration reload was refused or only partly applied, else 0";
    }
}

impl ConfigMetrics {
    /// Counts a reload.
    pub fn reloaded(&self, outcome: ReloadOutcome) {
        self.reloads.get_or_create(&[("outcome", outcome)]).inc();
        self.stale.set(i64::from(outcome != ReloadOutcome::Applied));
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn what_is_not_wholly_in_force_is_stale_until_it_is() {
        let mut registry = Registry::default();
        let config = ConfigMetrics::register(&mut registry);
        let text = |registry: &Registry| {
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
            text
        };
        assert!(text(&registry).contains("config_stale 0"));
        for (outcome, stale) in [
            (ReloadOutcome::Refused, 1),
            (ReloadOutcome::Applied, 0),
            (ReloadOutcome::Partly, 1),
            (ReloadOutcome::Applied, 0),
        ] {
            config.reloaded(outcome);
            assert!(text(&registry).contains(&format!("config_stale {stale}")), "{outcome:?}");
        }
        assert!(text(&registry).contains("config_reloads_total{outcome=\"Applied\"} 2"));
    }
}
