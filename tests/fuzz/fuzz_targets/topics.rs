//! Topics and filters: parsing never panics, and a filter and its literal prefix agree.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lockstep::domain::topic::{Filter, Subscription, Topic};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (topic, filter) = text.split_once('\n').unwrap_or((text, text));
    let _ = Subscription::parse(filter);
    if let (Ok(topic), Ok(filter)) = (Topic::parse(topic), Filter::parse(filter)) {
        if filter.matches(topic.as_str()) {
            assert!(topic.as_str().starts_with(filter.literal_prefix()));
        }
        if filter.is_exact() {
            assert_eq!(filter.matches(topic.as_str()), filter.as_str() == topic.as_str());
        }
    }
});
