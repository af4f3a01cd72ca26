//! Who may come in, see and do what.

use std::fs;

use lockstep::policy::{self, Policy, Role, User, Users, hash_password};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_tungstenite::{connect_async, tungstenite::client::IntoClientRequest};

use super::rig::{Browser, Rig};

struct House {
    folder: TempDir,
    policy: Policy,
}

/// Users anna (member), vera (viewer), adam (admin); vera may not see `secret/#`.
fn house(anonymous: Option<Role>) -> House {
    let folder = tempfile::tempdir().unwrap();
    let (users_file, acl_file) = (folder.path().join("users"), folder.path().join("acl"));
    let mut users = Users::default();
    for (name, role) in [("anna", Role::Member), ("vera", Role::Viewer), ("adam", Role::Admin)] {
        let hash = hash_password(name.as_bytes()).unwrap();
        users.set(User { name: name.to_owned(), role, hash }).unwrap();
    }
    users.write(&users_file).unwrap();
    fs::write(&acl_file, "user vera\ntopic deny secret/#\n").unwrap();
    let root = "lockstep".parse().unwrap();
    let settings = policy::Settings { root, loopback_only: false, anonymous, users_file, acl_file };
    House { folder, policy: Policy::load(settings).unwrap() }
}

async fn call(rig: &Rig, method: &str, path: &str, headers: &str, body: &Value) -> String {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let length = body.len();
    let headers = format!("{headers}Content-Type: application/json\nContent-Length: {length}");
    rig.request(&format!("{method} {path} HTTP/1.1\nHost: localhost\nConnection: close\n{headers}\n\n{body}")).await
}

fn status(answer: &str) -> &str {
    &answer[9..12]
}

/// Logs in; returns the cookie and the token.
async fn log_in(rig: &Rig, name: &str) -> (String, String) {
    let answer = call(rig, "POST", "/api/v1/login", "", &json!({"user": name, "password": name})).await;
    assert_eq!(status(&answer), "200", "{answer}");
    let cookie = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let body: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    (cookie.split(';').next().unwrap().to_owned(), body["token"].as_str().unwrap().to_owned())
}

