//! The dashboard's files.

use super::rig::Rig;

fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dashboard_is_served_with_strict_headers_and_answered_from_the_cache() {
    let rig = Rig::start().await;
    let page = rig.get("/").await;
    assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
    assert_eq!(header(&page, "content-type"), Some("text/html; charset=utf-8"));
    assert!(header(&page, "content-security-policy").is_some_and(|csp| csp.starts_with("default-src 'self'")));
    assert_eq!(header(&page, "x-content-type-options"), Some("nosniff"));
    // With `no-referrer` browsers send the login form as from the origin `null`, which is refused.
    assert_eq!(header(&page, "referrer-policy"), Some("same-origin"));
    let etag = header(&page, "etag").unwrap();
    let again =
        rig.request(&format!("GET / HTTP/1.1\nHost: localhost\nIf-None-Match: {etag}\nConnection: close")).await;
    assert!(again.starts_with("HTTP/1.1 304 "), "{again}");
    assert!(again.ends_with("\r\n\r\n"), "{again}");

    let zipped = rig
        .request_bytes("GET /js/client.js HTTP/1.1\nHost: localhost\nAccept-Encoding: br, gzip\nConnection: close")
        .await;
    let head = String::from_utf8_lossy(&zipped);
    assert_eq!(header(&head, "content-encoding"), Some("gzip"));
    let body = zipped.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    assert_eq!(zipped[body..body + 2], [0x1F, 0x8B]);

    assert!(rig.get("/nothing/here").await.starts_with("HTTP/1.1 404 "));
    assert!(rig.get("/../Cargo.toml").await.starts_with("HTTP/1.1 404 "));
    let client = rig.get("/client.js").await;
    assert_eq!(header(&client, "location"), Some("js/client.js"));
}

#[tokio::test(flavor = "multi_thread")]
async fn below_a_base_path_everything_is_there_too() {
    let rig = Rig::start_with(|settings| settings.base_path = "/home/hub/".to_owned()).await;
    let page = rig.get("/home/hub/").await;
    assert!(page.starts_with("HTTP/1.1 200 ") && page.contains("<html"), "{page}");
    assert!(rig.get("/home/hub/js/client.js").await.starts_with("HTTP/1.1 200 "));
    assert!(rig.get("/home/hub/healthz").await.starts_with("HTTP/1.1 200 "));
    assert!(rig.get("/home/hub/ws").await.starts_with("HTTP/1.1 426 "));
    let bare = rig.get("/home/hub").await;
    assert_eq!(header(&bare, "location"), Some("hub/"));
    assert!(rig.get("/").await.starts_with("HTTP/1.1 200 "));
}
