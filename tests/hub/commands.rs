//! The command line against a running hub: users, backups, the network, a restart in place.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use super::support::{Hub, eventually, free_port, mosquitto};

fn lockstep(data: &Path, arguments: &[&str]) -> (bool, String) {
    let output: Output = Command::new(env!("CARGO_BIN_EXE_lockstep"))
        .args(arguments)
        .arg("--data-dir")
        .arg(data)
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

fn fine(data: &Path, arguments: &[&str]) -> String {
    let (success, text) = lockstep(data, arguments);
    assert!(success, "{arguments:?}: {text}");
    text
}

fn refused(data: &Path, arguments: &[&str]) -> String {
    let (success, text) = lockstep(data, arguments);
    assert!(!success, "{arguments:?}: {text}");
    text
}

/// A hub that listens where a configuration file says, ready to be started.
struct Configured {
    command: Command,
    config: String,
    http: u16,
    mqtt: u16,
}

/// The file is in `data`, and the ports are free ones.
fn configured(data: &Path) -> Configured {
    let (http, mqtt) = (free_port(), free_port());
    let config = data.join("hub.toml");
    let text = format!("[http]\nlisten = \"127.0.0.1:{http}\"\n[mqtt]\nlisten = \"127.0.0.1:{mqtt}\"\n");
    std::fs::write(&config, text).unwrap();
    let config = config.display().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockstep"));
    command.args(["--config", &config, "--data-dir"]).arg(data);
    Configured { command, config, http, mqtt }
}

#[test]
fn users_are_made_listed_and_removed_and_the_file_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let made = fine(data, &["passwd", "anna", "--role", "viewer", "--generate"]);
    let password = made.lines().last().unwrap().rsplit(' ').next().unwrap().to_owned();
    assert_eq!(password.len(), 19, "{made}");
    assert_eq!(fine(data, &["passwd", "--list"]), "anna\tviewer\n");
    let file = std::fs::read_to_string(data.join("users")).unwrap();
    assert!(file.contains("anna:viewer:$argon2id$") && !file.contains(&password), "{file}");
    assert_eq!(std::fs::metadata(data.join("users")).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::write(data.join("pw"), "long enough\n").unwrap();
    let pw = data.join("pw").display().to_string();
    fine(data, &["passwd", "anna", "--password-file", &pw]);
    assert_eq!(fine(data, &["passwd", "--list"]), "anna\tviewer\n", "the role stays");
    assert!(refused(data, &["passwd", "a b", "--generate"]).contains("no user name"));
    std::fs::write(data.join("pw"), "short\n").unwrap();
    assert!(refused(data, &["passwd", "anna", "--password-file", &pw]).contains("at least 8"));
    fine(data, &["passwd", "anna", "--delete"]);
    assert!(refused(data, &["passwd", "anna", "--delete"]).contains("no user `anna`"));
}

#[test]
fn commands_for_a_running_hub_say_so_when_there_is_none() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["reload"] as &[&str], &["backup", "copy"]] {
        let text = refused(folder.path(), arguments);
        assert!(text.contains("no hub is running on"), "{text}");
    }
    let port = free_port();
    let text = refused(folder.path(), &["healthcheck", "--http", &format!("127.0.0.1:{port}")]);
    assert!(text.contains("does not answer"), "{text}");
}

#[test]
fn a_running_hub_reloads_tells_its_health_and_is_backed_up_and_restored() {
    let mut hub = Hub::start();
    let data = hub.data.clone();
    fine(&data, &["healthcheck"]);
    fine(&data, &["passwd", "anna", "--generate"]);
    assert!(fine(&data, &["reload"]).contains("read its users"));
    let users = std::fs::read_to_string(data.join("users")).unwrap();
    std::fs::write(data.join("users"), "anna:boss:x\n").unwrap();
    assert!(refused(&data, &["reload"]).contains("line 1"));
    std::fs::write(data.join("users"), users).unwrap();
    let report = fine(&data, &["doctor", "--http", &hub.http, "--mqtt", &hub.mqtt]);
    assert!(!report.contains("PROBLEM"), "{report}");

    let elsewhere = tempfile::tempdir().unwrap();
    let copy = elsewhere.path().join("copy").display().to_string();
    std::fs::write(data.join("acl"), "").unwrap();
    let told = fine(&data, &["backup", &copy]);
    for name in ["users", "acl"] {
        let path = data.join(name).display().to_string();
        assert!(told.lines().any(|line| line.trim() == path), "{name} is not in it: {told}");
    }
    assert!(told.contains("history") && !told.contains("guests") && !told.contains("lan.toml"), "{told}");
    let nowhere = elsewhere.path().join("nope/x").display().to_string();
    let told = refused(&data, &["backup", &nowhere]);
    assert!(told.contains(&nowhere), "{told}");
    assert!(refused(&data, &["backup", &copy]).contains("exists already"));
    assert!(refused(&data, &["restore", &copy]).contains("another hub is running"));
    assert!(!data.join("control.new").exists());

    let keep = hub.keep_folder();
    assert_eq!(hub.stop().0, Some(0));
    assert!(!data.join("control.sock").exists(), "the socket goes with the hub");
    let told = fine(&data, &["restore", &copy]);
    assert!(told.contains("retained values") && told.contains("no backup has them"), "{told}");
    let told = refused(&data, &["restore", &nowhere]);
    assert!(told.contains(&format!("there is no file `{nowhere}`")), "{told}");
    drop(Hub::start_in(&data, "127.0.0.1:0", &[]));
    drop(keep);
}

