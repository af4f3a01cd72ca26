use proptest::prelude::*;

use super::*;

/// Where the question's name is: behind the header.
const SERVICE_AT: usize = 12;

/// An answer as responders send it: names once, later ones as references to them.
fn answer(product: Option<&str>) -> Vec<u8> {
    let mut message = message::question(SERVICES[0]);
    message[2] = 0x84;
    message[7] = 1; // one answer
    message[11] = 3; // three said along
    let record = |message: &mut Vec<u8>, name: &[u8], kind: u16, data: &[u8]| {
        message.extend_from_slice(name);
        message.extend_from_slice(&kind.to_be_bytes());
        message.extend_from_slice(&[0, 1, 0, 0, 0, 10]);
        message.extend_from_slice(&(data.len() as u16).to_be_bytes());
        message.extend_from_slice(data);
    };
    let reference = |at: usize| (0xc000 | at as u16).to_be_bytes();
    let instance_at = message.len() + 12;
    let service = reference(SERVICE_AT);
    record(&mut message, &service, 12, &[&[7][..], b"Kitchen", &service].concat());
    let host_at = message.len() + 12 + 6;
    record(
        &mut message,
        &reference(instance_at),
        33,
        &[&[0, 0, 0, 0, 0x07, 0x5b][..], &[3], b"HUB", &[5], b"local", &[0]].concat(),
    );
    let text = product.map_or_else(|| vec![0], |text| [&[text.len() as u8][..], text.as_bytes()].concat());
    record(&mut message, &reference(instance_at), 16, &text);
    record(&mut message, &reference(host_at), 1, &[192, 168, 1, 5]);
    message
}

fn from(address: &str) -> SocketAddr {
    SocketAddr::new(address.parse().unwrap(), 5353)
}

#[test]
fn an_answer_is_read() {
    let found = message::services(&answer(Some("product=lockstep")), SERVICES[0]);
    assert_eq!(found.len(), 1);
    let found = &found[0];
    assert_eq!(
        (found.instance.as_str(), found.host.as_str(), found.port),
        ("Kitchen._mqtt._tcp.local", "HUB.local", 1883)
    );
    assert_eq!(found.addresses, [IpAddr::from([192, 168, 1, 5])]);
    assert!(is_lockstep(found));
    assert!(!is_lockstep(&message::services(&answer(None), SERVICES[0])[0]), "any broker");
    assert_eq!(message::services(&answer(None), SERVICES[1]), [], "another service");
    assert_eq!(message::services(&message::question(SERVICES[0]), SERVICES[0]), [], "a question is no answer");
}

#[test]
fn the_address_that_answered_is_the_one_that_is_used() {
    let mut found = message::services(&answer(None), SERVICES[0]).remove(0);
    let host = |found: &Service, by: &str| place(found, from(by), false).unwrap().host;
    assert_eq!(host(&found, "192.168.1.9"), "192.168.1.5");
    found.addresses = ["fe80::1", "172.17.0.1", "192.168.1.9"].map(|address| address.parse().unwrap()).to_vec();
    assert_eq!(host(&found, "192.168.1.9"), "192.168.1.9", "not the container's bridge");
    found.addresses.clear();
    assert_eq!(host(&found, "192.168.1.9"), "192.168.1.9");
    assert_eq!(place(&found, from("192.168.1.9"), true).unwrap().name.as_deref(), Some("HUB.local"));
}

proptest! {
    /// No bytes make it panic or go on for ever, wherever an answer is damaged.
    #[test]
    fn any_bytes_are_survived(
        bytes in prop::collection::vec(any::<u8>(), 0..300), at in 0_usize..200, value: u8, end in 0_usize..200,
    ) {
        message::services(&bytes, SERVICES[0]);
        let mut damaged = answer(Some("product=lockstep"));
        let index = at % damaged.len();
        damaged[index] = value;
        message::services(&damaged, SERVICES[0]);
        message::services(&damaged[..end.min(damaged.len())], SERVICES[0]);
    }
}
