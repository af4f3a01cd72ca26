//! The door over TLS: who is let in by certificate, what a stranger meets, and connections that get stuck half-way.

use std::{net::SocketAddr, path::PathBuf, process::Stdio, sync::Arc, time::Instant};

use lockstep::tls::Acceptor;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        self, ClientConfig, RootCertStore,
        pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
    },
};

use super::{
    client::Client,
    packets::Connect,
    rig::{LIMIT, Rig},
};

/// An authority that signs certificates.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
}

struct Signed {
    chain: CertificateDer<'static>,
    pem: String,
    key: KeyPair,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        let (pem, der) = (certificate.pem(), certificate.der().clone());
        Self { issuer: Issuer::new(params, key), certificate: der, pem }
    }

    fn sign(&self, common_name: &str) -> Signed {
        let key = KeyPair::generate().unwrap();
        let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, common_name);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Signed { chain: certificate.der().clone(), pem: certificate.pem(), key }
    }

    /// What a client trusts that trusts this authority, and shows `own`.
    fn client(&self, own: Option<&Signed>) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(roots);
        let config = match own {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own.key.serialize_der()));
                builder.with_client_auth_cert(vec![own.chain.clone()], key).unwrap()
            }
        };
        TlsConnector::from(Arc::new(config))
    }
}

/// A door that listens with TLS, on IPv4 and IPv6.
struct Secure {
    rig: Rig,
    v4: SocketAddr,
    v6: SocketAddr,
    authority: Authority,
    ca_file: PathBuf,
    _files: TempDir,
}

impl Secure {
    async fn start(rig: Rig, client_authority: Option<&Authority>) -> Self {
        let files = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        let own = authority.sign("hub");
        let write = |name: &str, text: &str| {
            let path = files.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let (chain, key) = (write("hub.pem", &own.pem), write("hub.key", &own.key.serialize_pem()));
        let ca_file = write("ca.pem", &authority.pem);
        let clients = client_authority.map(|authority| write("clients.pem", &authority.pem));
        let acceptor = Acceptor::load(&chain, &key, clients.as_deref()).unwrap();
        let mut addresses = Vec::new();
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(address).await.unwrap();
            addresses.push(rig.door.listen(listener, Some(acceptor.clone())).unwrap());
        }
        Self { rig, v4: addresses[0], v6: addresses[1], authority, ca_file, _files: files }
    }

    async fn client(&self, address: SocketAddr, connector: &TlsConnector, v5: bool) -> std::io::Result<Client> {
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::from(address.ip());
        let stream =
            tokio::time::timeout(LIMIT, connector.connect(name, stream)).await.expect("a handshake in time")?;
        Ok(Client::over(stream, v5))
    }

