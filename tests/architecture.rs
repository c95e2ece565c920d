//! The module graph of `docs/architecture.md`, checked.
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "a test helper")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use syn::visit::{self, Visit};

/// Every top-level module, and those it may use. A module may use only modules listed above it,
/// so the graph has no cycle.
const MODULES: &[(&str, &[&str])] = &[
    ("limits", &[]),
    ("metrics", &[]),
    ("media", &["limits"]),
    ("digest", &["limits"]),
    ("tls", &["limits"]),
    ("state_dir", &[]),
    ("chain", &["limits"]),
    ("systemd", &["limits"]),
    ("pki", &["tls", "state_dir"]),
    ("audit", &["limits", "media"]),
    ("rtp", &["limits", "media"]),
    ("rtsp", &["limits", "media"]),
    ("auth", &["limits", "media", "digest", "tls", "audit", "metrics"]),
    ("hub", &["limits", "media", "rtp", "auth", "metrics"]),
    ("control", &["limits", "media", "auth"]),
    ("load", &["limits", "metrics", "audit"]),
    ("segment", &["limits", "media", "audit", "metrics", "control", "state_dir", "chain"]),
    (
        "camera",
        &[
            "limits", "media", "digest", "tls", "rtsp", "segment", "hub", "audit", "metrics",
            "control",
        ],
    ),
    (
        "rtsp_server",
        &[
            "limits", "media", "digest", "rtp", "rtsp", "auth", "hub", "metrics", "audit",
            "control", "tls", "load",
        ],
    ),
    ("http", &["limits", "media", "auth", "hub", "metrics", "audit", "control", "load"]),
    ("listen", &["limits", "systemd", "tls", "auth", "metrics", "audit"]),
    ("tunnel", &["limits", "tls", "auth", "metrics", "audit"]),
    ("telemetry", &["limits"]),
    ("simulator", &["limits", "media", "digest", "rtp", "rtsp"]),
    (
        "config",
        &[
            "limits",
            "media",
            "digest",
            "tls",
            "pki",
            "auth",
            "hub",
            "load",
            "segment",
            "camera",
            "rtsp_server",
            "http",
            "listen",
            "tunnel",
            "simulator",
            "telemetry",
        ],
    ),
    (
        "fuzz",
        &[
            "limits",
            "media",
            "digest",
            "rtp",
            "rtsp",
            "auth",
            "hub",
            "segment",
            "camera",
            "rtsp_server",
            "tunnel",
            "config",
        ],
    ),
    ("app", ALL),
    ("cli", ALL),
];

/// For the composition root and the commands: every module listed above.
const ALL: &[&str] = &["*"];

/// Sans-IO code: no runtime, no sockets, no files, no clock.
const SANS_IO: &[&str] = &[
    "limits.rs",
    "metrics",
    "media",
    "digest",
    "rtp",
    "rtsp",
    "tls/fingerprint.rs",
    "tls/client/verify.rs",
    "tls/client/failure.rs",
    "hub/ring.rs",
    "hub/cursor.rs",
    "hub/numbering.rs",
    "hub/budget.rs",
    "load/level.rs",
    "load/lateness.rs",
    "load/reason.rs",
    "camera/airlock/rewrite",
    "camera/retime",
    "camera/backoff.rs",
    "camera/news.rs",
    "chain",
    "rtsp_server/machine",
    "auth/penalty.rs",
    "segment/beat.rs",
    "segment/day.rs",
    "segment/ledger/entry.rs",
    "segment/canary_policy.rs",
    "segment/canary",
    "segment/ledger/pace.rs",
    "segment/ledger/summary.rs",
    "segment/mac.rs",
    "segment/news.rs",
    "segment/observe/classify",
    "segment/observe/filter",
    "segment/observe/table",
    "segment/observe/vendors.rs",
    "segment/place.rs",
    "segment/plan.rs",
    "segment/render",
    "segment/services/dns.rs",
    "segment/services/names.rs",
    "segment/services/ntp.rs",
    "segment/services/places.rs",
    "segment/services/rate.rs",
    "segment/services/recognise",
    "segment/sighting.rs",
    "segment/text.rs",
    "segment/wire.rs",
    "systemd/progress.rs",
    "tunnel/armour.rs",
    "tunnel/head.rs",
    "tunnel/pending.rs",
    "tunnel/websocket/frame.rs",
    "tunnel/websocket/handshake.rs",
];

const IO: &[&str] = &[
    "tokio",
    "quinn",
    "hyper",
    "retina",
    "std::fs",
    "std::net::TcpStream",
    "std::net::UdpSocket",
    "Instant::now",
    "SystemTime::now",
];

