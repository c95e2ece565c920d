//! Whether what runs is what the configuration file says.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// What became of reloads.
#[derive(Debug)]
pub struct ConfigMetrics {
    reloads: Family<OutcomeLabel, Counter>,
    stale: Gauge,
}

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

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: ReloadOutcome,
}

impl ConfigMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let config = Self { reloads: Family::default(), stale: Gauge::default() };
        let registry = registry.sub_registry_with_prefix("config");
        registry.register("reloads", "Reloads, by what became of them", config.reloads.clone());
        registry.register(
            "stale",
            "1 if the last reload left something of an older configuration in force",
            config.stale.clone(),
        );
        config
    }

    /// Counts a reload.
    pub fn reloaded(&self, outcome: ReloadOutcome) {
        self.reloads.get_or_create(&OutcomeLabel { outcome }).inc();
        self.stale.set(i64::from(outcome != ReloadOutcome::Applied));
    }
}

#[cfg(test)]
mod tests {
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
