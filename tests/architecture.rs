//! The module graph of `docs/architecture.md`, checked.
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "a test helper")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use syn::visit::{self, Visit};

/// Every wing, lowest first, and those it uses. A wing may use only wings listed above it, so the
/// graph has no cycle.
const WINGS: &[(&str, &[&str])] = &[
    ("ops", &[]),
    ("media", &["ops"]),
    ("wire", &["ops", "media"]),
    ("trust", &["ops", "media", "wire"]),
    ("hub", &["ops", "media", "wire", "trust"]),
    ("segment", &["ops", "trust"]),
    ("ingest", &["ops", "media", "wire", "trust", "hub", "segment"]),
    ("serve", &["ops", "media", "wire", "trust", "hub"]),
    ("app", &["ops", "media", "wire", "trust", "hub", "segment", "ingest", "serve"]),
];

/// Sans-IO code: no runtime, no sockets, no files, no clock.
const SANS_IO: &[&str] = &[
    "ops/limits.rs",
    "ops/metrics",
    "media",
    "wire/digest",
    "wire/rtp",
    "wire/rtsp",
    "trust/tls/fingerprint.rs",
    "trust/tls/client/verify.rs",
    "trust/tls/client/failure.rs",
    "hub/ring.rs",
    "hub/cursor.rs",
    "hub/numbering.rs",
    "hub/budget.rs",
    "serve/overload/level.rs",
    "serve/overload/lateness.rs",
    "serve/overload/reason.rs",
    "ingest/camera/airlock/client",
    "ingest/camera/feed.rs",
    "ingest/camera/retime",
    "ingest/camera/supervisor/backoff.rs",
    "ingest/camera/supervisor/news.rs",
    "ops/hash_log",
    "serve/rtsp_server/machine",
    "trust/auth/penalty.rs",
    "segment/shared/day.rs",
    "segment/ledger/entry.rs",
    "ingest/segment/canary_policy.rs",
    "segment/canary",
    "segment/ledger/pace.rs",
    "segment/ledger/summary.rs",
    "segment/shared/mac.rs",
    "segment/shared/news.rs",
    "segment/service/observe/classify",
    "segment/service/observe/filter",
    "segment/service/observe/table",
    "segment/service/observe/vendors.rs",
    "segment/shared/place.rs",
    "segment/shared/plan.rs",
    "segment/network",
    "segment/service/local/dns/mod.rs",
    "segment/service/local/dns/names.rs",
    "segment/service/local/ntp.rs",
    "segment/service/local/places.rs",
    "segment/service/local/rate.rs",
    "segment/service/local/recognise",
    "segment/shared/sighting.rs",
    "segment/shared/text.rs",
    "segment/shared/wire.rs",
    "serve/tunnel/base64_stream.rs",
    "serve/tunnel/head.rs",
    "serve/tunnel/pending.rs",
    "serve/tunnel/websocket/frame.rs",
    "serve/tunnel/websocket/handshake.rs",
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
fn wings_use_only_what_they_may() {
    for (i, (wing, may_use)) in WINGS.iter().enumerate() {
        for used in *may_use {
            assert!(WINGS[..i].iter().any(|(w, _)| w == used), "list {used} above {wing}");
        }
    }
    let mut wrong = Vec::new();
    let mut unused: BTreeSet<_> =
        WINGS.iter().flat_map(|(wing, uses)| uses.iter().map(move |used| (*wing, *used))).collect();
    each_file(Path::new("src"), &mut |file, paths| {
        let wing = file.split(['/', '.']).next().unwrap();
        if matches!(wing, "lib" | "main") {
            return;
        }
        let Some((wing, may_use)) = WINGS.iter().find(|(w, _)| *w == wing) else {
            return wrong.push(format!("{file}: {wing} is not in WINGS"));
        };
        // A wing's own mod.rs and those of its rooms.
        let at_root = file.ends_with("/mod.rs") && file.matches('/').count() == 1;
        for path in paths {
            if path.starts_with("super::super") || (at_root && path.starts_with("super::")) {
                wrong.push(format!("{file}: write {path} as crate::..."));
            }
            let Some(used) = path.strip_prefix("crate::").and_then(|p| p.split("::").next()) else {
                continue;
            };
            match may_use.iter().find(|may| **may == used) {
                Some(used) => _ = unused.remove(&(*wing, *used)),
                None if used == *wing => {}
                None => wrong.push(format!("{file}: {wing} may not use {used}")),
            }
        }
    });
    wrong.extend(unused.iter().map(|(wing, used)| format!("{wing} does not use {used}")));
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Words that say little by themselves: each names one type, or a reader must ask which is meant.
const NAMED_ONCE: &[&str] = &["Place", "Arrived", "Opened", "Ended", "Report", "Seen", "Running"];

#[test]
fn general_names_name_one_type() {
    let mut found = Vec::new();
    let mut folders = vec![Path::new("src").to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension() == Some("rs".as_ref()) {
                found.extend(types_of(&fs::read_to_string(&path).unwrap()));
            }
        }
    }
    for name in NAMED_ONCE {
        let count = found.iter().filter(|found| found == name).count();
        assert!(count <= 1, "{count} types are called {name}");
    }
    assert!(found.len() > 500, "{} types", found.len());
}

/// Names of the structs and enums that a file defines.
fn types_of(text: &str) -> Vec<String> {
    let words: Vec<_> = text.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let pairs = words.iter().zip(words.iter().skip(1));
    let defined = pairs.filter(|(keyword, _)| matches!(**keyword, "struct" | "enum"));
    defined.map(|(_, name)| (*name).to_owned()).collect()
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

/// Its hidden interface is used, and so by one file only; what a camera sends takes no way over a socket of ours.
#[test]
fn one_file_imports_retina_and_no_camera_code_listens() {
    let (mut importers, mut listeners) = (Vec::new(), Vec::new());
    each_file(Path::new("src"), &mut |file, paths| {
        if paths.iter().any(|path| path.starts_with("retina::")) {
            importers.push(file.to_owned());
        }
        let listens = paths.iter().any(|path| path.contains("TcpListener"));
        if file.starts_with("ingest/camera/") && listens {
            listeners.push(file.to_owned());
        }
    });
    assert_eq!(importers, ["ingest/camera/depacketise/mod.rs"]);
    assert!(listeners.is_empty(), "{listeners:?}");
}

/// A reader takes in one folder at a time.
#[test]
fn folders_are_small_and_listed_paths_exist() {
    let mut wrong = Vec::new();
    small(Path::new("src"), 9 + 2, &mut wrong);
    wrong
        .extend(SANS_IO.iter().filter(|s| !Path::new("src").join(s).exists()).map(|s| (*s).into()));
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn small(dir: &Path, most: usize, wrong: &mut Vec<String>) {
    let entries: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    if entries.len() > most {
        wrong.push(format!("{}: {} entries, at most {most}", dir.display(), entries.len()));
    }
    for entry in entries.iter().filter(|e| e.is_dir()) {
        small(entry, 14, wrong);
    }
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
