//! Camlock: the gateway between cameras nobody trusts and everyone who needs their video.
//!
//! The module graph is law: `docs/architecture.md` draws it, `tests/architecture.rs` holds it.

/// Compares a part of the product's surface, what users and their tools rely on, with `tests/surface/`.
#[cfg(test)]
macro_rules! assert_surface {
    ($name:literal, $text:expr) => {
        insta::with_settings!({
            snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/tests/surface"),
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, { insta::assert_snapshot!($name, $text) })
    };
}

/// One value for each variant of an enum; one that is missing does not compile.
#[cfg(test)]
macro_rules! every {
    ($type:ident $(<$life:lifetime>)?; $($variant:ident $(($($value:expr),+))? $({$($field:ident: $of:expr),+})?),+ $(,)?) => {{
        let _all_are_here = |value: &$type $(<$life>)?| match value { $($type::$variant { .. })|+ => () };
        [$($type::$variant $(($($value),+))? $({$($field: $of),+})?),+]
    }};
}

pub mod app;
pub mod hub;
pub mod ingest;
pub mod media;
pub mod ops;
pub mod segment;
pub mod serve;
pub mod trust;
pub mod wire;
