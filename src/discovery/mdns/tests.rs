#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use mdns_sd::ServiceEvent;

use super::*;

fn settings(mqtt: &[&str], http: &[&str]) -> Settings {
    let listeners = |list: &[&str]| list.iter().map(|address| (address.parse().unwrap(), false)).collect();
    Settings {
        name: "Küche".to_owned(),
        host: "my_pi".to_owned(),
        version: "1.2.3".to_owned(),
        root: "lockstep".to_owned(),
        path: String::new(),
        mqtt: listeners(mqtt),
        http: listeners(http),
    }
}

#[test]
fn a_hub_on_loopback_tells_nothing() {
    assert_eq!(services(&settings(&["127.0.0.1:1883", "[::1]:1883"], &["127.0.0.1:8080"])), []);
    assert!(start(&settings(&["127.0.0.1:1883"], &["127.0.0.1:8080"])).is_none());
}

#[test]
fn every_open_listener_is_a_service() {
    let told = services(&settings(&["127.0.0.1:1883", "10.0.0.7:1884"], &["0.0.0.0:8080", "[::]:8080"]));
    let shown: Vec<_> = told.iter().map(|s| (s.service_type, s.port, s.address.map(|a| a.to_string()))).collect();
    assert_eq!(shown, [("_mqtt._tcp.local.", 1884, Some("10.0.0.7".to_owned())), ("_http._tcp.local.", 8080, None)]);
    assert_eq!(told[0].host, "my-pi.local.");
    assert_eq!(
        told[0].properties,
        [("product", "lockstep"), ("version", "1.2.3"), ("tls", "0"), ("root", "lockstep"), ("mqtt", "3.1.1,5")]
            .map(|(k, v)| (k, v.to_owned()))
    );
    assert!(told[1].properties.contains(&("path", "/".to_owned())));
    let secure = Settings { mqtt: vec![("10.0.0.7:8883".parse().unwrap(), true)], ..settings(&[], &[]) };
    let told = &services(&secure)[0];
    assert_eq!(told.service_type, "_secure-mqtt._tcp.local.");
    assert!(told.properties.contains(&("tls", "1".to_owned())), "{:?}", told.properties);
}

#[test]
fn a_name_becomes_one_label() {
    assert_eq!(label("ü".repeat(40).as_str()), "ü".repeat(31));
    assert_eq!(label("--"), "lockstep");
}

/// A port of its own, and loopback, keep the machine's own mDNS out of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_finds_the_hub() {
    const PORT: u16 = 25_353;
    let daemon = || {
        let daemon = ServiceDaemon::new_with_port(PORT).unwrap();
        daemon.disable_interface(IfKind::All).unwrap();
        daemon.enable_interface(IfKind::LoopbackV4).unwrap();
        daemon
    };
    let mut service = services(&settings(&["10.0.0.7:1884"], &[])).remove(0);
    service.address = Some("127.0.0.1".parse().unwrap());
    let advertisement = tell(daemon(), &[service]).unwrap();
    let client = daemon();
    let found = client.browse("_mqtt._tcp.local.").unwrap();
    let resolved = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            if let ServiceEvent::ServiceResolved(service) = found.recv_async().await.unwrap() {
                return service;
            }
        }
    });
    let service = resolved.await.unwrap();
    assert_eq!((service.get_port(), service.get_hostname()), (1884, "my-pi.local."));
    assert_eq!(service.get_fullname(), "Küche._mqtt._tcp.local.");
    assert_eq!(service.get_property_val_str("root"), Some("lockstep"));
    assert_eq!(service.get_property_val_str("product"), Some("lockstep"));
    advertisement.stop().await;
    client.shutdown().unwrap();
}
