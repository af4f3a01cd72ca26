use super::*;

#[track_caller]
fn check(origins: &Origins, origin: &str, host: &str, allowed: bool) {
    assert_eq!(origins.allow(Some(origin), Some(host)), allowed, "{origin} at {host}");
}

#[test]
fn only_its_own_pages_unless_told_otherwise() {
    let origins = Origins::new(&[], false);
    assert!(origins.allow(None, Some("hub.local:8080")), "scripts bring no Origin");
    check(&origins, "http://hub.local:8080", "hub.local:8080", true);
    check(&origins, "https://HUB.local", "hub.local", true);
    check(&origins, "http://hub.local:8081", "hub.local:8080", false);
    check(&origins, "http://hub.local.evil.example", "hub.local", false);
    check(&origins, "http://evil.example", "hub.local", false);
    check(&origins, "null", "hub.local", false);
    check(&origins, "http://localhost:3001", "127.0.0.1:8080", false);
    assert!(!origins.allow(Some("http://hub.local"), None));
    assert!(!origins.allow(Some(""), Some("")));
}

#[test]
fn listed_pages_come_in_exactly() {
    let origins = Origins::new(&["http://panel.local:8123/".to_owned()], false);
    check(&origins, "http://panel.local:8123", "hub.local", true);
    check(&origins, "https://panel.local:8123", "hub.local", false);
    check(&origins, "http://panel.local:81234", "hub.local", false);
}

#[test]
fn the_tutorials_let_local_pages_in_and_nobody_else() {
    let origins = Origins::new(&[], true);
    for local in ["null", "http://localhost:5173", "http://localhost", "http://127.0.0.1:5500", "http://[::1]:8000"] {
        check(&origins, local, "localhost:3000", true);
    }
    for foreign in [
        "http://localhost.evil.example",
        "http://localhost:80.evil.example",
        "http://localhost:",
        "http://127.0.0.1.evil.example",
        "http://evil.example#localhost",
        "file://localhost",
        "nullx",
    ] {
        check(&origins, foreign, "localhost:3000", false);
    }
}
