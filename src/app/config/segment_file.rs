//! The segment file: TOML text → checked [`Plan`], or all its faults at once. It holds no secret.

use std::collections::BTreeSet;
use std::fmt::Display;

use std::net::Ipv4Addr;

use toml::de::DeTable;

use super::fault::Collector;
use super::reader::{At, Table};
use super::{Faults, tables};
use crate::ops::limits;
use crate::segment::{BRIDGE, CANARY_PORT, Camera, DnsPolicy, InterfaceName, MacAddr, Plan};

/// Interfaces that no cable goes into.
const NO_PLUG: [&str; 3] = ["lo", BRIDGE, CANARY_PORT];
const MIB: u64 = 1024 * 1024;

/// Reads and checks `text`; `file` names it in messages.
pub fn segment_file(file: &str, text: &str) -> Result<Plan, Faults> {
    let mut faults = Collector::new(text);
    let plan = match tables(text, &mut faults) {
        Some(root) => read(Table::root(root.get_ref()), &mut faults),
        None => None,
    };
    let faults = faults.finish();
    match plan {
        Some(plan) if faults.is_empty() => Ok(plan),
        Some(_) | None => Err(Faults { file: file.to_owned(), faults }),
    }
}

/// The lawful names in `segment.interfaces`, whatever faults the rest of the text has: an interface that cameras are
/// plugged into stays closed even if the file is broken. None if it is no TOML at all.
pub fn segment_interfaces(text: &str) -> Vec<InterfaceName> {
    let (root, _) = DeTable::parse_recoverable(text);
    let list =
        root.get_ref().get("segment").and_then(|segment| segment.get_ref().get("interfaces"));
    let Some(list) = list.and_then(|list| list.get_ref().as_array()) else { return Vec::new() };
    list.iter()
        .filter_map(|name| InterfaceName::parse(name.get_ref().as_str()?).ok())
        .filter(|name| !NO_PLUG.contains(&name.as_str()))
        .take(limits::SEGMENT_INTERFACES)
        .collect()
}

/// What `[segment]` says.
struct Network {
    interfaces: Vec<InterfaceName>,
    uplinks: Vec<InterfaceName>,
    subnet: Option<Subnet>,
    dns: DnsPolicy,
    dhcp: bool,
}

/// The gateway's own address, and how many bits of it are the network's.
#[derive(Clone, Copy)]
struct Subnet {
    address: Ipv4Addr,
    prefix: u8,
}

fn read(mut root: Table<'_, '_>, faults: &mut Collector<'_>) -> Option<Plan> {
    let network = network(&mut root, faults);
    let mut ledger = root.table("ledger", faults);
    let days = ledger.number("days", 1..3_651, 365, "days", faults);
    let mib = ledger.mebibytes("mib", 16..1024 * 1024 + 1, 512, faults);
    ledger.finish(faults);
    let cameras = cameras(&mut root, network.subnet, faults);
    root.finish(faults);
    let Subnet { address, prefix } = network.subnet?;
    Some(Plan {
        interfaces: network.interfaces,
        address,
        prefix,
        cameras,
        dns: network.dns,
        dhcp: network.dhcp,
        uplinks: network.uplinks,
        ledger_days: u16::try_from(days).ok()?,
        ledger_bytes: mib.saturating_mul(MIB),
    })
}

fn network(root: &mut Table<'_, '_>, faults: &mut Collector<'_>) -> Network {
    let mut table = root.table("segment", faults);
    let interfaces = interfaces(&mut table, "interfaces", faults);
    if interfaces.is_empty() && !table.has("interfaces") {
        faults.add(
            table.span(),
            "segment.interfaces is missing; list the interfaces that cameras are plugged into, such as [\"eth1\"]",
        );
    }
    let uplinks = interfaces_beside(&mut table, &interfaces, faults);
    let address = table.required(
        "address",
        "write the gateway's address in the segment with its prefix, such as \"10.77.0.1/24\"",
        faults,
    );
    let subnet = address.and_then(|at| subnet(&at, faults));
    let policies = [DnsPolicy::NxDomain, DnsPolicy::Sink].map(|policy| (policy.name(), policy));
    let dns = table.choice("dns", &policies, DnsPolicy::NxDomain, faults);
    let dhcp = table.boolean("dhcp", true, faults);
    table.finish(faults);
    Network { interfaces, uplinks, subnet, dns, dhcp }
}

