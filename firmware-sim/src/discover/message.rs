//! DNS messages: one question, and the services in an answer (RFC 1035 §4, RFC 6763 §4 to §6).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const A: u16 = 1;
const PTR: u16 = 12;
const TXT: u16 = 16;
const AAAA: u16 = 28;
const SRV: u16 = 33;
/// A label that is a reference to an earlier place.
const REFERENCE: u8 = 0xc0;
/// The most references in one name; each leads backwards, so there is no need for many.
const REFERENCES_MAX: usize = 16;
/// The longest name, in bytes (RFC 1035 §2.3.4).
const NAME_BYTES_MAX: usize = 255;
/// The most records that are read of one message.
const RECORDS_MAX: usize = 256;

/// A service that somebody tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name for people, with its type behind it.
    pub instance: String,
    /// The machine's name, without the last dot.
    pub host: String,
    /// The port.
    pub port: u16,
    /// `key=value`
    pub text: Vec<String>,
    /// The machine's addresses, as far as they were said along.
    pub addresses: Vec<IpAddr>,
}

/// Asks for the services of a type, such as `_mqtt._tcp.local`.
pub fn question(service: &str) -> Vec<u8> {
    let mut message = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in service.split('.') {
        message.push(u8::try_from(label.len()).unwrap_or(0));
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
    message.extend_from_slice(&PTR.to_be_bytes());
    message.extend_from_slice(&1_u16.to_be_bytes());
    message
}

/// The services of the type `service` that `message` tells of; none where it is no answer. Names are compared without case.
pub fn services(message: &[u8], service: &str) -> Vec<Service> {
    let Some(records) = records(message) else { return Vec::new() };
    let of = |name: &str, kind: u16| {
        let name = name.to_owned();
        records.iter().filter(move |record| record.kind == kind && record.name.eq_ignore_ascii_case(&name))
    };
    let found = |pointer: &Record<'_>| {
        let (instance, _) = name(message, pointer.begin)?;
        let server = of(&instance, SRV).next()?;
        let port = u16::from_be_bytes([*server.data.get(4)?, *server.data.get(5)?]);
        let (host, _) = name(message, server.begin + 6)?;
        let text = of(&instance, TXT).next().map(|record| texts(record.data)).unwrap_or_default();
        let v4 = of(&host, A).filter_map(|record| <[u8; 4]>::try_from(record.data).ok().map(Ipv4Addr::from));
        let v6 = of(&host, AAAA).filter_map(|record| <[u8; 16]>::try_from(record.data).ok().map(Ipv6Addr::from));
        let addresses = v4.map(IpAddr::from).chain(v6.map(IpAddr::from)).collect();
        Some(Service { instance, host, port, text, addresses })
    };
    of(service, PTR).filter_map(found).collect()
}

struct Record<'m> {
    name: String,
    kind: u16,
    /// Where its data begins, for the names in it.
    begin: usize,
    data: &'m [u8],
}

/// All records of an answer: the answers, and what was said along.
fn records(message: &[u8]) -> Option<Vec<Record<'_>>> {
    let number = |at: usize| Some(u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]));
    if number(2)? & 0x8000 == 0 {
        return None;
    }
    let mut at = 12;
    for _ in 0..number(4)? {
        at = name(message, at)?.1 + 4;
    }
    let count = usize::from(number(6)?) + usize::from(number(8)?) + usize::from(number(10)?);
    let mut records = Vec::new();
    for _ in 0..count.min(RECORDS_MAX) {
        let (name, after) = name(message, at)?;
        let begin = after + 10;
        let data = message.get(begin..begin + usize::from(number(after + 8)?))?;
        records.push(Record { name, kind: number(after)?, begin, data });
        at = begin + data.len();
    }
    Some(records)
}

/// The name at `at`, without its last dot, and where it ends.
fn name(message: &[u8], mut at: usize) -> Option<(String, usize)> {
    let mut name = Vec::new();
    let mut end = None;
    let mut references = 0;
    loop {
        let length = *message.get(at)?;
        if length & REFERENCE == REFERENCE {
            end = end.or(Some(at + 2));
            references += 1;
            if references > REFERENCES_MAX {
                return None;
            }
            at = usize::from(u16::from_be_bytes([length & !REFERENCE, *message.get(at + 1)?]));
            continue;
        }
        at += 1;
        if length == 0 {
            return Some((String::from_utf8(name).ok()?, end.unwrap_or(at)));
        }
        let label = message.get(at..at + usize::from(length))?;
        if !name.is_empty() {
            name.push(b'.');
        }
        name.extend_from_slice(label);
        if name.len() > NAME_BYTES_MAX {
            return None;
        }
        at += label.len();
    }
}

fn texts(mut data: &[u8]) -> Vec<String> {
    let mut texts = Vec::new();
    while let Some((&length, rest)) = data.split_first() {
        let Some((text, rest)) = rest.split_at_checked(usize::from(length)) else { break };
        texts.push(String::from_utf8_lossy(text).into_owned());
        data = rest;
    }
    texts
}
