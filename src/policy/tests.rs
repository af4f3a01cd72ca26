use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::{acl::covers, *};
use crate::domain::topic::{Filter, Topic};

fn policy(folder: &Path, loopback_only: bool, anonymous: Option<Role>, acl: &str) -> Policy {
    let mut users = Users::default();
    for role in Role::ALL {
        let hash = hash_password(b"right").unwrap();
        users.set(User { name: role.to_string(), role, hash }).unwrap();
    }
    users.write(&folder.join("users")).unwrap();
    std::fs::write(folder.join("acl"), acl).unwrap();
    let settings = Settings {
        root: "lockstep".parse().unwrap(),
        loopback_only,
        anonymous,
        users_file: folder.join("users"),
        acl_file: folder.join("acl"),
    };
    Policy::load(settings).unwrap()
}

fn shows(user: Option<&str>, password: &str) -> Credentials {
    Credentials {
        user: user.map(str::to_owned),
        password: Some(password.as_bytes().to_vec()),
        client_id: Some("box-1".to_owned()),
        address: Ipv4Addr::new(192, 0, 2, 1).into(),
    }
}

fn topic(text: &str) -> Topic {
    Topic::parse(text).unwrap()
}

fn filter(text: &str) -> Filter {
    Filter::parse(text).unwrap()
}

#[tokio::test]
async fn each_role_may_do_what_the_design_says() {
    let folder = tempfile::tempdir().unwrap();
    let policy = policy(folder.path(), false, None, "");
    let topics = [
        "lockstep/main/slider1/set",
        "lockstep/device/box-1/event",
        "lockstep/device/device/event",
        "lockstep/device/other/event",
        "kitchen/light",
        "lockstep/hub/info",
        "$SYS/x",
    ];
    for (role, allowed) in [
        (Role::Viewer, [false, false, false, false, false, false, false]),
        (Role::Member, [true, false, false, false, false, false, false]),
        (Role::Device, [true, true, true, false, true, false, false]),
        (Role::Admin, [true; 7]),
    ] {
        let identity = policy.authenticate(shows(Some(role.as_str()), "right")).await.unwrap();
        assert_eq!(identity.role(), role);
        for (text, allowed) in topics.iter().zip(allowed) {
            assert_eq!(identity.may_publish(&topic(text)), allowed, "{role} publishes to {text}");
        }
        for text in ["#", "lockstep/main/#", "$SYS/#"] {
            assert!(identity.may_subscribe(&filter(text)), "{role} subscribes to {text}");
        }
        assert!(identity.may_receive("kitchen/light"));
        assert_eq!(identity.may_administer(), role == Role::Admin);
        assert_eq!(identity.may_move_things(), role != Role::Viewer);
    }
}

#[tokio::test]
async fn nobody_comes_in_with_a_wrong_password_or_without_one() {
    let folder = tempfile::tempdir().unwrap();
    let policy = policy(folder.path(), false, None, "");
    assert_eq!(policy.authenticate(shows(None, "")).await.unwrap_err(), Denied::UserNeeded);
    assert_eq!(policy.authenticate(shows(Some("nobody"), "right")).await.unwrap_err(), Denied::WrongPassword);
    for _ in 0..5 {
        assert_eq!(policy.authenticate(shows(Some("admin"), "wrong")).await.unwrap_err(), Denied::WrongPassword);
    }
    // After five failures even the right one has to wait; from elsewhere it does not.
    assert_eq!(policy.authenticate(shows(Some("admin"), "right")).await.unwrap_err(), Denied::TooManyAttempts);
    let elsewhere = Credentials { address: Ipv4Addr::new(192, 0, 2, 2).into(), ..shows(Some("admin"), "right") };
    assert!(policy.authenticate(elsewhere).await.is_ok());
}