/// A list of interfaces; a list that is written has at least one, unless it is the uplinks'.
fn interfaces(
    table: &mut Table<'_, '_>,
    key: &'static str,
    faults: &mut Collector<'_>,
) -> Vec<InterfaceName> {
    let name = table.name(key);
    let Some(list) = table.strings(key, faults) else { return Vec::new() };
    if list.is_empty() && key == "interfaces" {
        faults.add(table.span(), format!("{name}: list at least one interface"));
    }
    if list.len() > limits::SEGMENT_INTERFACES {
        let (many, most) = (list.len(), limits::SEGMENT_INTERFACES);
        faults.add(table.span(), format!("{name}: {many} interfaces; at most {most} are allowed"));
    }
    let mut known = BTreeSet::new();
    for at in list {
        match InterfaceName::parse(&at.value) {
            Err(error) => faults.add(at.span, format!("{name}: {:?}: {error}", at.value)),
            Ok(_) if NO_PLUG.contains(&at.value.as_str()) => {
                let message = format!("{name}: {:?} is not a physical interface", at.value);
                faults.add(at.span, message);
            }
            Ok(interface) => {
                twice(&name, interface, at.span, &mut known, faults);
            }
        }
    }
    known.into_iter().collect()
}

fn interfaces_beside(
    table: &mut Table<'_, '_>,
    cameras: &[InterfaceName],
    faults: &mut Collector<'_>,
) -> Vec<InterfaceName> {
    let uplinks = interfaces(table, "uplinks", faults);
    for both in uplinks.iter().filter(|uplink| cameras.contains(uplink)) {
        let message = format!(
            "segment.uplinks: {both} is in segment.interfaces; cameras and clients never share an interface"
        );
        faults.add(table.span(), message);
    }
    uplinks
}

/// An address of a host with its prefix.
fn subnet(at: &At<String>, faults: &mut Collector<'_>) -> Option<Subnet> {
    let parts = at.value.split_once('/').and_then(|(address, prefix)| {
        Some(Subnet { address: address.parse().ok()?, prefix: prefix.parse().ok()? })
    });
    let Some(subnet) = parts.filter(|subnet| (8..=30).contains(&subnet.prefix)) else {
        faults.add(
            at.span.clone(),
            format!("segment.address: {:?} must be an IPv4 address with a prefix of 8 to 30, such as \"10.77.0.1/24\"", at.value),
        );
        return None;
    };
    if let Some(why) = no_host(subnet.address) {
        faults.add(at.span.clone(), format!("segment.address: {} {why}", subnet.address));
        return None;
    }
    if let Some(why) = subnet.edge(subnet.address) {
        faults.add(at.span.clone(), format!("segment.address: {} {why}", subnet.address));
        return None;
    }
    Some(subnet)
}

impl Subnet {
    fn mask(self) -> u32 {
        u32::MAX << (32 - u32::from(self.prefix))
    }

    fn contains(self, address: Ipv4Addr) -> bool {
        (u32::from(address) ^ u32::from(self.address)) & self.mask() == 0
    }

    /// Why an address within the subnet is nobody's.
    fn edge(self, address: Ipv4Addr) -> Option<&'static str> {
        let host = u32::from(address) & !self.mask();
        if host == 0 {
            Some("is the subnet's own first address, which no host can have")
        } else if host == !self.mask() {
            Some("is the subnet's broadcast address")
        } else {
            None
        }
    }
}

/// Why an address cannot be a host's on a network of cameras.
fn no_host(address: Ipv4Addr) -> Option<&'static str> {
    if address.is_loopback() {
        Some("is a loopback address")
    } else if address.is_multicast() {
        Some("is a multicast address")
    } else if address.octets().first().is_some_and(|first| *first == 0 || *first >= 240) {
        Some("is not a host address")
    } else {
        None
    }
}

fn cameras(
    root: &mut Table<'_, '_>,
    subnet: Option<Subnet>,
    faults: &mut Collector<'_>,
) -> Vec<Camera> {
    let mut cameras = Vec::new();
    let (mut names, mut macs, mut addresses) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for mut table in root.tables("camera", faults) {
        let name =
            table.required("name", "give the camera the name it has in camlock.toml", faults);
        let name = name.and_then(|at| camera_name(at, &mut names, faults));
        let mac = table.required(
            "mac",
            "write the camera's Ethernet address, such as \"00:00:5e:00:53:10\"",
            faults,
        );
        let mac = mac.and_then(|at| camera_mac(&at, &mut macs, faults));
        let address = table.required(
            "address",
            "write the camera's IPv4 address, such as \"10.77.0.10\"",
            faults,
        );
        let address = address.and_then(|at| camera_address(&at, subnet, &mut addresses, faults));
        let ports = ports(&mut table, faults);
        table.finish(faults);
        if let (Some(name), Some(mac), Some(address)) = (name, mac, address) {
            cameras.push(Camera { name, mac, address, ports });
        }
    }
    if cameras.len() > limits::CAMERAS {
        let many = cameras.len();
        faults.add(root.span(), format!("{many} cameras; at most {} are allowed", limits::CAMERAS));
    }
    cameras
}

