//! Typed access to TOML with spans: each accessor takes a key, notes a fault if its value is wrong, and
//! goes on, so that one run finds all faults. What was never asked for is unknown.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::Collector;

/// A value and its place.
#[derive(Debug, Clone)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
}

/// One table being read.
#[derive(Debug)]
pub(super) struct Table<'a, 'i> {
    table: Option<&'a DeTable<'i>>,
    path: String,
    span: Range<usize>,
    asked: BTreeSet<&'static str>,
}

impl<'a, 'i> Table<'a, 'i> {
    pub(super) fn root(table: &'a DeTable<'i>) -> Self {
        Self { table: Some(table), path: String::new(), span: 0..0, asked: BTreeSet::new() }
    }

    /// Where the table stands, for faults about what it lacks.
    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// The dotted name of `key` here.
    pub(super) fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Whether `key` is written.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.get(key).is_some())
    }

    /// A sub-table; absent reads as empty, so that defaults apply.
    pub(super) fn table(&mut self, key: &'static str, faults: &mut Collector<'_>) -> Self {
        let (table, span) = match self.get(key) {
            None => (None, self.span()),
            Some(value) => {
                let table = value.get_ref().as_table();
                if table.is_none() {
                    faults.add(
                        value.span(),
                        format!("{}: must be a table, `[{}]`", self.name(key), self.name(key)),
                    );
                }
                (table, value.span())
            }
        };
        Table { table, path: self.name(key), span, asked: BTreeSet::new() }
    }

    /// An array of tables, `[[key]]`.
    pub(super) fn tables(&mut self, key: &'static str, faults: &mut Collector<'_>) -> Vec<Self> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let name = self.name(key);
        let Some(array) = value.get_ref().as_array() else {
            faults.add(value.span(), format!("{name}: must be a list of tables, `[[{name}]]`"));
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in array.iter() {
            match item.get_ref().as_table() {
                Some(table) => tables.push(Self {
                    table: Some(table),
                    path: name.clone(),
                    span: item.span(),
                    asked: BTreeSet::new(),
                }),
                None => faults
                    .add(item.span(), format!("{name}: each entry must be a table, `[[{name}]]`")),
            }
        }
        tables
    }

    pub(super) fn string(
        &mut self,
        key: &'static str,
        faults: &mut Collector<'_>,
    ) -> Option<At<String>> {
        let value = self.get(key)?;
        let text = value.get_ref().as_str();
        if text.is_none() {
            faults.add(value.span(), format!("{}: must be a string in quotes", self.name(key)));
        }
        Some(At { value: text?.to_owned(), span: value.span() })
    }

    /// A string that must be there.
    pub(super) fn required(
        &mut self,
        key: &'static str,
        hint: &str,
        faults: &mut Collector<'_>,
    ) -> Option<At<String>> {
        if !self.has(key) {
            self.asked.insert(key);
            faults.add(self.span(), format!("{} is missing; {hint}", self.name(key)));
        }
        self.string(key, faults)
    }

    pub(super) fn strings(
        &mut self,
        key: &'static str,
        faults: &mut Collector<'_>,
    ) -> Option<Vec<At<String>>> {
        let value = self.get(key)?;
        let Some(array) = value.get_ref().as_array() else {
            faults.add(
                value.span(),
                format!("{}: must be a list of strings, `[\"…\", \"…\"]`", self.name(key)),
            );
            return None;
        };
        let mut strings = Vec::new();
        for item in array.iter() {
            match item.get_ref().as_str() {
                Some(text) => strings.push(At { value: text.to_owned(), span: item.span() }),
                None => faults.add(
                    item.span(),
                    format!("{}: each entry must be a string in quotes", self.name(key)),
                ),
            }
        }
        Some(strings)
    }

    /// One of a closed list of words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        choices: &[(&str, T)],
        default: T,
        faults: &mut Collector<'_>,
    ) -> T {
        let name = self.name(key);
        self.string(key, faults).and_then(|at| pick(&name, &at, choices, faults)).unwrap_or(default)
    }

    /// A list of words of a closed list, each at most once.
    pub(super) fn choices<T: Copy + PartialEq>(
        &mut self,
        key: &'static str,
        choices: &[(&str, T)],
        faults: &mut Collector<'_>,
    ) -> Option<Vec<T>> {
        let name = self.name(key);
        let mut picked = Vec::new();
        for at in self.strings(key, faults)? {
            match pick(&name, &at, choices, faults) {
                Some(choice) if picked.contains(&choice) => {
                    faults.add(at.span, format!("{name}: {:?} is given twice", at.value));
                }
                Some(choice) => picked.push(choice),
                None => {}
            }
        }
        Some(picked)
    }

    /// A duration such as `"500ms"`, `"10s"` or `"5min"`, within `range`.
    pub(super) fn duration(
        &mut self,
        key: &'static str,
        range: Range<Duration>,
        default: Duration,
        faults: &mut Collector<'_>,
    ) -> Duration {
        let Some(at) = self.string(key, faults) else { return default };
        match parse_duration(&at.value) {
            Some(duration) if range.start <= duration && duration <= range.end => duration,
            Some(_) | None => {
                let (from, to) = (show_duration(range.start), show_duration(range.end));
                faults.add(
                    at.span,
                    format!("{}: {:?} must be a time from {from} to {to}, such as \"10s\" (units ms, s, min)", self.name(key), at.value),
                );
                default
            }
        }
    }

    /// A number of MiB within `range`.
    pub(super) fn mebibytes(
        &mut self,
        key: &'static str,
        range: Range<u64>,
        default: u64,
        faults: &mut Collector<'_>,
    ) -> u64 {
        self.number(key, range, default, "MiB", faults)
    }

    /// A whole number within `range`; `unit` says of what.
    pub(super) fn number(
        &mut self,
        key: &'static str,
        range: Range<u64>,
        default: u64,
        unit: &str,
        faults: &mut Collector<'_>,
    ) -> u64 {
        let Some(value) = self.get(key) else { return default };
        match whole(value).filter(|number| range.contains(number)) {
            Some(number) => number,
            None => {
                faults.add(
                    value.span(),
                    format!(
                        "{}: must be a whole number of {unit} from {} to {}",
                        self.name(key),
                        range.start,
                        range.end - 1
                    ),
                );
                default
            }
        }
    }

    /// A list of whole numbers within `range`.
    pub(super) fn numbers(
        &mut self,
        key: &'static str,
        range: Range<u64>,
        faults: &mut Collector<'_>,
    ) -> Option<Vec<At<u64>>> {
        let value = self.get(key)?;
        let name = self.name(key);
        let Some(array) = value.get_ref().as_array() else {
            faults.add(value.span(), format!("{name}: must be a list of numbers, `[1, 2]`"));
            return None;
        };
        let mut numbers = Vec::new();
        for item in array.iter() {
            match whole(item).filter(|number| range.contains(number)) {
                Some(value) => numbers.push(At { value, span: item.span() }),
                None => faults.add(
                    item.span(),
                    format!(
                        "{name}: each entry must be a whole number from {} to {}",
                        range.start,
                        range.end - 1
                    ),
                ),
            }
        }
        Some(numbers)
    }

    pub(super) fn boolean(
        &mut self,
        key: &'static str,
        default: bool,
        faults: &mut Collector<'_>,
    ) -> bool {
        let Some(value) = self.get(key) else { return default };
        let truth = value.get_ref().as_bool();
        if truth.is_none() {
            faults.add(value.span(), format!("{}: must be true or false", self.name(key)));
        }
        truth.unwrap_or(default)
    }

    /// Notes every key that nobody asked for, with the keys that exist.
    pub(super) fn finish(self, faults: &mut Collector<'_>) {
        let Some(table) = self.table else { return };
        let known: Vec<_> = self.asked.iter().copied().collect();
        for (key, _) in table.iter() {
            if !self.asked.contains(key.get_ref().as_ref()) {
                let name = self.name(key.get_ref());
                faults.add(
                    key.span(),
                    format!("{name} is not an option; expected one of: {}", known.join(", ")),
                );
            }
        }
    }

    fn get(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'i>>> {
        self.asked.insert(key);
        self.table?.get(key)
    }
}

