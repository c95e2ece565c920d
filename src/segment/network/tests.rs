use super::*;
use crate::segment::shared::plan::tests::plan;
use crate::segment::{BRIDGE, InterfaceName, Plan};

fn two_ports() -> Plan {
    let mut plan = plan();
    plan.interfaces.push(InterfaceName::parse("eth2").unwrap());
    plan
}

fn link(name: &str, up: bool, master: Option<&str>) -> Link {
    Link { name: name.to_owned(), up, master: master.map(str::to_owned), addresses: Vec::new() }
}

/// Steps as a person reads them, kernel settings left out.
fn told(steps: &[Step]) -> String {
    let mut text = String::new();
    for step in steps {
        let (place, input) = match (step.place, &step.action) {
            (_, Action::Set(_)) => continue,
            (Where::Box, Action::Run { input, .. }) => ("box", input),
            (Where::Segment, Action::Run { input, .. }) => ("segment", input),
        };
        text += &format!("{place}: {}\n", step.action);
        if let Some(input) = input.as_ref().filter(|input| input.lines().count() < 4) {
            text += input;
        }
    }
    text
}

#[test]
fn the_rules_of_the_namespace() {
    let rules = ruleset(&plan()) + &port_rules(&plan().interfaces);
    assert!(!rules.contains('%'), "a name was not filled in: {rules}");
    insta::assert_snapshot!(rules);
}

#[test]
fn without_cameras_and_dhcp_nothing_is_dialled_and_nobody_gets_an_address() {
    let mut plan = plan();
    plan.cameras.clear();
    plan.dhcp = false;
    let rules = ruleset(&plan);
    assert!(!rules.contains("elements"), "{rules}");
    assert!(!rules.contains("answered_dhcp accept") && !rules.contains("sport 67"), "{rules}");
}

#[test]
fn each_counter_is_used() {
    let rules = ruleset(&plan());
    for kind in KINDS {
        assert!(rules.contains(&format!("counter name kind_{kind}")), "{kind}");
    }
    for verdict in VERDICTS {
        assert!(rules.contains(&format!("counter name {verdict}")), "{verdict}");
    }
}

#[test]
fn the_guard_of_the_box() {
    insta::assert_snapshot!(guard(&two_ports().interfaces));
}

#[test]
fn dhcp_knows_the_cameras_only() {
    let word = |text: &str| text.parse().unwrap();
    let dhcp = Dhcp {
        conf: word("/run/net/dnsmasq.conf"),
        hosts: word("/run/net/dnsmasq.hosts"),
        leases: word("/var/lib/dhcp/dnsmasq.leases"),
        user: word("camlock-dhcp"),
        group: word("camlock-dhcp"),
    };
    let mut plan = plan();
    let both = |plan: &Plan| dnsmasq_conf(plan, &dhcp) + "---\n" + &dnsmasq_hosts(plan);
    insta::assert_snapshot!(both(&plan));
    plan.dhcp = false;
    assert!(!both(&plan).contains("dhcp-range") && !both(&plan).contains("02:00"));
}

#[test]
fn making_a_segment() {
    let state = State {
        outside: vec![link("eth0", true, None), link("eth1", true, None)],
        inside: None,
        stale: false,
        pid: 77,
    };
    let steps = up(&plan(), "camlock", &state, true).unwrap();
    insta::assert_snapshot!(told(&steps));
    let rules = |steps: &[Step]| {
        steps.iter().position(|s| s.purpose.contains("namespace's rules")).unwrap()
    };
    let first_up = |steps: &[Step]| {
        steps.iter().position(|s| s.action.to_string().ends_with("eth1 up")).unwrap()
    };
    assert!(rules(&steps) < first_up(&steps));
    let closed = up(&plan(), "camlock", &state, false).unwrap();
    assert!(!told(&closed).contains("eth1 up\n"));
}

#[test]
fn repairing_a_segment_takes_a_fallen_interface_in_and_leaves_the_rest() {
    let mut bridge = link(BRIDGE, true, None);
    bridge.addresses = vec![
        ("10.77.0.1".parse().unwrap(), 24),
        ("192.0.2.1".parse().unwrap(), 24),
        ("fe80::1".parse().unwrap(), 64),
    ];
    let inside = vec![
        bridge,
        link("eth1", true, Some(BRIDGE)),
        link("eth9", true, Some(BRIDGE)),
        link("camcanary0", true, Some(BRIDGE)),
    ];
    let state = State {
        outside: vec![link("eth2", true, None)],
        inside: Some(inside),
        stale: false,
        pid: 77,
    };
    insta::assert_snapshot!(told(&up(&two_ports(), "camlock", &state, true).unwrap()));
}

#[test]
fn an_interface_that_is_nowhere_is_named() {
    let state = State {
        outside: vec![link("lo", true, None), link("enp1s0", true, None)],
        inside: None,
        stale: false,
        pid: 77,
    };
    assert_eq!(
        up(&plan(), "camlock", &state, true).unwrap_err().to_string(),
        "there is no interface eth1; there are: enp1s0. Correct segment.interfaces, or plug the interface in"
    );
}

#[test]
fn a_pin_without_a_namespace_is_replaced() {
    let state =
        State { outside: vec![link("eth1", false, None)], inside: None, stale: true, pid: 77 };
    let steps = told(&up(&plan(), "camlock", &state, true).unwrap());
    assert!(steps.contains("box: ip netns delete camlock\nbox: ip netns add camlock\n"), "{steps}");
}

#[test]
fn a_changed_plan_does_not_raise_links_that_were_lowered() {
    let state = |up| State {
        outside: Vec::new(),
        inside: Some(vec![link(BRIDGE, true, None), link("eth1", up, Some(BRIDGE))]),
        stale: false,
        pid: 77,
    };
    assert!(told(&apply(&plan(), "camlock", &state(true)).unwrap()).contains("eth1 up\n"));
    assert!(!told(&apply(&plan(), "camlock", &state(false)).unwrap()).contains("eth1 up\n"));
}

#[test]
fn closing_needs_no_plan_and_finds_what_fell_back() {
    let inside = Some(vec![
        link(BRIDGE, true, None),
        link("eth1", true, Some(BRIDGE)),
        link("x", true, None),
    ]);
    let state = State {
        outside: vec![link("eth0", true, None), link("eth2", true, None)],
        inside,
        stale: false,
        pid: 77,
    };
    assert_eq!(told(&close(&[], &state)), "segment: ip link set dev eth1 down\n");
    insta::assert_snapshot!(told(&down(&two_ports().interfaces, "camlock", &state)));
    let gone = State { inside: None, ..state };
    assert_eq!(
        told(&down(&two_ports().interfaces, "camlock", &gone)),
        "box: ip link set dev eth2 down\n"
    );
}

#[test]
fn ip_version_6_and_forwarding_are_off_for_every_interface() {
    let state =
        State { outside: vec![link("eth1", true, None)], inside: None, stale: false, pid: 77 };
    let steps = up(&plan(), "camlock", &state, true).unwrap();
    let said: Vec<_> = steps.iter().map(|step| step.action.to_string()).collect();
    for interface in ["all", "default", BRIDGE] {
        for (key, value) in [
            ("ipv6/conf/*/disable_ipv6", 1),
            ("ipv4/conf/*/forwarding", 0),
            ("ipv4/conf/*/rp_filter", 1),
            ("ipv4/conf/*/arp_ignore", 1),
        ] {
            let line = format!("writing {value} to /proc/sys/net/{}", key.replace('*', interface));
            assert!(said.contains(&line), "{line}");
        }
    }
}