fn camera_name(
    at: At<String>,
    known: &mut BTreeSet<String>,
    faults: &mut Collector<'_>,
) -> Option<String> {
    let lawful = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    if !(1..=64).contains(&at.value.len()) || !at.value.bytes().all(lawful) {
        let message =
            format!("camera.name: {:?} must be 1 to 64 characters of a-z 0-9 - _", at.value);
        faults.add(at.span, message);
        return None;
    }
    twice("camera.name", at.value, at.span, known, faults)
}

fn camera_mac(
    at: &At<String>,
    known: &mut BTreeSet<MacAddr>,
    faults: &mut Collector<'_>,
) -> Option<MacAddr> {
    let fault = match at.value.parse::<MacAddr>() {
        Err(error) => format!("camera.mac: {:?}: {error}", at.value),
        Ok(mac) if mac.is_group() => format!("camera.mac: {mac} is a multicast address"),
        Ok(MacAddr([0, 0, 0, 0, 0, 0])) => "camera.mac: no device has this address".to_owned(),
        Ok(mac) => return twice("camera.mac", mac, at.span.clone(), known, faults),
    };
    faults.add(at.span.clone(), fault);
    None
}

fn camera_address(
    at: &At<String>,
    subnet: Option<Subnet>,
    known: &mut BTreeSet<Ipv4Addr>,
    faults: &mut Collector<'_>,
) -> Option<Ipv4Addr> {
    let Ok(address) = at.value.parse::<Ipv4Addr>() else {
        let message = format!(
            "camera.address: {:?} is not an IPv4 address; write it as \"10.77.0.10\", without a port (ports go into camera.ports)",
            at.value
        );
        faults.add(at.span.clone(), message);
        return None;
    };
    // Without a subnet there is one fault already.
    if let Some(subnet) = subnet {
        let why = if !subnet.contains(address) {
            Some("is not in the subnet of segment.address")
        } else if address == subnet.address {
            Some("is the gateway's own address")
        } else {
            subnet.edge(address)
        };
        if let Some(why) = why {
            faults.add(at.span.clone(), format!("camera.address: {address} {why}"));
            return None;
        }
    }
    twice("camera.address", address, at.span.clone(), known, faults)
}

fn ports(table: &mut Table<'_, '_>, faults: &mut Collector<'_>) -> BTreeSet<u16> {
    let Some(list) = table.numbers("ports", 1..65_536, faults) else {
        return [554].into();
    };
    if list.is_empty() {
        faults.add(table.span(), "camera.ports: list at least one port, such as [554]");
    }
    if list.len() > limits::SEGMENT_CAMERA_PORTS {
        let (many, most) = (list.len(), limits::SEGMENT_CAMERA_PORTS);
        faults.add(table.span(), format!("camera.ports: {many} ports; at most {most} are allowed"));
    }
    let mut ports = BTreeSet::new();
    for at in list {
        if let Ok(port) = u16::try_from(at.value) {
            twice("camera.ports", port, at.span, &mut ports, faults);
        }
    }
    ports
}

