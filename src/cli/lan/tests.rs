use super::*;
use crate::config::Overrides;

#[test]
fn the_kernels_table_tells_this_machines_addresses() {
    let table = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     |-- 192.168.1.0\n        \
                 /24 link UNICAST\n     |-- 192.168.1.7\n        /32 host LOCAL\n     |-- 192.168.1.255\n        \
                 /32 link BROADCAST\nLocal:\n     |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 169.254.3.4\n        \
                 /32 host LOCAL\n     |-- 192.168.1.7\n        /32 host LOCAL\n";
    assert_eq!(local_addresses(table), [Ipv4Addr::new(192, 168, 1, 7)]);
    assert_eq!(local_addresses("what?\n|-- x\n/32 host LOCAL"), [] as [Ipv4Addr; 0]);
}

#[test]
fn loopback_is_opened_on_the_same_port_and_the_rest_stays() {
    let addresses = |list: &[&str]| -> Vec<SocketAddr> { list.iter().map(|text| text.parse().unwrap()).collect() };
    assert_eq!(reachable(&addresses(&["127.0.0.1:9000", "[::1]:9000"]), 8080), addresses(&["0.0.0.0:9000"]));
    assert_eq!(reachable(&addresses(&["127.0.0.1:0"]), 8080), addresses(&["0.0.0.0:8080"]));
    assert_eq!(reachable(&addresses(&["10.0.0.1:80"]), 8080), addresses(&["10.0.0.1:80"]));
}

#[test]
fn without_an_address_on_a_network_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let set = |key: &str, value: String| (key.to_owned(), value, "--set");
    let overrides = Overrides(vec![set("storage.data_dir", data.display().to_string())]);
    let config = Config::load(None, &overrides).unwrap();
    let error = open(&config, &[], "").unwrap_err().to_string();
    assert!(error.contains("no address on a network"), "{error}");
    assert!(!data.exists());
}

#[test]
fn a_port_that_another_program_has_is_refused_and_the_hubs_own_is_not() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port();
    let wanted = [SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port)];
    let error = check_free(&wanted, &[], Ipv4Addr::LOCALHOST).unwrap_err().to_string();
    assert!(error.contains(&format!("port {port} of 127.0.0.1")), "{error}");
    check_free(&wanted, &wanted, Ipv4Addr::LOCALHOST).unwrap();
    // What the hub has on this machine alone is no reason: the network's address is free.
    check_free(&wanted, &[], Ipv4Addr::new(127, 0, 0, 2)).unwrap();
}

#[test]
fn made_passwords_are_long_and_all_different() {
    let made: std::collections::BTreeSet<String> = (0..100).map(|_| users::generate().unwrap()).collect();
    assert_eq!(made.len(), 100);
    assert!(made.iter().all(|password| password.len() == 19 && password.matches('-').count() == 3));
}
