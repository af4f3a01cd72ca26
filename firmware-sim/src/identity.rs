//! The box's id, derived from the machine's own.
//!
//! A Raspberry Pi's serial number is asked first, because the cards of a classroom are cloned, machine-id included. What is
//! read is hashed together with a salt, so that the id tells nobody the serial number or machine-id (machine-id(5) asks for
//! that).

use std::{fs, path::Path};

use lockstep::domain::id::Id;
use sha2::{Digest, Sha256};

/// Makes the id differ from every other program's hash of the same machine-id.
const SALT: &[u8] = b"lockstep-box 1\0";

/// Where a machine says who it is, the one that differs between clones first.
const SERIAL: &str = "proc/device-tree/serial-number";
const CPU_INFO: &str = "proc/cpuinfo";
const MACHINE_ID: [&str; 2] = ["etc/machine-id", "var/lib/dbus/machine-id"];
const NETWORK: &str = "sys/class/net";

/// The id of this machine's box, such as `box-3f9c01a2`; `None` where the machine has nothing of its own.
pub fn derive() -> Option<Id> {
    derive_below(Path::new("/"))
}

fn derive_below(root: &Path) -> Option<Id> {
    let own = serial(root).or_else(|| machine_id(root)).or_else(|| hardware_address(root))?;
    let digest = Sha256::new().chain_update(SALT).chain_update(own.as_bytes()).finalize();
    let hex: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("box-{hex}").parse().ok()
}

fn serial(root: &Path) -> Option<String> {
    let tree = fs::read_to_string(root.join(SERIAL)).ok();
    let info = || {
        let info = fs::read_to_string(root.join(CPU_INFO)).ok()?;
        let line = info.lines().find(|line| line.starts_with("Serial"))?;
        Some(line.split_once(':')?.1.to_owned())
    };
    [tree, info()].into_iter().flatten().find_map(|text| meaningful(&text))
}

fn machine_id(root: &Path) -> Option<String> {
    MACHINE_ID.iter().find_map(|path| meaningful(&fs::read_to_string(root.join(path)).ok()?))
}

/// The lowest hardware address of a network card that is no bridge or tunnel.
fn hardware_address(root: &Path) -> Option<String> {
    let cards = fs::read_dir(root.join(NETWORK)).ok()?;
    cards
        .flatten()
        .filter(|card| card.path().join("device").exists())
        .filter_map(|card| meaningful(&fs::read_to_string(card.path().join("address")).ok()?))
        .min()
}

/// The text without its padding, unless it says nothing: `uninitialized`, or nothing but zeros.
fn meaningful(text: &str) -> Option<String> {
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    let says_something =
        text.len() >= 8 && text.chars().any(|c| !matches!(c, '0' | ':' | '-')) && text != "uninitialized";
    says_something.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(files: &[(&str, &str)]) -> Option<Id> {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        derive_below(root.path())
    }

    #[test]
    fn cloned_cards_differ_by_the_serial_number() {
        let clone = (MACHINE_ID[0], "0123456789abcdef0123456789abcdef\n");
        let first = machine(&[clone, (SERIAL, "10000000a1b2c3d4\0")]).unwrap();
        let second = machine(&[clone, (SERIAL, "10000000a1b2c3d5\0")]).unwrap();
        assert_ne!(first, second);
        assert_eq!(machine(&[clone, (CPU_INFO, "Model\t: x\nSerial\t\t: 10000000a1b2c3d4\n")]), Some(first.clone()));
        assert!(first.as_str().starts_with("box-") && first.as_str().len() == 12, "{first}");
    }

    #[test]
    fn a_machine_without_a_serial_number_has_its_machine_id() {
        let plain = machine(&[(MACHINE_ID[0], "0123456789abcdef0123456789abcdef\n")]);
        let zeros = (SERIAL, "0000000000000000\0");
        assert!(plain.is_some());
        assert_eq!(plain, machine(&[zeros, (MACHINE_ID[1], "0123456789abcdef0123456789abcdef")]));
        assert_eq!(machine(&[(MACHINE_ID[0], "uninitialized\n")]), None);
        assert_eq!(machine(&[]), None);
    }

    #[test]
    fn the_network_card_is_the_last_resort() {
        let card = [("sys/class/net/eth0/address", "dc:a6:32:01:02:03\n"), ("sys/class/net/eth0/device/x", "")];
        assert!(machine(&card).is_some());
        assert_eq!(machine(&card[..1]), None);
    }
}
