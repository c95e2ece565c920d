//! What the ledger wrote about the canary.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::ops::limits;
use crate::segment::{MacAddr, Row};

/// The ledger's files as they were when the run began.
#[derive(Debug)]
pub(super) struct Before {
    directory: PathBuf,
    lengths: BTreeMap<PathBuf, u64>,
}

/// What we need of a line of the ledger.
#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    body: Option<serde_json::Value>,
}

impl Before {
    /// Looks how long they are.
    pub(super) fn new(directory: &Path) -> Result<Self, String> {
        let directory = directory.to_owned();
        Ok(Self { lengths: files(&directory)?.into_iter().collect(), directory })
    }

    /// The rows about these devices that came since.
    pub(super) fn rows(&self, devices: &[MacAddr]) -> Result<Vec<Row>, String> {
        let mut left = limits::CANARY_LEDGER_BYTES;
        let mut rows = Vec::new();
        for (path, length) in files(&self.directory)? {
            let from = self.lengths.get(&path).copied().unwrap_or(0);
            let bytes = length.saturating_sub(from).min(left);
            left -= bytes;
            let name = path.display();
            read(&path, from, bytes, devices, &mut rows).map_err(|why| format!("{name}: {why}"))?;
        }
        Ok(rows)
    }
}

fn files(directory: &Path) -> Result<Vec<(PathBuf, u64)>, String> {
    let list = || -> std::io::Result<Vec<_>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            if entry.path().extension().is_some_and(|extension| extension == "jsonl") {
                files.push((entry.path(), entry.metadata()?.len()));
            }
        }
        Ok(files)
    };
    list().map_err(|error| format!("no ledger in {}: {error}", directory.display()))
}

fn read(
    path: &Path,
    from: u64,
    bytes: u64,
    devices: &[MacAddr],
    rows: &mut Vec<Row>,
) -> std::io::Result<()> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    for line in BufReader::new(file.take(bytes)).split(b'\n') {
        // The last one may not be whole yet.
        let row = serde_json::from_slice(&line?).ok().and_then(|Line { body }| body).and_then(row);
        rows.extend(row.filter(|row| devices.contains(&row.device)));
    }
    Ok(())
}

fn row(mut body: serde_json::Value) -> Option<Row> {
    let object = body.as_object_mut()?;
    let kind = object.remove("kind")?;
    (kind == "row").then(|| serde_json::from_value(body).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(device: &str) -> String {
        format!(
            r#"{{"seq":1,"time_ms":1,"prev":"00","body":{{"kind":"row","day":"2026-11-29","run":"0123456789abcdef",
            "device":"{device}","ip":null,"camera":null,"vendor":null,"attempt":{{"protocol":"gre",
            "destination":{{"ip":"203.0.113.77"}},"port":null,"name":null,"verdict":"dropped"}},"count":1,
            "bytes":60,"first_ms":1,"last_ms":1}}}}"#
        )
        .replace('\n', "")
            + "\n"
    }

    #[test]
    fn rows_that_came_since_are_read_whole_or_not_at_all() {
        let directory = std::env::temp_dir().join(format!("camlock-canary-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let (today, me) = (directory.join("2026-11-29.jsonl"), "02:00:00:00:00:01");
        fs::write(&today, line(me)).unwrap();
        let before = Before::new(&directory).unwrap();
        let mac: MacAddr = me.parse().unwrap();
        assert_eq!(before.rows(&[mac]), Ok(Vec::new()));

        let pulse = r#"{"seq":2,"time_ms":1,"prev":"00","body":{"kind":"pulse"}}"#;
        let checkpoint = r#"{"seq":3,"time_ms":1,"prev":"00","checkpoint":{}}"#;
        let cut = line(me);
        let other = line("02:00:00:00:00:02");
        let text = format!("{cut}{cut}{other}{pulse}\n{checkpoint}\n{}", &cut[..cut.len() - 9]);
        fs::write(&today, text).unwrap();
        fs::write(directory.join("2026-11-30.jsonl"), line(me)).unwrap();
        fs::write(directory.join("2026-11-30.txt"), line(me)).unwrap();
        let rows = before.rows(&[mac]).unwrap();
        assert_eq!(rows.len(), 2, "one after the length of before, one of the new day");
        fs::remove_dir_all(&directory).unwrap();
        assert!(before.rows(&[mac]).is_err());
    }
}