#[test]
fn modules_use_only_what_they_may() {
    for (i, (module, may_use)) in MODULES.iter().enumerate() {
        for used in may_use.iter().filter(|used| **used != "*") {
            assert!(MODULES[..i].iter().any(|(m, _)| m == used), "list {used} above {module}");
        }
    }
    let mut wrong = Vec::new();
    each_file(Path::new("src"), &mut |file, paths| {
        let module = file.split(['/', '.']).next().unwrap();
        if matches!(module, "lib" | "main") {
            return;
        }
        let Some(place) = MODULES.iter().position(|(m, _)| *m == module) else {
            return wrong.push(format!("{file}: {module} is not in MODULES"));
        };
        let at_root = file.ends_with("/mod.rs") && file.matches('/').count() == 1;
        for path in paths {
            if path.starts_with("super::super") || (at_root && path.starts_with("super::")) {
                wrong.push(format!("{file}: write {path} as crate::..."));
            }
            if let Some(used) = path.strip_prefix("crate::").and_then(|p| p.split("::").next())
                && used != module
                && !may_use(place, used)
            {
                wrong.push(format!("{file}: {module} may not use {used}"));
            }
        }
    });
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Whether the module at `place` may use `used`.
fn may_use(place: usize, used: &str) -> bool {
    let (above, rest) = MODULES.split_at(place);
    let (_, may_use) = rest.first().unwrap();
    may_use.contains(&used) || *may_use == ALL && above.iter().any(|(m, _)| *m == used)
}

#[test]
fn sans_io_code_does_no_io() {
    let mut wrong = Vec::new();
    each_file(Path::new("src"), &mut |file, paths| {
        if SANS_IO.iter().any(|s| file == *s || file.starts_with(&format!("{s}/"))) {
            wrong.extend(paths.into_iter().filter(|p| is_io(p)).map(|p| format!("{file}: {p}")));
        }
    });
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn is_io(path: &str) -> bool {
    let path = format!("::{path}::");
    IO.iter().any(|io| path.contains(&format!("::{io}::")))
}

fn each_file(dir: &Path, f: &mut impl FnMut(&str, BTreeSet<String>)) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if path.file_name() != Some("tests".as_ref()) {
                each_file(&path, f);
            }
        } else if path.extension() == Some("rs".as_ref())
            && path.file_name() != Some("tests.rs".as_ref())
        {
            let mut paths = Paths::default();
            paths.visit_file(&syn::parse_file(&fs::read_to_string(&path).unwrap()).unwrap());
            f(path.strip_prefix("src").unwrap().to_str().unwrap(), paths.0);
        }
    }
}

/// The paths a file names outside its tests, `use` trees flattened.
#[derive(Default)]
struct Paths(BTreeSet<String>);

impl Visit<'_> for Paths {
    fn visit_item_mod(&mut self, module: &syn::ItemMod) {
        if !module.attrs.iter().any(is_cfg_test) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_use(&mut self, item: &syn::ItemUse) {
        self.flatten(&item.tree, "");
    }

    fn visit_path(&mut self, path: &syn::Path) {
        let names: Vec<_> = path.segments.iter().map(|s| s.ident.to_string()).collect();
        self.0.insert(names.join("::"));
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, mac: &syn::Macro) {
        // A macro's body is no syntax tree; take its `a::b` words.
        let body = mac.tokens.to_string().replace(" :: ", "::");
        self.0.extend(body.split(' ').filter(|w| w.contains("::")).map(str::to_owned));
        visit::visit_macro(self, mac);
    }
}

/// Only `#[cfg(test)]` hides code from the check; any other `cfg` is product code.
fn is_cfg_test(attr: &syn::Attribute) -> bool {
    attr.path().is_ident("cfg") && attr.parse_args::<syn::Ident>().is_ok_and(|i| i == "test")
}

impl Paths {
    fn flatten(&mut self, tree: &syn::UseTree, prefix: &str) {
        let name = match tree {
            syn::UseTree::Path(p) => return self.flatten(&p.tree, &join(prefix, &p.ident)),
            syn::UseTree::Group(g) => return g.items.iter().for_each(|t| self.flatten(t, prefix)),
            syn::UseTree::Name(n) => join(prefix, &n.ident),
            syn::UseTree::Rename(r) => join(prefix, &r.ident),
            syn::UseTree::Glob(_) => format!("{prefix}::*"),
        };
        self.0.insert(name);
    }
}

fn join(prefix: &str, name: &syn::Ident) -> String {
    if prefix.is_empty() { name.to_string() } else { format!("{prefix}::{name}") }
}
