//! `camlock ledger verify`.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::table::number;
use super::{Exit, Where, output};
use crate::ops::hash_log::{FaultKind, Kept, KeptFound, PublicKey, Verified};
use crate::ops::limits;
use crate::ops::state_dir;
use crate::segment::{Place, ledger, utc_time};

/// Options of `camlock ledger verify`.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    place: Where,
    /// A checkpoint that you kept: a copy of checkpoint.json of an earlier time. May be given several times.
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// The public key that you kept; without it that of your checkpoint, else ledger.pub of the state directory.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

/// What a check found, with what stands around the chain.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) verified: Verified,
    /// The newest checkpoint's copy in the state directory is missing or broken: why.
    pub(super) no_copy: Option<String>,
}

impl Checked {
    /// Whether all is as it should be.
    pub(super) fn whole(&self) -> bool {
        self.verified.fault.is_none() && self.no_copy.is_none() && self.verified.checkpoints > 0
    }
}

pub(super) fn run(options: &Options) -> Result<Exit, String> {
    let mut kept = Vec::new();
    for file in &options.checkpoint {
        kept.push(read_kept(file).map_err(|why| format!("{}: {why}", file.display()))?);
    }
    let key = options.key.as_deref().map(|file| {
        ledger::read_public(file).map_err(|error| format!("{}: {error}", file.display()))
    });
    let place = options.place.place();
    let checked = check(&place, key.transpose()?, &kept)?;
    let whole = checked.whole();
    let name = place.ledger().display().to_string();
    for line in words(&name, &checked, &options.checkpoint) {
        if whole { output::line(&line) } else { output::error(&line) }
    }
    Ok(if whole { Exit::Done } else { Exit::Failed })
}

/// Checks a ledger. While a service writes it, its end may be half a line for a moment: then a second look is taken.
pub(super) fn check(
    place: &Place,
    key: Option<PublicKey>,
    kept: &[Kept],
) -> Result<Checked, String> {
    let once = || check_once(place, key, kept);
    let unsettled = |checked: &Result<Checked, io::Error>| match checked {
        Ok(checked) => {
            matches!(&checked.verified.fault, Some(fault) if fault.kind == FaultKind::Torn)
        }
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    let mut checked = once();
    if unsettled(&checked) {
        std::thread::sleep(Duration::from_millis(300));
        checked = once();
    }
    checked.map_err(|error| format!("{}: {error}", place.ledger().display()))
}

fn check_once(place: &Place, key: Option<PublicKey>, kept: &[Kept]) -> io::Result<Checked> {
    // The copy first: the chain that is read after it has all that it vouches for.
    let copy = read_kept(&place.checkpoint());
    let key = match key.or_else(|| kept.first().map(Kept::key)) {
        Some(key) => Some(key),
        None => match ledger::read_public(&place.ledger_public_key()) {
            Ok(key) => Some(key),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        },
    };
    let mut all = kept.to_vec();
    all.extend(copy.clone().ok());
    let verified = ledger::verify(&place.ledger(), key, all)?;
    let no_copy = copy.err().map(|why| format!("{}: {why}", place.checkpoint().display()));
    Ok(Checked { verified, no_copy })
}

fn read_kept(file: &Path) -> Result<Kept, String> {
    let most = limits::LEDGER_LINE_BYTES as u64 + 1;
    let text = state_dir::read(file, most).map_err(|error| error.to_string())?;
    Kept::parse(text.as_bytes()).map_err(|error| error.to_string())
}

fn words(name: &str, checked: &Checked, kept: &[PathBuf]) -> Vec<String> {
    let verified = &checked.verified;
    let mut lines = Vec::new();
    if let Some(fault) = &verified.fault {
        lines.push(format!("{name}: TOUCHED: {fault}"));
        lines.push("Nothing after this point is proved; earlier lines are proved up to their last checkpoint.".to_owned());
    } else if verified.checkpoints == 0 {
        lines.push(format!(
            "{name}: nothing is proved: no checkpoint covers its {} lines",
            number(verified.lines)
        ));
    } else {
        lines.push(whole(name, verified));
        lines.push("Proved: nobody without the signing key changed, removed, added or moved a line up to this checkpoint.".to_owned());
    }
    if let Some(why) = &checked.no_copy {
        lines.push(format!("The copy of the newest checkpoint is missing or damaged, so lines may be missing at the end: {why}"));
    }
    if let Some(at) = &verified.first_backward {
        lines.push(format!(
            "The clock went back {} times, first at {at}; this can happen when a clock is set and is not an error.",
            verified.backward
        ));
    }
    if verified.begins.seq > 0 && verified.fault.is_none() {
        lines.push(format!(
            "The first {} lines were deleted by the ledger's retention limits, and the chain records it.",
            number(verified.begins.seq)
        ));
    }
    for (file, found) in kept.iter().zip(&verified.kept) {
        lines.push(format!("{}: {}", file.display(), match found {
            KeptFound::Here => "your checkpoint is in the chain: nobody, not even root on this machine, rewrote the ledger up to it.",
            KeptFound::Retired => "your checkpoint is older than the oldest day kept, so it proves nothing now. Keep a newer one.",
            KeptFound::No => "your checkpoint was not found in the chain.",
        }));
    }
    if kept.is_empty() {
        lines.push("Not proved: that root on this machine did not rewrite all of it, because root can read the key. A copy of checkpoint.json kept elsewhere proves that: --checkpoint FILE.".to_owned());
    }
    lines.push("A ledger can never prove that its records are true or complete. The daily canary tests that; see docs/evidence.md.".to_owned());
    lines
}

fn whole(name: &str, verified: &Verified) -> String {
    let key = verified.key.map(|key| key.to_string()).unwrap_or_default();
    let when = verified.signed_ms.map(utc_time).unwrap_or_default();
    let unsigned = match verified.unsigned {
        0 => String::new(),
        lines => format!("; the {} lines after it are not signed yet", number(lines)),
    };
    format!(
        "{name}: intact: {} lines, {} checkpoints, the newest of {when} UTC by key {key}{unsigned}",
        number(verified.lines),
        number(verified.checkpoints)
    )
}
