//! Metrics as tables: each is named once, with its type and its help.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::{EncodeLabelValue, EncodeMetric, MetricEncoder};
pub(super) use prometheus_client::metrics::counter::Counter;
pub(super) use prometheus_client::metrics::family::Family;
pub(super) use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::Metric;
pub(super) use prometheus_client::registry::{Registry, Unit};

/// One label: its name and its value.
pub(super) type Label<Value> = [(&'static str, Value); 1];

/// Makes a group of metrics from a table. A row is `field: Type, Unit = "help";`, with the unit left out where there is
/// none; `as "name"` after the field gives the metric another name than the field's. A second table has the metrics
/// that one label tells apart, and becomes a struct of handles: no look-up for each count.
macro_rules! metrics {
    (
        $(#[$doc:meta])*
        pub struct $group:ident $(= $prefix:literal)? {
            $($vis:vis $field:ident $(as $name:literal)?: $type:ty $(, $unit:ident)? = $help:literal;)*
        }
        $(
            $(#[$of_doc:meta])*
            pub struct $of:ident by $label:ident {
                $($of_field:ident $(as $of_name:literal)?: $of_type:ty $(, $of_unit:ident)? = $of_help:literal;)*
            }
            $(with { $($(#[$more_doc:meta])* $more_vis:vis $more:ident: $more_type:ty = $make:expr;)* }
            from $($family:ident),+)?
        )?
    ) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub struct $group {
            $(#[doc = $help] $vis $field: $type,)*
            $($($of_field: super::table::Family<super::table::Label<String>, $of_type>,)*)?
        }

        impl $group {
            pub(super) fn register(registry: &mut super::table::Registry) -> Self {
                $(let registry = registry.sub_registry_with_prefix($prefix);)?
                let group = Self::default();
                $(
                    let [name, ..] = [$($name,)? stringify!($field)];
                    let unit = None$(.or(Some(super::table::Unit::$unit)))?;
                    super::table::add(registry, name, $help, unit, group.$field.clone());
                )*
                $($(
                    let [name, ..] = [$($of_name,)? stringify!($of_field)];
                    let unit = None$(.or(Some(super::table::Unit::$of_unit)))?;
                    super::table::add(registry, name, $of_help, unit, group.$of_field.clone());
                )*)?
                group
            }

            $(
                /// The handles for this value of the label.
                pub fn $label(&self, name: &str) -> $of {
                    let label = [(stringify!($label), name.to_owned())];
                    $of {
                        $($of_field: self.$of_field.get_or_create_owned(&label),)*
                        $($($more: ($make)(self, name),)*)?
                    }
                }

                /// Takes this value of the label out.
                pub fn forget(&self, name: &str) {
                    let label = [(stringify!($label), name.to_owned())];
                    $(self.$of_field.remove(&label);)*
                    $($(super::table::Forget::forget(&self.$family, name);)+)?
                }
            )?
        }

        $(
            $(#[$of_doc])*
            #[derive(Debug)]
            pub struct $of {
                $(#[doc = $of_help] pub $of_field: $of_type,)*
                $($($(#[$more_doc])* $more_vis $more: $more_type,)*)?
            }
        )?
    };
}

pub(super) use metrics;

pub(super) fn add(
    registry: &mut Registry,
    name: &str,
    help: &str,
    unit: Option<Unit>,
    metric: impl Metric,
) {
    match unit {
        Some(unit) => registry.register_with_unit(name, help, unit, metric),
        None => registry.register(name, help, metric),
    }
}

/// The stream, and one label more.
type StreamAnd<Value> = (Label<String>, Label<Value>);

/// A metric by stream and one label more. The values of that label need no list to take a stream out.
#[derive(Debug)]
pub(super) struct ByStream<Value, M> {
    family: Family<StreamAnd<Value>, M>,
    known: Arc<Mutex<HashSet<StreamAnd<Value>>>>,
}

impl<Value, M> ByStream<Value, M>
where
    Value: Copy + Eq + Hash + EncodeLabelValue,
    M: Clone + Default,
{
    pub(super) fn get(&self, stream: &str, label: &'static str, value: Value) -> M {
        let labels = ([("stream", stream.to_owned())], [(label, value)]);
        let metric = self.family.get_or_create_owned(&labels);
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(labels);
        metric
    }
}

/// What a stream can be taken out of.
pub(super) trait Forget {
    /// Takes a stream's values out.
    fn forget(&self, stream: &str);
}

impl<M> Forget for Family<Label<String>, M> {
    fn forget(&self, stream: &str) {
        self.remove(&[("stream", stream.to_owned())]);
    }
}

impl<Value, M> Forget for ByStream<Value, M>
where
    Value: Copy + Eq + Hash,
{
    fn forget(&self, stream: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|labels| {
            let ([(_, name)], _) = labels;
            let gone = name == stream;
            if gone {
                self.family.remove(labels);
            }
            !gone
        });
    }
}

impl<Value, M> Clone for ByStream<Value, M>
where
    Value: Clone + Eq + Hash,
{
    fn clone(&self) -> Self {
        Self { family: self.family.clone(), known: Arc::clone(&self.known) }
    }
}

impl<Value, M: Default> Default for ByStream<Value, M>
where
    Value: Clone + Eq + Hash,
{
    fn default() -> Self {
        Self { family: Family::default(), known: Arc::default() }
    }
}

impl<Value, M> EncodeMetric for ByStream<Value, M>
where
    Value: Clone + Eq + Hash + EncodeLabelValue,
    M: EncodeMetric + TypedMetric + Default,
{
    fn encode(&self, encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.family.encode(encoder)
    }

    fn metric_type(&self) -> MetricType {
        self.family.metric_type()
    }

    fn is_empty(&self) -> bool {
        self.family.is_empty()
    }
}