    /// Whether somebody with this connector comes as far as an answer to CONNECT; the answer's reason.
    async fn reason(&self, connector: &TlsConnector, connect: &Connect) -> Option<u8> {
        let mut client = self.client(self.v4, connector, connect.v5).await.ok()?;
        // In TLS 1.3 a client hears only after its part of the handshake that its certificate is not taken.
        client.try_raw(&connect.bytes()).await.ok()?;
        client.next().await.map(|packet| packet.body[1])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_carries_both_versions_over_ipv4_and_ipv6() {
    let secure = Secure::start(Rig::start().await, None).await;
    let connector = secure.authority.client(None);
    for address in [secure.v4, secure.v6] {
        for v5 in [true, false] {
            let mut client = secure.client(address, &connector, v5).await.unwrap();
            let connect = if v5 { Connect::v5("tls") } else { Connect::v311("tls") };
            assert_eq!(client.connect(&connect).await.reason, 0);
            client.subscribe("tls/t", 2).await;
            // More than one TLS record.
            let long = "x".repeat(100_000);
            client.publish("tls/t", &long, 2, false).await;
            assert_eq!(client.message().await.text(), long);
            client.disconnect().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_trust_the_hub_or_speaks_no_tls_hurts_only_itself() {
    let secure = Secure::start(Rig::start().await, None).await;
    assert!(secure.client(secure.v4, &Authority::new().client(None), true).await.is_err(), "another authority");
    // MQTT without TLS at the port with TLS: closed, with no CONNACK.
    let mut plain = Client::over(TcpStream::connect(secure.v4).await.unwrap(), true);
    plain.raw(&Connect::v5("plain").bytes()).await;
    let mut answer = Vec::new();
    let reading = plain.stream.read_to_end(&mut answer);
    // The connection may be reset; what counts is that it ends.
    let _ = tokio::time::timeout(LIMIT, reading).await.expect("the hub closes");
    assert_ne!(answer.first(), Some(&0x20), "a CONNACK without TLS");
    assert_eq!(secure.reason(&secure.authority.client(None), &Connect::v5("good")).await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_names_its_user() {
    let (clients, others) = (Authority::new(), Authority::new());
    let hash = lockstep::policy::hash_password(b"secret").unwrap();
    let rig = Rig::with_policy(|_| {}, false, &format!("anna:member:{hash}\n"), "").await;
    let secure = Secure::start(rig, Some(&clients)).await;
    let show = |own: Option<&Signed>| secure.authority.client(own);
    assert_eq!(secure.reason(&show(None), &Connect::v5("none")).await, None, "no certificate");
    let foreign = others.sign("anna");
    assert_eq!(secure.reason(&show(Some(&foreign)), &Connect::v5("foreign")).await, None, "another authority's");
    let unknown = clients.sign("nobody");
    assert_eq!(secure.reason(&show(Some(&unknown)), &Connect::v5("unknown")).await, Some(0x86), "no such user");
    assert_eq!(secure.reason(&show(Some(&unknown)), &Connect::v311("unknown")).await, Some(4));
    let anna = clients.sign("anna");
    let mut client = secure.client(secure.v4, &show(Some(&anna)), true).await.unwrap();
    assert_eq!(client.connect(&Connect::v5("anna's")).await.reason, 0);
    assert_eq!(client.publish("lockstep/main/slider1/set", "3", 1, false).await, 0, "a member moves things");
    assert_eq!(client.publish("free", "3", 1, false).await, 0x87, "and has no more rights than that");
}

#[tokio::test(flavor = "multi_thread")]
async fn mosquitto_speaks_tls_and_refuses_a_hub_it_does_not_trust() {
    let secure = Secure::start(Rig::start().await, None).await;
    let run = |program: &str, ca_file: &PathBuf, more: &[&str]| {
        let mut command = tokio::process::Command::new(program);
        let port = secure.v4.port().to_string();
        command.args(["-h", "127.0.0.1", "-p", &port, "--cafile"]).arg(ca_file).args(more);
        command.stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true).spawn().expect("mosquitto-clients")
    };
    let mut witness = secure.rig.v5("witness").await;
    for version in ["mqttv311", "mqttv5"] {
        let publish =
            run("mosquitto_pub", &secure.ca_file, &["-V", version, "-q", "2", "-r", "-t", "m", "-m", version]);
        assert!(publish.wait_with_output().await.unwrap().status.success());
        let listen =
            run("mosquitto_sub", &secure.ca_file, &["-V", version, "-q", "2", "-t", "m", "-C", "1", "-W", "10"]);
        assert_eq!(listen.wait_with_output().await.unwrap().stdout, format!("{version}\n").as_bytes());
    }
    let strange = secure.ca_file.with_file_name("strange.pem");
    std::fs::write(&strange, Authority::new().pem).unwrap();
    let publish = run("mosquitto_pub", &strange, &["-t", "m", "-m", "no", "-r"]);
    assert!(!publish.wait_with_output().await.unwrap().status.success());
    witness.subscribe("m", 0).await;
    assert_eq!(witness.message().await.text(), "mqttv5");
}

#[tokio::test(flavor = "multi_thread")]
async fn half_open_connections_on_every_transport_delay_nobody() {
    const EACH: usize = 300;
    let secure = Secure::start(Rig::start().await, None).await;
    let hub = crate::support::Hub::start();
    let http: SocketAddr = hub.http.parse().unwrap();
    let tcp: SocketAddr = hub.mqtt.parse().unwrap();
    let connector = secure.authority.client(None);
    let mut half_open = Vec::new();
    for n in 0..EACH {
        for (address, said) in [
            (tcp, &[0x10, 0x20, 0x00][..]),
            // The beginning of a TLS handshake.
            (secure.v4, &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01][..]),
            (http, b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"),
        ] {
            let mut client = Client::over(TcpStream::connect(address).await.unwrap(), true);
            // Every third says nothing at all.
            if n % 3 > 0 {
                client.raw(said).await;
            }
            half_open.push(client);
        }
    }
    // Upgraded, and then silent.
    for _ in 0..EACH / 3 {
        half_open.push(websocket(http).await);
    }
    let mut slowest = [std::time::Duration::ZERO; 3];
    for _ in 0..20 {
        for (transport, slowest) in slowest.iter_mut().enumerate() {
            let began = Instant::now();
            let mut client = match transport {
                0 => Client::over(TcpStream::connect(tcp).await.unwrap(), true),
                1 => secure.client(secure.v4, &connector, true).await.unwrap(),
                _ => websocket(http).await,
            };
            let connect = Connect::v5("quick");
            if transport == 2 {
                client.raw(&masked(&connect.bytes())).await;
                let mut frame = [0; 4];
                client.stream.read_exact(&mut frame).await.unwrap();
                assert_eq!((frame[0], frame[2]), (0x82, 0x20), "a CONNACK in a binary frame");
            } else {
                assert_eq!(client.connect(&connect).await.reason, 0);
            }
            *slowest = (*slowest).max(began.elapsed());
        }
    }
    println!(
        "{} half-open; slowest of 20: TCP {:?}, TLS {:?}, WebSocket {:?}",
        half_open.len(),
        slowest[0],
        slowest[1],
        slowest[2]
    );
    // Had one half-open connection to end first, it would take ten seconds and more.
    assert!(slowest.iter().all(|time| *time < LIMIT / 5), "{slowest:?}");
}

/// A stream that was upgraded to a WebSocket for MQTT.
async fn websocket(http: SocketAddr) -> Client {
    let mut client = Client::over(TcpStream::connect(http).await.unwrap(), true);
    client
        .raw(
            format!(
                "GET /mqtt HTTP/1.1\r\nHost: {http}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
            )
            .as_bytes(),
        )
        .await;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    client
}

/// A binary frame from a client (RFC 6455 §5.2), with a mask of zeros.
fn masked(payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).ok().filter(|length| *length < 126).expect("a short payload");
    [&[0x82, 0x80 | length, 0, 0, 0, 0], payload].concat()
}
