//! `camlock setup`: asks, and writes a checked configuration with the files that keep the box off the camera
//! interfaces.

mod ask;
mod files;
mod write;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use secrecy::ExposeSecret;

use super::{Exit, check, output};
use crate::app::config;
use crate::segment::InterfaceName;
use crate::trust::auth;

use files::{Access, Answers, Entry};

/// Options of `setup`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Interface that cameras are plugged into; give it several times for more.
    #[arg(long = "interface", value_name = "NAME", value_parser = interface)]
    interfaces: Vec<InterfaceName>,
    /// No camera segment: cameras stay in the box's own network. For development.
    #[arg(long, conflicts_with_all = ["interfaces", "address", "no_dhcp"])]
    without_segment: bool,
    /// The gateway's own address on the camera side, with its prefix.
    #[arg(long, value_name = "ADDRESS/PREFIX")]
    address: Option<String>,
    /// Cameras have addresses set by hand.
    #[arg(long)]
    no_dhcp: bool,
    /// DNS name or IP address that clients use; give it several times for more.
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<String>,
    /// Where clients connect.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = files::LISTEN)]
    listen: SocketAddr,
    /// Account that may view and hear all cameras.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Its password: file:/path, env:NAME or credential:NAME. Without it one is made, and shown once.
    #[arg(long, value_name = "REFERENCE")]
    password_ref: Option<String>,
    /// Write below this directory, for a system that does not run.
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// Replace files that are there; the old ones are kept as FILE.old.
    #[arg(long)]
    force: bool,
}

/// Asks for what is not given, if there is somebody to ask; checks all; writes.
pub(super) fn run(options: Options) -> Exit {
    let mut options = options;
    let mut said = Vec::new();
    let done = ask::complete(&mut options).and_then(|()| set_up(options, &mut said));
    said.iter().for_each(|line| output::line(line));
    match done {
        Ok(()) => Exit::Done,
        Err(why) => {
            output::error(&why);
            Exit::Failed
        }
    }
}

fn set_up(options: Options, said: &mut Vec<String>) -> Result<(), String> {
    if options.root == Path::new("/") && !rustix::process::geteuid().is_root() {
        return Err("run it as root: it writes into /etc".to_owned());
    }
    for interface in &options.interfaces {
        ask::not_the_way_out(&options.root, interface)?;
    }
    let (user, password, shown) = account(&options)?;
    let answers = Answers {
        interfaces: options.interfaces,
        address: options.address.unwrap_or_else(|| files::ADDRESS.to_owned()),
        dhcp: !options.no_dhcp,
        names: options.names,
        listen: options.listen,
        user,
        password,
        token: auth::generate_secret("admin").0,
    };
    let entries = files::all(&answers);
    faults(&entries)?;
    write::all(&options.root, &entries, options.force, said)?;
    if let Some(secret) = shown {
        said.push(format!("\nPassword of {}, shown once: {secret}", answers.user));
    }
    let notes = ask::notes(&options.root, &answers.interfaces);
    said.extend(notes.iter().map(|note| format!("\nNote: {note}")));
    said.push(files::next_steps(!answers.interfaces.is_empty()).to_owned());
    Ok(())
}

/// The account's name, the line that stands for its password in the configuration, and the password if it was made here.
fn account(options: &Options) -> Result<(String, String, Option<String>), String> {
    let user = options.user.clone().ok_or("--user is missing")?;
    match &options.password_ref {
        Some(reference) => {
            let password =
                config::by_reference("--password-ref", reference, check::surroundings())?;
            let hash = auth::hash_password(&password).map_err(|error| error.to_string())?;
            Ok((user, format!("password_hash = \"{hash}\""), None))
        }
        None => {
            let (secret, stored) = auth::generate_secret(&user);
            let line = format!("secret_ha1 = [{:?}, {:?}]", stored.md5_hex(), stored.sha256_hex());
            Ok((user, line, Some(secret.expose_secret().to_owned())))
        }
    }
}

/// What we write is read as it will be: a wrong answer is told before a file is touched.
fn faults(entries: &[Entry]) -> Result<(), String> {
    let text = |path: &str| entries.iter().find(|entry| entry.path == path).map(|e| e.text.clone());
    let read_file = |path: &Path| {
        let pending = path.to_str().and_then(text);
        pending.map(String::into_bytes).ok_or_else(|| std::io::ErrorKind::NotFound.into())
    };
    let surroundings = config::Surroundings { read_file: &read_file, env: &|_| None };
    let mut all = Vec::new();
    if let Some(main) = text(files::MAIN) {
        all.extend(config::load(files::MAIN, &main, surroundings).err().map(|f| f.to_string()));
    }
    if let Some(segment) = text(files::SEGMENT) {
        all.extend(config::segment_file(files::SEGMENT, &segment).err().map(|f| f.to_string()));
    }
    if all.is_empty() { Ok(()) } else { Err(all.join("\n")) }
}

fn interface(text: &str) -> Result<InterfaceName, String> {
    InterfaceName::parse(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
