//! Brokers that are old, and configurations that are wrong.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::Command,
    thread,
};

use crate::desk::{HeadlessBox, Hub, hub_program};

/// The CONNECT that came, and its protocol level (MQTT 3.1.1 §3.1.2.2).
fn read_connect(socket: &mut TcpStream) -> u8 {
    let mut start = [0; 10];
    socket.read_exact(&mut start).unwrap();
    // One byte of remaining length: 2 + 2 + "MQTT", then the level; two bytes shift it by one.
    let level = if start[1] & 0x80 == 0 { start[8] } else { start[9] };
    assert!(matches!(level, 4 | 5), "{start:?}");
    level
}

/// Serves one connection after the other with `answer`, for ever.
fn broker(answer: impl Fn(u8, &mut TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            let level = read_connect(&mut socket);
            answer(level, &mut socket);
        }
    });
    address
}

#[test]
fn a_broker_that_refuses_mqtt_5_gets_3_1_1() {
    // §3.2.2.3: return code 1, unacceptable protocol version, in the packet's 3.1.1 form.
    let address = broker(|level, socket| {
        if level == 5 {
            socket.write_all(&[0x20, 2, 0, 1]).unwrap();
        } else {
            socket.write_all(&[0x20, 2, 0, 0]).unwrap();
            let mut rest = Vec::new();
            let _ = socket.read_to_end(&mut rest);
        }
    });
    let mut desk = HeadlessBox::start(&address, "old", &[]);
    desk.lines.wait_for("a 3.1.1 connection", |line| line["protocol"] == 4);
}

#[test]
fn a_broker_that_hangs_up_on_mqtt_5_gets_3_1_1() {
    let address = broker(|level, socket| {
        if level == 4 {
            socket.write_all(&[0x20, 2, 0, 0]).unwrap();
            let mut rest = Vec::new();
            let _ = socket.read_to_end(&mut rest);
        }
    });
    let mut desk = HeadlessBox::start(&address, "old", &[]);
    desk.lines.wait_for("a 3.1.1 connection", |line| line["protocol"] == 4);
}

#[test]
fn a_broker_that_falls_silent_is_asked_and_given_up() {
    // MQTT 5 §3.2.2.3.14: it wants a keep-alive of one second, and then says nothing any more.
    let (tell, heard) = std::sync::mpsc::channel();
    let address = broker(move |_, socket| {
        socket.write_all(&[0x20, 6, 0, 0, 3, 0x13, 0, 1]).unwrap();
        let mut rest = Vec::new();
        let _ = socket.read_to_end(&mut rest);
        // The box is another one by now, or gone: then nobody listens here.
        let _ = tell.send(rest);
    });
    let mut desk = HeadlessBox::start(&address, "desk", &[]);
    desk.lines.wait_for("a connection", |line| line["protocol"] == 5);
    desk.wait_for_reason("the hub does not answer any more");
    let rest = heard.recv_timeout(crate::desk::LIMIT).unwrap();
    assert!(rest.ends_with(&[0xc0, 0]), "its last word is the ping (§3.12): {rest:02x?}");
}

#[test]
fn a_wrong_password_is_told_and_not_hammered() {
    // MQTT 5 §3.2.2.2: 0x86, bad user name or password.
    let address = broker(|_, socket| socket.write_all(&[0x20, 3, 0, 0x86, 0]).unwrap());
    let mut desk = HeadlessBox::start(&address, "guest", &[]);
    desk.lines.wait_for("the reason", |line| line["reason"].as_str().is_some_and(|reason| reason.contains("--user")));
}

#[test]
fn user_and_password_let_the_box_in_and_a_wrong_one_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (data, right, wrong) = (folder.path().join("data"), folder.path().join("right"), folder.path().join("wrong"));
    std::fs::write(&right, "a long password\n").unwrap();
    std::fs::write(&wrong, "another password\n").unwrap();
    let made = Command::new(hub_program())
        .args(["passwd", "shelf", "--role", "device", "--password-file", right.to_str().unwrap(), "--data-dir"])
        .arg(&data)
        .output();
    assert!(made.unwrap().status.success());
    let hub = Hub::start(&data, "127.0.0.1:0");
    let start = |file: &std::path::Path| {
        let login = ["--user", "shelf", "--password-file", file.to_str().unwrap()];
        HeadlessBox::start(&hub.mqtt, "shelf", &login)
    };
    start(&wrong).wait_for_reason("the hub refused user or password");
    let mut shelf = start(&right);
    shelf.wait_for_online();
    shelf.say("short");
    assert_eq!(shelf.wait_for_phase("work")["by"], "mqtt:shelf");
}

#[test]
fn a_wrong_setting_is_one_clear_line() {
    let told = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_lockstep-box")).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(output.stdout.is_empty());
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        text
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("box.toml");
    std::fs::write(&file, "[hub]\nrooom = \"main\"\n").unwrap();
    let file = file.to_str().unwrap();
    let text = told(&["--config", file]);
    assert!(text.contains(&format!("{file}: line 2: unknown field `rooom`")), "{text}");
    assert!(told(&["--board", "pi"]).contains("box.board = \"pi\": allowed is auto, terminal, gpio or headless"));
    assert!(told(&["--config", "/nowhere/box.toml"]).contains("cannot read /nowhere/box.toml"));
    assert!(told(&["--board", "headless", "--user", "u", "--password-file", "/nowhere/p"]).contains("/nowhere/p"));
    assert!(told(&["--board", "gpio", "--hub", "mqtt://127.0.0.1:9"]).contains("no GPIO chip"));
}