#[tokio::test]
async fn on_loopback_everybody_is_admin_but_a_users_password_still_counts() {
    let folder = tempfile::tempdir().unwrap();
    let policy = policy(folder.path(), true, Some(Role::Viewer), "");
    assert_eq!(policy.authenticate(shows(None, "")).await.unwrap().role(), Role::Admin);
    assert_eq!(policy.authenticate(shows(Some("stranger"), "x")).await.unwrap().role(), Role::Admin);
    assert_eq!(policy.authenticate(shows(Some("viewer"), "right")).await.unwrap().role(), Role::Viewer);
    assert_eq!(policy.authenticate(shows(Some("viewer"), "x")).await.unwrap_err(), Denied::WrongPassword);
}

#[tokio::test]
async fn rules_take_away_and_add() {
    let folder = tempfile::tempdir().unwrap();
    let acl =
        "topic deny secret/#\nuser viewer\ntopic write kitchen/#\npattern write home/%u/#\npattern deny box/%c/x\n";
    let policy = policy(folder.path(), false, Some(Role::Member), acl);
    let anonymous = policy.authenticate(shows(None, "")).await.unwrap();
    assert!(!anonymous.may_subscribe(&filter("secret/#")) && !anonymous.may_subscribe(&filter("secret/a")));
    assert!(anonymous.may_subscribe(&filter("#")), "a wider filter is allowed");
    assert!(!anonymous.may_receive("secret/a") && anonymous.may_receive("open/a"));
    assert!(!anonymous.may_publish(&topic("home/x/y")), "without a user there is no %u");
    let viewer = policy.authenticate(shows(Some("viewer"), "right")).await.unwrap();
    assert!(viewer.may_publish(&topic("kitchen/light")) && viewer.may_publish(&topic("home/viewer/x")));
    assert!(!viewer.may_publish(&topic("home/other/x")));
    assert!(viewer.may_receive("secret/a") && !viewer.may_receive("box/box-1/x"));
    assert_ne!(viewer.read_rights(), anonymous.read_rights());
}

#[tokio::test]
async fn a_reload_takes_effect_and_a_broken_file_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let policy = policy(folder.path(), false, None, "");
    let viewer = policy.authenticate(shows(Some("viewer"), "right")).await.unwrap();
    std::fs::write(folder.path().join("acl"), "nonsense\n").unwrap();
    let error = policy.reload().unwrap_err().to_string();
    assert!(error.contains("line 1") && error.contains("nonsense"), "{error}");
    assert!(policy.revise(&viewer).is_some());
    std::fs::write(folder.path().join("acl"), "").unwrap();
    std::fs::write(folder.path().join("users"), "").unwrap();
    policy.reload().unwrap();
    assert!(policy.revise(&viewer).is_none());
    std::fs::write(folder.path().join("users"), "anna:member:secret\n").unwrap();
    let error = policy.reload().unwrap_err().to_string();
    assert!(error.contains("`anna` is not hashed") && !error.contains("secret\n"), "{error}");
}

#[test]
fn the_users_file_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users");
    let mut users = Users::default();
    assert!(users.set(User { name: "a:b".into(), role: Role::Viewer, hash: String::new() }).is_err());
    users.set(User { name: "anna".into(), role: Role::Member, hash: hash_password(b"x").unwrap() }).unwrap();
    users.write(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(Users::read(&path).unwrap(), users);
}

proptest! {
    #[test]
    fn rules_never_panic(text in "(user|topic|pattern|deny|read|[ a-z/#+%\n]){0,20}") {
        if let Ok(acl) = acl::Acl::parse(&text) {
            acl.rules_for(&acl::Subject { user: Some("u"), client_id: None });
        }
    }

    #[test]
    fn what_is_covered_is_matched(
        wide in "([ab]|\\+)(/([ab]|\\+)){0,2}(/#)?", narrow in "([ab]|\\+)(/([ab]|\\+)){0,2}(/#)?",
        topic in "[ab](/[ab]){0,3}",
    ) {
        let (wide, narrow) = (filter(&wide), filter(&narrow));
        if covers(&wide, &narrow) && narrow.matches(&topic) {
            prop_assert!(wide.matches(&topic));
        }
    }
}