#[test]
fn doctor_tells_a_damaged_file_and_a_bad_line_once() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let doctor = ["doctor", "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0"];
    let hub = Hub::start_in(data, "127.0.0.1:0", &[]);
    hub.stop();
    assert!(fine(data, &doctor).contains("lockstep.redb is sound"));
    std::fs::write(data.join("lockstep.redb"), "rubbish").unwrap();
    std::fs::write(data.join("users"), "anna:boss:x\n").unwrap();
    let told = refused(data, &doctor);
    assert!(told.contains("PROBLEM  what lasts: ") && told.contains("lockstep restore"), "{told}");
    assert_eq!(told.matches("line 1").count(), 1, "{told}");
    assert_eq!(std::fs::read_to_string(data.join("lockstep.redb")).unwrap(), "rubbish", "it only looks");
}

#[test]
fn a_configuration_that_cannot_be_used_is_refused_with_the_key_and_the_place() {
    let folder = tempfile::tempdir().unwrap();
    let told = refused(folder.path(), &["check-config", "--set", "log.level=warning"]);
    assert!(told.contains("--set: `log.level` is `warning`: `warning` is no level; error, warn"), "{told}");
    fine(folder.path(), &["check-config", "--set", "log.level=info,lockstep=debug"]);
    let place = folder.path().display().to_string();
    let told = refused(folder.path(), &["check-config", "--config", &place]);
    assert!(told.contains(&format!("{place}: this is a folder")), "{told}");
}

#[test]
fn another_machines_address_needs_users_and_says_what_to_type() {
    let folder = tempfile::tempdir().unwrap();
    let text = refused(folder.path(), &["--http", "0.0.0.0:0", "--mqtt", "127.0.0.1:0"]);
    assert!(text.contains("lockstep lan") && text.contains("security.anonymous"), "{text}");
    // A file in which nobody stands is no decision either.
    std::fs::write(folder.path().join("users"), "# nobody yet\n").unwrap();
    let text = refused(folder.path(), &["--http", "0.0.0.0:0", "--mqtt", "127.0.0.1:0"]);
    assert!(text.contains("lockstep lan"), "{text}");
}

/// A fresh hub on this machine alone; one command opens it for the network, without stopping it by hand; one closes it again.
#[tokio::test]
async fn lan_opens_a_running_hub_and_closes_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let Configured { mut command, config, http, mqtt } = configured(data);
    let mut hub = command.stdout(std::process::Stdio::null()).spawn().unwrap();
    let healthy = async |what: &str| {
        eventually(what, async || {
            let (success, text) = lockstep(data, &["healthcheck", "--config", &config]);
            if success { Ok(()) } else { Err(text) }
        })
        .await;
    };
    healthy("the hub answers").await;

    let told = fine(data, &["lan", "--config", &config]);
    assert!(told.contains("lockstep-box --hub mqtt://") && told.contains("homeassistant"), "{told}");
    assert!(told.contains(&format!(":{http}/")) && told.contains(&mqtt.to_string()), "{told}");
    assert_eq!(told.matches("shown this once").count(), 2, "{told}");
    assert!(told.contains('█'), "there is a code for a phone's camera: {told}");
    assert_eq!(hub.try_wait().unwrap(), None, "the process is the same one");
    healthy("the hub answers on the network").await;
    assert!(TcpListener::bind(("0.0.0.0", mqtt)).is_err());
    let again = fine(data, &["lan", "--config", &config]);
    assert!(again.contains("as before") && !again.contains("shown this once"), "passwords stay: {again}");

    let told = fine(data, &["lan", "off", "--config", &config]);
    assert!(told.contains("Only this machine"), "{told}");
    healthy("the hub answers on this machine").await;
    assert!(fine(data, &["lan", "off", "--config", &config]).contains("was not on"));
    hub.kill().unwrap();
    hub.wait().unwrap();
}

/// Addresses from the hub's command line are stronger than what the command writes: it says so before it does anything.
#[test]
fn lan_that_cannot_open_the_running_hub_changes_nothing() {
    let hub = Hub::start();
    let told = refused(&hub.data, &["lan"]);
    assert!(told.contains("from its command line") && !told.contains("password"), "{told}");
    assert!(!hub.data.join("users").exists() && !hub.data.join("lan.toml").exists(), "nothing is written");
    assert!(fine(&hub.data, &["healthcheck"]).contains("answers"));
}

