//! Logins outlast the hub, `kill -9` included, and end when they should.

use std::{fs, path::Path};

use lockstep::policy::{Role, User, Users, hash_password};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Hub, LIMIT};

/// Writes users whose roles are member.
fn write_users(data: &Path, users: &[(&str, &str)]) {
    let mut all = Users::default();
    for (name, password) in users {
        let hash = hash_password(password.as_bytes()).unwrap();
        all.set(User { name: (*name).to_owned(), role: Role::Member, hash }).unwrap();
    }
    all.write(&data.join("users")).unwrap();
}

/// Sends a request; returns the status and the whole answer.
async fn call(hub: &Hub, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
    let asking = async {
        let mut stream = TcpStream::connect(&hub.http).await.unwrap();
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}");
        let rest = format!("Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}");
        stream.write_all(format!("{head}{rest}").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let answer = tokio::time::timeout(LIMIT, asking).await.expect("an answer in time");
    (answer[9..12].parse().unwrap(), answer)
}

async fn log_in(hub: &Hub, user: &str, password: &str) -> String {
    let body = json!({"user": user, "password": password}).to_string();
    let (status, answer) = call(hub, "POST", "/api/v1/login", "", &body).await;
    assert_eq!(status, 200, "{answer}");
    let body: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    body["token"].as_str().unwrap().to_owned()
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

/// What somebody with the token is answered.
async fn status(hub: &Hub, token: &str) -> u16 {
    call(hub, "GET", "/api/v1/rooms", &bearer(token), "").await.0
}

/// Who moves a slider with the token as a cookie.
async fn mover(hub: &Hub, token: &str) -> String {
    let cookie = format!("Cookie: lockstep_login={token}\r\n");
    let (status, answer) = call(hub, "POST", "/api/v1/rooms/main/things/slider1/set", &cookie, "7").await;
    assert_eq!(status, 200, "{answer}");
    let (_, things) = call(hub, "GET", "/api/v1/rooms/main/things", "", "").await;
    let things: Value = serde_json::from_str(things.split_once("\r\n\r\n").unwrap().1).unwrap();
    let slider = things.as_array().unwrap().iter().find(|thing| thing["id"] == "slider1").unwrap();
    slider["state"]["by"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_login_outlasts_a_killed_hub_and_a_logout_too() {
    let hub = Hub::start();
    write_users(&hub.data, &[("anna", "anna")]);
    let hub = hub.kill_and_restart();
    let (stays, goes) = (log_in(&hub, "anna", "anna").await, log_in(&hub, "anna", "anna").await);
    let hub = hub.kill_and_restart();
    assert_eq!((status(&hub, &stays).await, status(&hub, &goes).await), (200, 200));
    assert_eq!(mover(&hub, &stays).await, "user:anna");
    assert_eq!(call(&hub, "POST", "/api/v1/logout", &bearer(&goes), "").await.0, 204);
    let hub = hub.kill_and_restart();
    assert_eq!((status(&hub, &stays).await, status(&hub, &goes).await), (200, 401));
    let file = fs::read(hub.data.join("lockstep.redb")).unwrap();
    let holds = |text: &str| file.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(holds("anna") && !holds(&stays), "the token itself is nowhere");
}

#[tokio::test]
async fn a_password_that_changes_while_the_hub_is_off_ends_its_logins_alone() {
    let mut hub = Hub::start();
    write_users(&hub.data, &[("anna", "anna"), ("ben", "ben"), ("cleo", "cleo")]);
    let ben = fs::read_to_string(hub.data.join("users")).unwrap();
    let ben = ben.lines().find(|line| line.starts_with("ben:")).unwrap().to_owned();
    hub = hub.kill_and_restart();
    let mut tokens = Vec::new();
    for user in ["anna", "ben", "cleo"] {
        tokens.push(log_in(&hub, user, user).await);
    }
    let folder = hub.keep_folder();
    let data = hub.data.clone();
    assert_eq!(hub.stop().0, Some(0));
    // Anna has another password, cleo is gone, and ben is as he was but for his role.
    write_users(&data, &[("anna", "other")]);
    let users = fs::read_to_string(data.join("users")).unwrap();
    fs::write(data.join("users"), format!("{users}{}\n", ben.replace(":member:", ":viewer:"))).unwrap();
    let hub = Hub::start_in(&data, "127.0.0.1:0", &[]);
    let mut answers = Vec::new();
    for token in &tokens {
        answers.push(status(&hub, token).await);
    }
    assert_eq!(answers, [401, 200, 401]);
    drop((hub, folder));
}
