//! TLS: whom the box trusts, who it says it is, and what it tells when that fails.

use std::{fs, net::TcpListener, path::PathBuf, process::Command};

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::desk::{HeadlessBox, Hub, hub_program};

/// A folder of certificates.
struct Office {
    folder: TempDir,
}

impl Office {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, file: &str) -> String {
        let path: PathBuf = self.folder.path().join(file);
        path.to_str().unwrap().to_owned()
    }

    /// An authority, its certificate in `NAME-ca.pem`.
    fn authority(&self, name: &str) -> Issuer<'static, KeyPair> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        fs::write(self.path(&format!("{name}-ca.pem")), certificate.pem()).unwrap();
        Issuer::new(params, key)
    }

    /// A certificate for `names` by `authority`, in `NAME.pem` and `NAME.key`; `past`: that ended long ago.
    fn certificate(&self, name: &str, names: &[&str], authority: &Issuer<'static, KeyPair>, past: bool) {
        let mut params = CertificateParams::new(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        if past {
            params.not_before = rcgen::date_time_ymd(2001, 1, 1);
            params.not_after = rcgen::date_time_ymd(2002, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, authority).unwrap();
        fs::write(self.path(&format!("{name}.pem")), certificate.pem()).unwrap();
        fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    /// A user of the hub, who can have a certificate.
    fn user(&self, name: &str) {
        let made = Command::new(hub_program())
            .args(["passwd", name, "--role", "device", "--generate", "--data-dir"])
            .arg(self.data())
            .output();
        assert!(made.unwrap().status.success());
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A hub with the certificate `name`.
    fn hub(&self, name: &str, clients: Option<&str>) -> Hub {
        let settings = [
            r#"mqtt.listen_tls=["127.0.0.1:0"]"#.to_owned(),
            format!("tls.certificate_file={}", self.path(&format!("{name}.pem"))),
            format!("tls.key_file={}", self.path(&format!("{name}.key"))),
            format!("tls.client_ca_file={}", clients.map(|name| self.path(name)).unwrap_or_default()),
        ];
        let more: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
        Hub::start_with(&self.data(), "127.0.0.1:0", &more)
    }
}

fn address(hub: &Hub, host: &str) -> String {
    let port = hub.mqtt_tls.as_ref().unwrap().rsplit_once(':').unwrap().1;
    format!("mqtts://{host}:{port}")
}

#[test]
fn a_box_that_knows_the_authority_is_online_and_others_say_why_not() {
    let office = Office::new();
    let home = office.authority("home");
    office.authority("other");
    office.certificate("hub", &["localhost"], &home, false);
    let hub = office.hub("hub", None);
    let url = address(&hub, "localhost");

    let mut desk = HeadlessBox::start_at(&url, "desk", &["--ca-file", &office.path("home-ca.pem")]);
    desk.wait_for_online();
    desk.say("short");
    desk.wait_for_phase("work");
    assert!(desk.quit().success());

    let mut stranger = HeadlessBox::start_at(&url, "stranger", &["--ca-file", &office.path("other-ca.pem")]);
    let reason = stranger.wait_for_reason("authority");
    assert_eq!(
        reason,
        "the hub's certificate is not from an authority that this box trusts: give the hub's own as --ca-file"
    );
    // By its address, for which the certificate is not.
    let by_address = address(&hub, "127.0.0.1");
    let mut elsewhere = HeadlessBox::start_at(&by_address, "elsewhere", &["--ca-file", &office.path("home-ca.pem")]);
    elsewhere.wait_for_reason("is for another name");
    // TLS at a port without it, and the other way round.
    let mut mistaken = HeadlessBox::start_at(
        &format!("mqtts://{}", hub.mqtt),
        "mistaken",
        &["--ca-file", &office.path("home-ca.pem")],
    );
    mistaken.wait_for_reason("is it a port for mqtts://?");
    let mut plain = HeadlessBox::start_at(&url.replace("mqtts", "mqtt"), "plain", &[]);
    plain.wait_for_reason("it speaks TLS, so write mqtts://");
}

#[test]
fn a_certificate_that_has_expired_is_told() {
    let office = Office::new();
    let home = office.authority("home");
    office.certificate("hub", &["localhost"], &home, true);
    let hub = office.hub("hub", None);
    let url = address(&hub, "localhost");
    let mut desk = HeadlessBox::start_at(&url, "desk", &["--ca-file", &office.path("home-ca.pem")]);
    desk.wait_for_reason("is not valid today");
}

#[test]
fn a_hub_can_ask_for_the_boxs_certificate() {
    let office = Office::new();
    let (home, other) = (office.authority("home"), office.authority("other"));
    office.certificate("hub", &["localhost"], &home, false);
    office.certificate("desk", &["desk"], &home, false);
    office.certificate("spy", &["spy"], &other, false);
    // The hub takes a certificate's common name for the user.
    office.user("desk");
    let hub = office.hub("hub", Some("home-ca.pem"));
    let (url, authority) = (address(&hub, "localhost"), office.path("home-ca.pem"));
    let start =
        |name: &str, more: &[&str]| HeadlessBox::start_at(&url, name, &[&["--ca-file", &authority], more].concat());
    let with = |name: &str| [office.path(&format!("{name}.pem")), office.path(&format!("{name}.key"))];

    let [certificate, key] = with("desk");
    start("desk", &["--cert-file", &certificate, "--key-file", &key]).wait_for_online();
    start("nobody", &[]).wait_for_reason("the hub wants a certificate of the box");
    let [certificate, key] = with("spy");
    start("spy", &["--cert-file", &certificate, "--key-file", &key])
        .wait_for_reason("the hub does not accept the box's certificate");
}

#[test]
fn a_port_that_says_nothing_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let office = Office::new();
    office.authority("home");
    let url = format!("mqtts://{}", silent.local_addr().unwrap());
    let mut desk = HeadlessBox::start_at(&url, "desk", &["--ca-file", &office.path("home-ca.pem")]);
    desk.wait_for_reason("no answer in time");
}
