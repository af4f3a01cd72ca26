use proptest::prelude::*;

use super::*;

fn filter(text: &str) -> Filter {
    Filter::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

#[test]
fn filters_match_as_the_standard_says() {
    for (pattern, topic, expected) in [
        ("a/b", "a/b", true),
        ("a/b", "a/b/c", false),
        ("a/+", "a/b", true),
        ("a/+", "a", false),
        ("a/+", "a/", true),
        ("+", "a", true),
        ("+", "/a", false),
        ("+/+", "/a", true),
        ("/+", "/a", true),
        ("a/#", "a", true),
        ("a/#", "a/b/c", true),
        ("a/#", "ab", false),
        ("#", "a/b", true),
        ("#", "$SYS/x", false),
        ("+/x", "$SYS/x", false),
        ("$SYS/#", "$SYS/x", true),
        ("a//b", "a//b", true),
        ("a/+/b", "a//b", true),
        ("é/+", "é/x", true),
    ] {
        assert_eq!(filter(pattern).matches(topic), expected, "{pattern} on {topic}");
    }
}

#[test]
fn bad_topics_and_filters_are_named() {
    assert_eq!(Topic::parse(""), Err(InvalidTopic::Empty));
    assert_eq!(Topic::parse("a/+"), Err(InvalidTopic::Wildcard));
    assert_eq!(Topic::parse("a\0"), Err(InvalidTopic::Null));
    assert_eq!(Topic::parse(&"x".repeat(TOPIC_BYTES_MAX + 1)), Err(InvalidTopic::TooLong));
    for text in ["a/#/b", "a#", "a/b+", "+a/b", "##"] {
        assert_eq!(Filter::parse(text), Err(InvalidTopic::Misplaced), "{text}");
    }
    for text in ["$share/g", "$share//a", "$share/g/", "$share/g+/a"] {
        assert_eq!(Subscription::parse(text), Err(InvalidTopic::Share), "{text}");
    }
    let shared = Subscription::parse("$share/g/a/#").expect("a shared filter");
    assert_eq!((shared.group.as_deref(), shared.filter.as_str()), (Some("g"), "a/#"));
}

proptest! {
    #[test]
    fn parsing_never_panics(text in ".{0,40}") {
        let _ = Topic::parse(&text);
        let _ = Filter::parse(&text);
        let _ = Subscription::parse(&text);
    }

    #[test]
    fn a_match_begins_with_the_literal_prefix(
        pattern in "([ab$]|\\+){0,2}(/([ab]|\\+)?){0,3}(/#)?", topic in "[ab$]{0,2}(/[ab]?){0,4}",
    ) {
        if let Ok(pattern) = Filter::parse(&pattern)
            && pattern.matches(&topic)
        {
            prop_assert!(topic.starts_with(pattern.literal_prefix()), "{pattern} {topic}");
        }
    }

    #[test]
    fn a_topic_matches_itself_as_a_filter(topic in "[a-c/$]{1,12}") {
        if let (Ok(topic), Ok(pattern)) = (Topic::parse(&topic), Filter::parse(&topic)) {
            prop_assert!(pattern.matches(topic.as_str()));
        }
    }
}
