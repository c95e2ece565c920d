//! The canary's own network and its cable to the bridge.

use std::path::{Path, PathBuf};

use super::namespace::within;
use crate::app::cli::segment::runner::spawn;
use crate::segment::canary::Scene;
use crate::segment::network::Tool;
use crate::segment::{BRIDGE, CANARY_PORT, Place};

/// The canary's end of the cable.
pub(super) const CANARY: &str = "canary0";

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
            return Err(format!("{} already exists: remove it", attached.pin().display()));
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
        let ip = |arguments: &[&str]| run(Tool::Ip, arguments);
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
        run(Tool::Bridge, &[&port[..], &manners].concat())?;
        ip(&["-n", own, "link", "set", "dev", CANARY, "up"])?;
        ip(&["-n", segment, "link", "set", "dev", CANARY_PORT, "up"])?;
        ip(&["-n", own, "route", "add", "default", "via", &gateway])
    }

    fn remove(&self) {
        // Either may not be there.
        drop(run(Tool::Ip, &["-n", &self.segment, "link", "delete", "dev", CANARY_PORT]));
        drop(run(Tool::Ip, &["netns", "delete", &self.own]));
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

fn run(tool: Tool, arguments: &[&str]) -> Result<(), String> {
    let words: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
    let said = || format!("{} {}", tool.name(), words.join(" "));
    spawn(tool, &words, None).map(|_| ()).map_err(|why| format!("{}: {why}", said()))
}
