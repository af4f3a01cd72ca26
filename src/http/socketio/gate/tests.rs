use axum::http::HeaderValue;

use super::*;

#[track_caller]
fn check(origin: &'static str, local: bool) {
    let headers = HeaderMap::from_iter([(header::ORIGIN, HeaderValue::from_static(origin))]);
    assert_eq!(is_local_page(&headers), local, "{origin}");
}

#[test]
fn pages_of_this_machine_are_local_and_nobody_else() {
    for origin in ["null", "http://localhost:5173", "http://localhost", "http://127.0.0.1:5500", "http://[::1]:8000"] {
        check(origin, true);
    }
    for origin in [
        "http://localhost.evil.example",
        "http://localhost:80.evil.example",
        "http://localhost:",
        "http://127.0.0.1.evil.example",
        "http://evil.example#localhost",
        "http://evil.example",
        "file://localhost",
        "nullx",
        "",
    ] {
        check(origin, false);
    }
    assert!(!is_local_page(&HeaderMap::new()));
    let two = ["null", "null"].map(|origin| (header::ORIGIN, HeaderValue::from_static(origin)));
    let mut headers = HeaderMap::new();
    for (name, value) in two {
        headers.append(name, value);
    }
    assert!(!is_local_page(&headers));
}

#[test]
fn only_the_first_request_opens_a_session() {
    assert!(opens_session(None));
    assert!(opens_session(Some("EIO=4&transport=polling")));
    assert!(opens_session(Some("EIO=4&transport=polling&room=sid=1")));
    assert!(!opens_session(Some("EIO=4&transport=polling&sid=abc")));
}
