use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicU32, Ordering};

use clap::Parser as _;

use super::*;
use crate::segment::DnsPolicy;

/// A root directory that goes with the test.
struct Root(PathBuf);

impl Root {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("camlock-setup-{}-{number}", std::process::id());
        let root = Self(std::env::temp_dir().join(name));
        fs::create_dir_all(root.0.join("proc/net")).unwrap();
        root
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.0.join(path.trim_start_matches('/'))).unwrap()
    }

    fn mode(&self, path: &str) -> u32 {
        let metadata = fs::metadata(self.0.join(path.trim_start_matches('/'))).unwrap();
        metadata.permissions().mode() & 0o777
    }

    /// `camlock setup --root THIS` with these words.
    fn set_up(&self, words: &[&str]) -> Result<String, String> {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            options: Options,
        }
        let root = ["setup", "--root", self.0.to_str().unwrap()];
        let line = Line::try_parse_from(root.iter().chain(words)).map_err(|e| e.to_string())?;
        let mut said = Vec::new();
        set_up(line.options, &mut said)
            .map(|()| said.join("\n"))
            .map_err(|why| format!("{why}\n{}", said.join("\n")))
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

const WORDS: [&str; 8] =
    ["--interface", "eth1", "--interface", "eth2.7", "--name", "gateway.lan", "--user", "viewer"];

#[test]
fn what_it_writes_is_a_good_configuration_and_keeps_others_off_the_interfaces() {
    let root = Root::new();
    let said = root.set_up(&WORDS).unwrap();
    assert!(
        said.contains("Password of viewer") && said.contains("eth2.7 does not exist now"),
        "{said}"
    );
    let plan = config::segment_file("segment.toml", &root.read(files::SEGMENT)).unwrap();
    assert_eq!(plan.interfaces.len(), 2);
    assert_eq!(
        (plan.address.to_string().as_str(), plan.prefix, plan.dhcp),
        ("10.77.0.1", 24, true)
    );
    assert_eq!(plan.dns, DnsPolicy::NxDomain);
    let unmanaged = root.read("/etc/systemd/network/10-camlock-eth2.7.network");
    assert!(unmanaged.contains("Name=eth2.7\n") && unmanaged.contains("Unmanaged=yes\n"));
    let manager = root.read("/etc/NetworkManager/conf.d/10-camlock.conf");
    assert!(manager.contains("unmanaged-devices+=interface-name:eth1;interface-name:eth2.7\n"));
    assert!(
        root.read("/etc/sysctl.d/60-camlock.conf")
            .contains("net/ipv6/conf/eth2.7/disable_ipv6 = 1")
    );
    assert!(
        root.read("/etc/systemd/system/camlock.socket.d/listen.conf")
            .contains("ListenStream=\nListenStream=0.0.0.0:8322\n")
    );
    assert!(root.read(files::MAIN).contains("segment = \"/run/camlock-segment\""));
    assert_eq!((root.mode(files::SEGMENT), root.mode(files::MAIN)), (0o644, 0o600), "no group yet");
}

#[test]
fn the_gateway_s_group_reads_its_secrets() {
    let root = Root::new();
    fs::create_dir(root.0.join("etc")).unwrap();
    let own = rustix::process::getegid().as_raw();
    fs::write(root.0.join("etc/group"), format!("camlock-dhcp:x:0:\ncamlock:x:{own}:\n")).unwrap();
    root.set_up(&WORDS).unwrap();
    assert_eq!((root.mode(files::MAIN), root.mode("/etc/camlock/admin-token")), (0o640, 0o640));
}

#[test]
fn nothing_is_overwritten_unless_told_to() {
    let root = Root::new();
    root.set_up(&WORDS).unwrap();
    let (main, segment) = (root.read(files::MAIN), root.read(files::SEGMENT));
    let other = ["--interface", "eth3", "--name", "gateway.lan", "--user", "viewer"];
    let said = root.set_up(&other).unwrap_err();
    assert!(
        said.contains("--force") && said.contains("- interfaces = [\"eth1\", \"eth2.7\"]"),
        "{said}"
    );
    assert!(!said.contains("secret_ha1"), "{said}");
    assert_eq!(
        (root.read(files::MAIN), root.read(files::SEGMENT)),
        (main.clone(), segment.clone())
    );
    assert!(!root.0.join("etc/systemd/network/10-camlock-eth3.network").exists());
    root.set_up(&[&other[..], &["--force"]].concat()).unwrap();
    assert!(root.read(files::SEGMENT).contains("[\"eth3\"]"));
    assert_eq!(root.read("/etc/camlock/segment.toml.old"), segment);
    assert_eq!(root.read("/etc/camlock/camlock.toml.old"), main);
}

#[test]
fn wrong_answers_are_told_before_a_file_is_touched() {
    let root = Root::new();
    fs::write(root.0.join("proc/net/route"), "Iface\tDestination\neth0\t00000000\t0101A8C0\n")
        .unwrap();
    for (words, why) in [
        (&["--interface", "eth0", "--name", "a.lan", "--user", "v"][..], "default route"),
        (&["--interface", "eth1", "--name", "no name", "--user", "v"], "is neither a DNS name"),
        (
            &["--interface", "eth1", "--address", "10.0.0.1", "--name", "a", "--user", "v"],
            "address",
        ),
        (&["--interface", "eth1", "--interface", "eth1", "--name", "a", "--user", "v"], "eth1"),
        (&["--interface", "eth1", "--name", "a", "--user", "a\nb"], "user name"),
        (&["--interface", "../x", "--name", "a", "--user", "v"], "interface"),
        (&["--without-segment", "--interface", "eth1"], "cannot be used with"),
    ] {
        let said = root.set_up(words).unwrap_err();
        assert!(said.contains(why), "{words:?}: {said}");
        assert!(!root.0.join("etc").exists(), "{words:?}");
    }
}

#[test]
fn without_a_segment_the_interfaces_are_left_alone() {
    let root = Root::new();
    let words = ["--without-segment", "--name", "a.lan", "--user", "v", "--listen", "[::1]:322"];
    root.set_up(&words).unwrap();
    assert!(root.read(files::MAIN).contains("segment = \"none\""));
    assert!(
        root.read("/etc/systemd/system/camlock.socket.d/listen.conf")
            .contains("ListenStream=[::1]:322\n")
    );
    assert!(!root.0.join("etc/camlock/segment.toml").exists());
    assert!(!root.0.join("etc/sysctl.d").exists());
}

#[test]
fn interfaces_that_ifupdown_manages_or_that_are_missing_are_noted() {
    let root = Root::new();
    fs::create_dir_all(root.0.join("etc/network")).unwrap();
    fs::create_dir_all(root.0.join("sys/class/net/eth1")).unwrap();
    fs::write(root.0.join("etc/network/interfaces"), "auto eth1\niface eth1 inet dhcp\n").unwrap();
    let names = ["eth1", "eth2"].map(|name| InterfaceName::parse(name).unwrap());
    let notes = ask::notes(&root.0, &names);
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes[0].contains("/etc/network/interfaces names eth1"));
    assert!(notes[1].contains("eth2 does not exist now"));
}
