//! What the person at the terminal is asked, and what the box says about its interfaces.

use std::fs;
use std::io::{BufRead as _, IsTerminal as _, Read as _};
use std::path::Path;

use super::{Options, files, interface, output};
use crate::segment::InterfaceName;

/// Most bytes of an answer.
const ANSWER_BYTES: u64 = 4096;
/// Most bytes of what is read of the box.
const BOX_BYTES: u64 = 1024 * 1024;

/// Fills in what is missing: by asking, or with a fault if nobody can be asked.
pub(super) fn complete(options: &mut Options) -> Result<(), String> {
    let segment = !options.without_segment;
    let wants = [
        ("--interface NAME (or --without-segment)", segment && options.interfaces.is_empty()),
        ("--name NAME", options.names.is_empty()),
        ("--user NAME", options.user.is_none()),
    ];
    let missing: Vec<_> = wants.iter().filter(|(_, missing)| *missing).map(|(o, _)| *o).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(format!("no terminal to ask on: give {}", missing.join(", ")));
    }
    if segment && options.interfaces.is_empty() {
        output::line(&format!("Interfaces of this box: {}", present(&options.root).join(" ")));
        let names = words("Which interfaces are connected to cameras only?", "")?;
        options.interfaces = names.iter().map(|n| interface(n)).collect::<Result<_, _>>()?;
        if options.address.is_none() {
            let question = "The gateway's own address on that side, with its prefix";
            options.address = words(question, files::ADDRESS)?.into_iter().next();
        }
    }
    if options.names.is_empty() {
        options.names = words("DNS names and IP addresses that clients use for the gateway", "")?;
    }
    if options.user.is_none() {
        let question = "Name of the account that may view and hear all cameras";
        options.user = words(question, "viewer")?.into_iter().next();
    }
    Ok(())
}

/// An interface that the box reaches the rest of the world by is none for cameras.
pub(super) fn not_the_way_out(root: &Path, interface: &InterfaceName) -> Result<(), String> {
    let routes = read(&root.join("proc/net/route"));
    let default = |line: &str| {
        let mut fields = line.split_whitespace();
        fields.next() == Some(interface.as_str()) && fields.next() == Some("00000000")
    };
    if routes.lines().any(default) {
        return Err(format!(
            "{interface} has the box's default route: the box would cut itself off; name the interface that cameras are plugged into"
        ));
    }
    Ok(())
}

/// What the person should know.
pub(super) fn notes(root: &Path, interfaces: &[InterfaceName]) -> Vec<String> {
    let ifupdown = read(&root.join("etc/network/interfaces"));
    let there = present(root);
    let mut notes = Vec::new();
    for interface in interfaces {
        let name = interface.as_str();
        if ifupdown.lines().any(|line| line.split_whitespace().any(|word| word == name)) {
            notes.push(format!(
                "/etc/network/interfaces names {name}: remove it there, or ifupdown will give it an address"
            ));
        }
        if !there.iter().any(|one| one == name) {
            notes.push(format!("{name} does not exist now; the segment waits for it"));
        }
    }
    notes
}

fn present(root: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(root.join("sys/class/net")) else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<_> = names.filter(|name| name != "lo").collect();
    names.sort();
    names
}

/// Empty if it cannot be read: then it says nothing.
fn read(path: &Path) -> String {
    let mut text = String::new();
    let file = fs::File::open(path);
    drop(file.and_then(|file| file.take(BOX_BYTES).read_to_string(&mut text)));
    text
}

fn words(question: &str, default: &str) -> Result<Vec<String>, String> {
    let hint = if default.is_empty() { String::new() } else { format!(" [{default}]") };
    output::line(&format!("{question}{hint}:"));
    let mut line = String::new();
    let stdin = std::io::stdin();
    stdin.lock().take(ANSWER_BYTES).read_line(&mut line).map_err(|error| error.to_string())?;
    let given: Vec<_> = line
        .split([' ', ',', '\t', '\n', '\r'])
        .filter(|w| !w.is_empty())
        .map(str::to_owned)
        .collect();
    match (given.is_empty(), default) {
        (false, _) => Ok(given),
        (true, "") => Err("no answer; nothing was written".to_owned()),
        (true, default) => Ok(vec![default.to_owned()]),
    }
}