async fn browser(rig: &Rig, cookie: &str) -> Result<Browser, u16> {
    let mut request = format!("ws://{}/ws", rig.address).into_client_request().unwrap();
    if !cookie.is_empty() {
        request.headers_mut().insert("cookie", cookie.parse().unwrap());
    }
    match connect_async(request).await {
        Ok((socket, _)) => {
            let mut browser = Browser { socket, hello: Value::Null };
            browser.hello = browser.frame().await;
            Ok(browser)
        }
        Err(tokio_tungstenite::tungstenite::Error::Http(answer)) => Err(answer.status().as_u16()),
        Err(e) => panic!("{e}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_comes_in_without_a_user_where_none_is_let_in() {
    let house = house(None);
    let rig = Rig::start_for(house.policy.clone(), |_| {}).await;
    assert_eq!(browser(&rig, "").await.err(), Some(401));
    for path in ["/api/v1/rooms", "/api/v1/topics?filter=%23", "/api/v1/stream?filter=%23", "/metrics"] {
        assert_eq!(status(&rig.get(path).await), "401", "{path}");
    }
    let home = rig.get("/").await;
    assert!(status(&home) == "303" && home.contains("location: login"), "{home}");
    assert!(rig.get("/login").await.contains("<form"));
    let wrong = call(&rig, "POST", "/api/v1/login", "", &json!({"user": "anna", "password": "x"})).await;
    assert_eq!(status(&wrong), "401");
    let form = "user=anna&password=anna";
    let answer = rig
        .request(&format!(
            "POST /login HTTP/1.1\nHost: localhost\nConnection: close\nContent-Length: {}\n\n{form}",
            form.len()
        ))
        .await;
    assert!(status(&answer) == "303" && answer.contains("set-cookie: lockstep_login="), "{answer}");
    let answer = rig
        .request("POST /login HTTP/1.1\nHost: localhost\nConnection: close\nContent-Length: 20\n\nuser=anna&password=x")
        .await;
    assert!(status(&answer) == "401" && answer.contains("Wrong user name or password."), "the page says so: {answer}");
    assert!(answer.contains("referrer-policy: same-origin"), "or browsers send the form with `Origin: null`: {answer}");
    let foreign = call(&rig, "POST", "/api/v1/login", "Origin: http://evil.example\n", &json!({})).await;
    assert_eq!(status(&foreign), "403");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_does_what_it_may_by_cookie_token_and_password() {
    let house = house(Some(Role::Viewer));
    let rig = Rig::start_for(house.policy.clone(), |_| {}).await;
    rig.publish("secret/x", "1", true).await;
    rig.publish("open/x", "1", true).await;
    let (cookie, token) = log_in(&rig, "anna").await;
    let mut anna = browser(&rig, &cookie).await.unwrap();
    assert_eq!(anna.hello["you"], json!({"by": "web:anna", "name": "anna", "role": "member"}));
    let mut nobody = browser(&rig, "").await.unwrap();
    assert_eq!(nobody.hello["you"]["role"], "viewer");
    for (who, expected) in [(&mut anna, "ack"), (&mut nobody, "err")] {
        who.send(json!({"type": "pub", "topic": "lockstep/main/slider1/set", "payload": 1, "ref": 1})).await;
        let answer = who.frame().await;
        assert_eq!(answer["type"], expected, "{answer}");
    }
    let (cookie, _) = log_in(&rig, "vera").await;
    let mut vera = browser(&rig, &cookie).await.unwrap();
    vera.send(json!({"type": "sub", "filters": ["secret/#"], "id": 1})).await;
    let refused = vera.frame().await;
    assert_eq!((&refused["code"], &refused["id"]), (&json!("forbidden"), &json!(1)), "{refused}");
    let (topics, _) = vera.subscribe_to(&["#"]).await;
    assert!(topics.iter().any(|topic| topic["topic"] == "open/x"));
    assert!(!topics.iter().any(|topic| topic["topic"] == "secret/x"));
    rig.publish("secret/x", "2", true).await;
    rig.publish("open/x", "2", true).await;
    assert_eq!(vera.next("msg").await["topic"], "open/x");

    let bearer = format!("Authorization: Bearer {token}\n");
    let set = "/api/v1/rooms/main/things/slider1/set";
    assert_eq!(status(&call(&rig, "POST", set, &bearer, &json!(5)).await), "200");
    assert_eq!(status(&call(&rig, "POST", set, "", &json!(5)).await), "403");
    assert_eq!(status(&call(&rig, "POST", set, "Authorization: Bearer nonsense\n", &json!(5)).await), "401");
    // adam:adam and adam:nope
    let room = json!({"name": "Attic"});
    assert_eq!(status(&call(&rig, "POST", "/api/v1/rooms", &bearer, &room).await), "403");
    let basic = "Authorization: Basic YWRhbTphZGFt\n";
    assert_eq!(status(&call(&rig, "POST", "/api/v1/rooms", basic, &room).await), "201");
    assert_eq!(status(&call(&rig, "POST", set, "Authorization: Basic YWRhbTpub3Bl\n", &json!(5)).await), "401");
    assert_eq!(status(&call(&rig, "POST", "/api/v1/logout", &bearer, &Value::Null).await), "204");
    assert_eq!(status(&call(&rig, "POST", set, &bearer, &json!(5)).await), "401");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_ends_the_connections_of_those_whose_rights_changed() {
    let house = house(None);
    let rig = Rig::start_for(house.policy.clone(), |_| {}).await;
    let (anna, _) = log_in(&rig, "anna").await;
    let (vera, _) = log_in(&rig, "vera").await;
    let (mut anna, mut vera) = (browser(&rig, &anna).await.unwrap(), browser(&rig, &vera).await.unwrap());
    fs::write(house.folder.path().join("acl"), "user vera\ntopic deny secret/#\ntopic deny open/#\n").unwrap();
    house.policy.reload().unwrap();
    assert_eq!(vera.close_code().await, 1008);
    anna.send(json!({"type": "ping", "id": 1})).await;
    assert_eq!(anna.frame().await["type"], "pong");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_password_ends_the_logins_at_the_next_reload() {
    let house = house(None);
    let rig = Rig::start_for(house.policy.clone(), |_| {}).await;
    let ((_, anna), (_, vera)) = (log_in(&rig, "anna").await, log_in(&rig, "vera").await);
    let file = house.folder.path().join("users");
    let mut users = Users::read(&file).unwrap();
    users.set(User { name: "anna".to_owned(), role: Role::Member, hash: hash_password(b"new").unwrap() }).unwrap();
    users.write(&file).unwrap();
    let rooms = |token: &str| {
        let headers = format!("Authorization: Bearer {token}\n");
        let rig = &rig;
        async move { status(&call(rig, "GET", "/api/v1/rooms", &headers, &Value::Null).await).to_owned() }
    };
    assert_eq!(rooms(&anna).await, "200", "nobody has read the file yet");
    house.policy.reload().unwrap();
    assert_eq!((rooms(&anna).await.as_str(), rooms(&vera).await.as_str()), ("401", "200"));
}

/// Logs in as a guest; the answer.
async fn come_in(rig: &Rig, room: &str, pin: &str) -> String {
    call(rig, "POST", "/api/v1/login", "", &json!({"room": room, "pin": pin})).await
}

fn body(answer: &str) -> Value {
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap_or(Value::Null)
}

/// adam:adam
const ADAM: &str = "Authorization: Basic YWRhbTphZGFt\n";
const GUESTS: &str = "/api/v1/rooms/main/guests";

async fn pin(rig: &Rig, role: &str) -> String {
    let answer = call(rig, "PUT", GUESTS, ADAM, &json!({"role": role})).await;
    assert_eq!(status(&answer), "200", "{answer}");
    body(&answer)["pin"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_is_in_one_room_and_does_there_what_the_pin_says() {
    let house = house(None);
    let rig = Rig::start_for(house.policy.clone(), |_| {}).await;
    assert_eq!(status(&call(&rig, "POST", "/api/v1/rooms", ADAM, &json!({"name": "Attic"})).await), "201");
    rig.publish("kitchen/light", "on", true).await;
    let (anna, _) = log_in(&rig, "anna").await;
    let anna = format!("Cookie: {anna}\n");
    for method in ["GET", "PUT", "DELETE"] {
        let answer = call(&rig, method, GUESTS, &anna, &json!({"role": "viewer"})).await;
        assert_eq!(status(&answer), "403", "a member does not invite: {answer}");
    }
    assert_eq!(status(&call(&rig, "PUT", GUESTS, ADAM, &json!({"role": "admin"})).await), "422");
    assert_eq!(body(&call(&rig, "GET", GUESTS, ADAM, &Value::Null).await)["role"], Value::Null);

    let first = pin(&rig, "viewer").await;
    assert!(first.len() == 8 && first.chars().all(|c| c.is_ascii_digit()), "{first}");
    let spaced = format!("{} {}", &first[..4], &first[4..]);
    let answer = come_in(&rig, "main", &spaced).await;
    assert_eq!((status(&answer), &body(&answer)["room"]), ("200", &json!("main")), "{answer}");
    assert_ne!(status(&come_in(&rig, "attic", &first).await), "200", "the PIN of another room");
    let cookie = |answer: &str| {
        let line = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
        line.split(';').next().unwrap().to_owned()
    };
    let vera = cookie(&answer);
    let mut looks = browser(&rig, &vera).await.unwrap();
    assert_eq!((&looks.hello["you"]["role"], &looks.hello["you"]["room"]), (&json!("viewer"), &json!("main")));
    let (topics, _) = looks.subscribe_to(&["#"]).await;
    let of = |part: &str| topics.iter().filter(|topic| topic["topic"].as_str().unwrap().starts_with(part)).count();
    assert!(of("lockstep/main/") > 3 && of("lockstep/hub/info") == 1, "{topics:?}");
    assert_eq!(of("lockstep/attic/") + of("kitchen/"), 0, "{topics:?}");
    looks.send(json!({"type": "pub", "topic": "lockstep/main/slider1/set", "payload": 1, "ref": 1})).await;
    assert_eq!(looks.next("err").await["code"], "forbidden");
    let header = format!("Cookie: {vera}\n");
    let attic = body(&call(&rig, "GET", "/api/v1/rooms/attic/things", &header, &Value::Null).await);
    assert!(attic.as_array().unwrap().iter().all(|thing| thing["state"].is_null()), "{attic}");

    // Another PIN sends the guests of the first away, also after the hub has read its files again.
    let second = pin(&rig, "member").await;
    assert_eq!(looks.close_code().await, 1008);
    assert_eq!(browser(&rig, &vera).await.err(), Some(401));
    house.policy.reload().unwrap();
    assert_eq!(status(&come_in(&rig, "main", &first).await), "401");
    let mut moves = browser(&rig, &cookie(&come_in(&rig, "main", &second).await)).await.unwrap();
    for (topic, expected) in [("main/slider1", "ack"), ("attic/slider1", "err")] {
        moves.send(json!({"type": "pub", "topic": format!("lockstep/{topic}/set"), "payload": 1, "ref": 1})).await;
        assert_eq!(moves.frame().await["type"], expected, "{topic}");
    }
    moves.send(json!({"type": "here", "room": "attic", "name": "Gast"})).await;
    assert_eq!(moves.next("err").await["code"], "forbidden");

    assert_eq!(status(&call(&rig, "DELETE", GUESTS, ADAM, &Value::Null).await), "204");
    assert_eq!(moves.close_code().await, 1008);
    assert_eq!(status(&come_in(&rig, "main", &second).await), "401");
    let file = fs::read_to_string(house.folder.path().join("guests")).unwrap();
    assert!(!file.contains("argon2") && !file.contains(&second), "{file}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_cannot_be_guessed_by_trying() {
    let house = house(None);
    let rig = Rig::start_for(house.policy.clone(), |_| {}).await;
    let pin = pin(&rig, "viewer").await;
    let file = fs::read_to_string(house.folder.path().join("guests")).unwrap();
    assert!(file.contains("$argon2id$") && !file.contains(&pin), "{file}");
    for _ in 0..5 {
        assert_eq!(status(&come_in(&rig, "main", "00000000x").await), "401");
    }
    assert_eq!(status(&come_in(&rig, "main", &pin).await), "429", "the right one too, for a minute");
}
