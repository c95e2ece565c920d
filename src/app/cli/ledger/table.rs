//! Aligned columns for a terminal, and how one row's parts are written.

use super::escape;
use crate::segment::{Destination, Row};

/// Columns as wide as their widest cell; numbers, named by their column, to the right.
pub(super) fn table(heads: &[&str], rows: &[Vec<String>], right: &[usize]) -> Vec<String> {
    let cells = |row: &[String]| row.iter().map(|cell| escape::terminal(cell)).collect::<Vec<_>>();
    let heads: Vec<String> = heads.iter().map(|head| (*head).to_owned()).collect();
    let lines: Vec<Vec<String>> =
        std::iter::once(heads).chain(rows.iter().map(|row| cells(row))).collect();
    let width = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(String::len).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..lines.first().map_or(0, Vec::len)).map(width).collect();
    let written = lines.iter().map(|line| {
        let cells = line.iter().zip(&widths).enumerate();
        let cells = cells.map(|(n, (cell, width))| match right.contains(&n) {
            true => format!("{cell:>width$}"),
            false => format!("{cell:<width$}"),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    written.collect()
}

/// Who: the camera's name, or the Ethernet address.
pub(super) fn who(row: &Row) -> String {
    row.camera.clone().unwrap_or_else(|| row.device.to_string())
}

/// Where to, with the port.
pub(super) fn destination(row: &Row) -> String {
    match row.attempt.destination {
        Destination::Ip(ip) => ip.to_string(),
        Destination::Mac(mac) => mac.to_string(),
        Destination::Many => "many".to_owned(),
    }
}

/// The port, or nothing.
pub(super) fn port(row: &Row) -> String {
    row.attempt.port.map(|port| port.to_string()).unwrap_or_default()
}

/// The name in it, or nothing.
pub(super) fn name(row: &Row) -> String {
    row.attempt.name.as_ref().map(ToString::to_string).unwrap_or_default()
}

/// Thousands in groups of three.
pub(super) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_harmless() {
        let rows = [
            vec!["a".to_owned(), "1".to_owned()],
            vec!["b\u{1b}[2J".to_owned(), "1,000".to_owned()],
        ];
        assert_eq!(
            table(&["WHO", "COUNT"], &rows, &[1]),
            ["WHO       COUNT", "a             1", "b\\x1b[2J  1,000"]
        );
        assert_eq!([0, 999, 1_000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
    }
}