/// Takes a value that may stand once.
fn twice<T: Ord + Clone + Display>(
    name: &str,
    value: T,
    span: std::ops::Range<usize>,
    known: &mut BTreeSet<T>,
    faults: &mut Collector<'_>,
) -> Option<T> {
    if !known.insert(value.clone()) {
        faults.add(span, format!("{name}: {value} is given twice"));
        return None;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAMERA: &str =
        "[[camera]]\nname = \"door\"\nmac = \"02-00-00-00-00-10\"\naddress = \"10.77.0.10\"\n";
    const SEGMENT: &str = "[segment]\ninterfaces = [\"eth1\"]\naddress = \"10.77.0.1/24\"\n";

    fn messages(text: &str) -> Vec<String> {
        let faults = segment_file("s.toml", text).unwrap_err().faults;
        faults.into_iter().map(|f| format!("{}:{} {}", f.line, f.column, f.message)).collect()
    }

    fn first(text: &str) -> String {
        messages(text).remove(0)
    }

    #[test]
    fn the_smallest_file_has_the_documented_defaults() {
        let plan = segment_file("s.toml", &format!("{SEGMENT}{CAMERA}")).unwrap();
        assert_eq!(plan.interfaces, [InterfaceName::parse("eth1").unwrap()]);
        assert_eq!((plan.address, plan.prefix), (Ipv4Addr::new(10, 77, 0, 1), 24));
        assert_eq!((plan.dns, plan.dhcp), (DnsPolicy::NxDomain, true));
        assert_eq!((plan.ledger_days, plan.ledger_bytes), (365, 512 * MIB));
        assert!(plan.uplinks.is_empty());
        let door = plan.camera("door").unwrap();
        assert_eq!(door.ports, [554].into());
        assert_eq!(door.mac, MacAddr([2, 0, 0, 0, 0, 0x10]));
    }

    #[test]
    fn a_segment_without_cameras_is_lawful() {
        assert!(segment_file("s.toml", SEGMENT).unwrap().cameras.is_empty());
    }

    #[test]
    fn nobody_has_the_edges_of_the_subnet_or_another_s_address() {
        for (address, why) in [
            ("10.77.0.1", "is the gateway's own address"),
            ("10.77.0.0", "first address"),
            ("10.77.0.255", "broadcast"),
            ("10.78.0.10", "not in the subnet"),
            ("10.77.0.10:554", "without a port"),
            ("::1", "not an IPv4 address"),
        ] {
            let text = format!("{SEGMENT}{}", CAMERA.replace("10.77.0.10", address));
            assert!(first(&text).contains(why), "{}", first(&text));
        }
        for address in [
            "127.0.0.1/8",
            "224.0.0.1/24",
            "0.1.2.3/8",
            "255.1.1.1/24",
            "10.77.0.0/24",
            "10.77.0.255/24",
            "10.77.0.1",
            "10.77.0.1/31",
            "10.77.0.1/7",
            "fd00::1/64",
        ] {
            let text = SEGMENT.replace("10.77.0.1/24", address);
            assert!(first(&text).contains("segment.address"), "{address}");
        }
    }

    #[test]
    fn what_must_be_one_device_s_stands_once() {
        let said = messages(&format!("{SEGMENT}{CAMERA}{CAMERA}"));
        assert_eq!(
            said,
            [
                "9:8 camera.name: door is given twice",
                "10:7 camera.mac: 02:00:00:00:00:10 is given twice",
                "11:11 camera.address: 10.77.0.10 is given twice",
            ]
        );
    }

    #[test]
    fn interfaces_are_known_even_if_the_rest_has_faults() {
        let names = |text: &str| {
            segment_interfaces(text).into_iter().map(|n| n.to_string()).collect::<Vec<_>>()
        };
        let text =
            "[segment]\ninterfaces = [\"eth1\", 7, \"a b\", \"lo\", \"eth2\"]\naddress = 5\nbroken";
        assert_eq!(names(text), ["eth1", "eth2"]);
        assert!(names("[segment]").is_empty() && names("segment = 1").is_empty());
    }

    #[test]
    fn lists_have_bounds() {
        let many = |n: usize, one: &dyn Fn(usize) -> String| {
            (0..n).map(one).collect::<Vec<_>>().join(", ")
        };
        let interfaces = |n| many(n, &|i| format!("\"eth{}\"", i + 1));
        let text = |n| SEGMENT.replace("\"eth1\"", &interfaces(n));
        assert!(segment_file("s", &text(limits::SEGMENT_INTERFACES)).is_ok());
        assert!(first(&text(limits::SEGMENT_INTERFACES + 1)).contains("at most"));
        let ports = |n| format!("{SEGMENT}{CAMERA}ports = [{}]", many(n, &|i| (i + 1).to_string()));
        assert!(segment_file("s", &ports(limits::SEGMENT_CAMERA_PORTS)).is_ok());
        assert!(first(&ports(limits::SEGMENT_CAMERA_PORTS + 1)).contains("at most"));
        let camera = |i: usize| {
            let (a, b) = (i / 250, i % 250 + 2);
            format!(
                "[[camera]]\nname = \"c{i}\"\nmac = \"02:00:00:00:{a:02x}:{b:02x}\"\naddress = \"10.77.{a}.{b}\"\n"
            )
        };
        let cameras =
            |n: usize| SEGMENT.replace("/24", "/16") + &(0..n).map(camera).collect::<String>();
        assert!(segment_file("s", &cameras(limits::CAMERAS)).is_ok());
        assert!(first(&cameras(limits::CAMERAS + 1)).contains("at most"));
    }
}
