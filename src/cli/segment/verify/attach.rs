//! The canary's own network and its cable to the bridge.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tokio::time::Instant;

use super::namespace::within;
use crate::limits;
use crate::segment::canary::Scene;
use crate::segment::{BRIDGE, CANARY_PORT, Place};

/// The canary's end of the cable.
pub(super) const CANARY: &str = "canary0";
/// Where the system's tools are; no other place is looked at.
const DIRECTORIES: [&str; 4] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// The canary on the bridge, until this is dropped.
#[derive(Debug)]
pub(super) struct Attached {
    segment: String,
    own: String,
}

impl Attached {
    /// Takes away what an earlier run left, and attaches the canary.
    pub(super) fn new(place: &Place, scene: &Scene) -> Result<Self, String> {
        let segment = place.namespace.clone();
        let own = format!("{segment}-canary");
        let attached = Self { segment, own };
        attached.remove();
        if attached.pin().exists() {
            return Err(format!("{} is in the way: remove it", attached.pin().display()));
        }
        attached.plug_in(scene)?;
        Ok(attached)
    }

    /// The file that pins the canary's network.
    pub(super) fn pin(&self) -> PathBuf {
        Path::new("/run/netns").join(&self.own)
    }

    fn plug_in(&self, scene: &Scene) -> Result<(), String> {
        let (segment, own) = (self.segment.as_str(), self.own.as_str());
        let mac = scene.mac.to_string();
        let address = format!("{}/{}", scene.address, scene.prefix);
        let gateway = scene.gateway.to_string();
        let ip = |arguments: &[&str]| tool("ip", arguments);
        ip(&["netns", "add", own])?;
        within(&self.pin(), silence)?;
        let cable = ["link", "add", CANARY_PORT, "netns", segment];
        let end = ["type", "veth", "peer", "name", CANARY, "netns", own];
        ip(&[&cable[..], &end].concat())?;
        ip(&["-n", own, "link", "set", "dev", CANARY, "address", &mac])?;
        ip(&["-n", own, "address", "add", &address, "dev", CANARY])?;
        ip(&["-n", segment, "link", "set", "dev", CANARY_PORT, "master", BRIDGE])?;
        let port = ["-n", segment, "link", "set", "dev", CANARY_PORT];
        // As the ports of cameras are.
        let manners = ["isolated", "on", "hairpin", "off", "guard", "on"];
        tool("bridge", &[&port[..], &manners].concat())?;
        ip(&["-n", own, "link", "set", "dev", CANARY, "up"])?;
        ip(&["-n", segment, "link", "set", "dev", CANARY_PORT, "up"])?;
        ip(&["-n", own, "route", "add", "default", "via", &gateway])
    }

    fn remove(&self) {
        // Either may not be there.
        drop(tool("ip", &["-n", &self.segment, "link", "delete", "dev", CANARY_PORT]));
        drop(tool("ip", &["netns", "delete", &self.own]));
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Lets the canary's own kernel say nothing by IPv6: only the tries do. Without IPv6 there is nothing to silence.
fn silence() {
    for interfaces in ["all", "default"] {
        let path = format!("/proc/sys/net/ipv6/conf/{interfaces}/disable_ipv6");
        drop(std::fs::write(path, "1"));
    }
}

/// Runs a tool of the system with nothing of our surroundings, for at most [`limits::CANARY_TOOL`].
fn tool(name: &str, arguments: &[&str]) -> Result<(), String> {
    let said = || format!("{name} {}", arguments.join(" "));
    let paths = DIRECTORIES.map(|directory| Path::new(directory).join(name));
    let path = paths.iter().find(|path| path.is_file());
    let path = path.ok_or_else(|| format!("no {name} on this machine: install iproute2"))?;
    let child = Command::new(path)
        .args(arguments)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{}: {error}", said()))?;
    finish(child).map_err(|why| format!("{}: {why}", said()))
}

fn finish(mut child: Child) -> Result<(), String> {
    let until = Instant::now() + limits::CANARY_TOOL;
    loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(_) => break,
            None if Instant::now() < until => {
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
            None => {
                drop(child.kill());
                drop(child.wait());
                return Err("does not end".to_owned());
            }
        }
    }
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).trim().chars().take(200).collect())
}