/// An IP address and port; names are refused, since what a name means can change.
pub(super) fn socket_addr(
    name: &str,
    at: &At<String>,
    example: &str,
    faults: &mut Collector<'_>,
) -> Option<SocketAddr> {
    let addr = at.value.parse().ok();
    if addr.is_none() {
        faults.add(
            at.span.clone(),
            format!("{name}: {:?} is not an IP address with a port; write it as {example:?} (host names are not accepted)", at.value),
        );
    }
    addr
}

fn whole(value: &Spanned<DeValue<'_>>) -> Option<u64> {
    let number = value.get_ref().as_integer()?;
    u64::from_str_radix(number.as_str(), number.radix()).ok()
}

fn pick<T: Copy>(
    name: &str,
    at: &At<String>,
    choices: &[(&str, T)],
    faults: &mut Collector<'_>,
) -> Option<T> {
    let found = choices.iter().find(|(word, _)| *word == at.value).map(|(_, choice)| *choice);
    if found.is_none() {
        let words: Vec<_> = choices.iter().map(|(word, _)| format!("{word:?}")).collect();
        faults.add(
            at.span.clone(),
            format!("{name}: {:?} is not allowed; use {}", at.value, words.join(" or ")),
        );
    }
    found
}

fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    match unit.trim_start() {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "min" => Some(Duration::from_secs(number.checked_mul(60)?)),
        _ => None,
    }
}

fn show_duration(duration: Duration) -> String {
    let ms = duration.as_millis();
    if ms.is_multiple_of(60_000) && ms > 0 {
        format!("{}min", ms / 60_000)
    } else if ms.is_multiple_of(1000) {
        format!("{}s", ms / 1000)
    } else {
        format!("{ms}ms")
    }
}