/// A password stands in no file: whoever does not see it when it is made never will.
#[test]
fn lan_that_fails_once_users_are_made_shows_their_passwords_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    std::fs::create_dir_all(data.join("lan.toml/in-the-way")).unwrap();
    let told = refused(data, &["lan"]);
    assert!(told.contains("shown this once") && told.contains("lan.toml"), "{told}");
    let made = fine(data, &["passwd", "--list"]);
    for user in ["admin", "box", "homeassistant"] {
        let shown = told.lines().find(|line| line.trim_start().starts_with(user)).unwrap_or_default();
        let password = shown.rsplit(' ').next().unwrap();
        assert!(made.contains(user) && password.len() == 19, "{user}: {told}");
    }
}

#[test]
fn lan_repeats_the_options_that_mean_this_hub() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("my hub");
    let told = fine(&data, &["lan"]);
    let option = format!("--data-dir '{}'", data.display());
    assert!(told.contains(&format!("`lockstep {option}`")), "{told}");
    let again = fine(&data, &["lan"]);
    assert!(again.contains(&format!("`lockstep passwd admin {option}`")), "{again}");
}

/// A check takes 20 MB by design; many at a time, and many one after another, take a bounded multiple of that.
#[tokio::test]
async fn many_logins_leave_the_hub_small() {
    let folder = tempfile::tempdir().unwrap();
    let password = fine(folder.path(), &["passwd", "anna", "--role", "admin", "--generate"]);
    let password = password.lines().last().unwrap().rsplit(' ').next().unwrap().to_owned();
    let hub = Hub::start_in(folder.path(), "127.0.0.1:0", &[]);
    let login = async || {
        let arguments = ["-V", "5", "-u", "anna", "-P", &password, "-t", "free/topic", "-m", "here"];
        mosquitto("mosquitto_pub", &hub, &arguments).await
    };
    let logins = (0..48).map(|_| login());
    for told in futures_util::future::join_all(logins).await {
        assert_eq!(told, "", "everybody comes in");
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", hub.pid())).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let resident_kib: u64 = resident.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(resident_kib < 150 << 10, "{resident_kib} KiB");
}

/// A service manager that stops the hub while it restarts means it.
#[test]
fn a_hub_that_is_told_to_stop_while_it_restarts_stops() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let Configured { mut command, config, http, .. } = configured(data);
    let mut hub = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(hub.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut told = BufReader::new(hub.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(told.any(|line| line.contains("is ready")));
    // A request that never ends: the stop waits for it, so that the signal comes in the middle.
    let mut endless = TcpStream::connect(("127.0.0.1", http)).unwrap();
    endless.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    let lan = Command::new(env!("CARGO_BIN_EXE_lockstep"))
        .args(["lan", "--config", &config, "--data-dir"])
        .arg(data)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    assert!(log.any(|line| line.ends_with("stopping")));
    assert!(Command::new("kill").arg(hub.id().to_string()).status().unwrap().success());
    let began = Instant::now();
    while hub.try_wait().unwrap().is_none() {
        if began.elapsed() > Duration::from_secs(20) {
            hub.kill().unwrap();
            panic!("it goes on");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut lan = lan.unwrap();
    lan.kill().unwrap();
    lan.wait().unwrap();
}

#[test]
fn tls_init_makes_an_authority_once_and_certificates_of_it() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let told = fine(data, &["tls", "init", "--name", "hub.example"]);
    assert!(told.contains("hub.example") && told.contains("localhost"), "{told}");
    let read = |name: &str| std::fs::read_to_string(data.join("tls").join(name)).unwrap();
    let (authority, first) = (read("ca.pem"), read("hub.pem"));
    fine(data, &["tls", "init"]);
    assert_eq!(read("ca.pem"), authority, "phones keep trusting it");
    assert_ne!(read("hub.pem"), first);
    for key in ["ca.key", "hub.key"] {
        assert_eq!(std::fs::metadata(data.join("tls").join(key)).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let (ca, hub) = (data.join("tls/ca.pem"), data.join("tls/hub.pem"));
    let verified = Command::new("openssl").arg("verify").arg("-CAfile").arg(ca).arg(hub).output();
    if let Ok(output) = verified {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn the_service_manager_is_told_when_the_hub_is_ready() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("notify");
    let receiver = std::os::unix::net::UnixDatagram::bind(&socket).unwrap();
    receiver.set_read_timeout(Some(super::support::LIMIT)).unwrap();
    let mut hub = Command::new(env!("CARGO_BIN_EXE_lockstep"))
        .args(["--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--data-dir"])
        .arg(folder.path().join("data"))
        .env("NOTIFY_SOCKET", &socket)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut told = [0; 64];
    let length = receiver.recv(&mut told);
    hub.kill().unwrap();
    hub.wait().unwrap();
    assert_eq!(&told[..length.unwrap()], b"READY=1");
}
