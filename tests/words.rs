//! Words that nobody in the field uses, and nobody greps for, stand in no string and on no page.
//! CONTRIBUTING.md has the glossary.
#![allow(clippy::unwrap_used, reason = "a test helper")]

use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const AVOIDED: &[&str] = &["lawful", "unlawful", "anew", "goodbye", "goodbyes", "told"];

#[test]
fn no_string_has_an_avoided_word() {
    let mut found = Vec::new();
    for path in files(&Path::new(ROOT).join("src"), "rs") {
        let source = fs::read_to_string(&path).unwrap();
        let mut strings = Strings::default();
        strings.visit_file(&syn::parse_file(&source).unwrap());
        for text in strings.0.iter().filter(|text| has_avoided(text)) {
            found.push(format!("{}: {text:?}", path.display()));
        }
    }
    assert!(found.is_empty(), "use a word of CONTRIBUTING.md's glossary: {found:#?}");
}

#[test]
fn no_page_has_an_avoided_word() {
    let root = Path::new(ROOT);
    let mut pages = files(&root.join("docs"), "md");
    pages.extend(
        ["README.md", "CHANGELOG.md", "SECURITY.md", "certs/README.md"].map(|name| root.join(name)),
    );
    let mut found = Vec::new();
    for path in pages {
        let text = fs::read_to_string(&path).unwrap();
        let lines = text.lines().enumerate().filter(|(_, line)| has_avoided(line));
        found.extend(lines.map(|(at, line)| format!("{}:{}: {line}", path.display(), at + 1)));
    }
    assert!(found.is_empty(), "use a word of CONTRIBUTING.md's glossary: {found:#?}");
}

#[test]
fn the_search_finds_words_in_macros_and_help() {
    let code = r#"
        /// Told to a reader.
        struct Help;
        fn f() { #[cfg(test)] { assert!(x, "told once"); } log!("{told}", told = "a b"); }
    "#;
    let mut strings = Strings::default();
    strings.visit_file(&syn::parse_str(code).unwrap());
    let found: Vec<_> = strings.0.iter().filter(|text| has_avoided(text)).collect();
    assert_eq!(found, ["told once"], "docs are comments, and a name in braces is no word");
}

/// All string literals of a file, those in macros too. Doc comments are not strings here.
#[derive(Default)]
struct Strings(Vec<String>);

impl Visit<'_> for Strings {
    fn visit_attribute(&mut self, attribute: &syn::Attribute) {
        if !attribute.path().is_ident("doc") {
            visit::visit_attribute(self, attribute);
        }
    }

    fn visit_lit_str(&mut self, literal: &syn::LitStr) {
        self.0.push(literal.value());
    }

    fn visit_macro(&mut self, found: &syn::Macro) {
        self.tokens(found.tokens.clone());
    }

    fn visit_meta_list(&mut self, list: &syn::MetaList) {
        self.tokens(list.tokens.clone());
    }
}

impl Strings {
    fn tokens(&mut self, tokens: proc_macro2::TokenStream) {
        for token in tokens {
            match token {
                proc_macro2::TokenTree::Group(group) => self.tokens(group.stream()),
                proc_macro2::TokenTree::Literal(literal) => {
                    if let Ok(syn::Lit::Str(text)) = syn::parse_str(&literal.to_string()) {
                        self.0.push(text.value());
                    }
                }
                proc_macro2::TokenTree::Ident(_) | proc_macro2::TokenTree::Punct(_) => {}
            }
        }
    }
}

fn has_avoided(text: &str) -> bool {
    let outside = text.split('{').map(|part| part.split_once('}').map_or(part, |(_, rest)| rest));
    outside
        .flat_map(|part| part.split(|c: char| !c.is_alphanumeric() && c != '_'))
        .any(|word| AVOIDED.contains(&word.to_lowercase().as_str()))
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path, ending));
        } else if path.extension().is_some_and(|found| found == ending) {
            all.push(path);
        }
    }
    all
}
