//! Records come back as they were written, and nothing else is taken for one.

use proptest::prelude::*;

use super::*;

fn qos() -> impl Strategy<Value = Qos> {
    prop_oneof![Just(Qos::AtMostOnce), Just(Qos::AtLeastOnce), Just(Qos::ExactlyOnce)]
}

fn properties() -> impl Strategy<Value = Properties> {
    let data = prop::option::of(prop::collection::vec(any::<u8>(), 0..5));
    (
        any::<bool>(),
        prop::option::of(".{0,5}"),
        prop::option::of("[a-z]{1,5}"),
        data,
        prop::collection::vec((".{0,3}", ".{0,3}"), 0..3),
    )
        .prop_map(|(payload_is_utf8, content_type, response_topic, data, user)| Properties {
            payload_is_utf8,
            content_type,
            response_topic,
            correlation_data: data.map(Into::into),
            user,
        })
}

prop_compose! {
    fn will()(
        topic in "[a-zé]{1,5}(/[a-z]{0,3}){0,2}",
        payload in prop::collection::vec(any::<u8>(), 0..20),
        qos in qos(),
        retain in any::<bool>(),
        delay in any::<u32>(),
        expiry in prop::option::of(any::<u32>()),
        properties in prop::option::of(properties()),
    ) -> Will {
        Will {
            topic: Topic::parse(&topic).unwrap(),
            payload: payload.into(),
            qos,
            retain,
            delay: Duration::from_secs(delay.into()),
            expiry: expiry.map(|expiry| Duration::from_secs(expiry.into())),
            properties: properties.map(Arc::new),
        }
    }
}

prop_compose! {
    fn subscribed()(
        number in any::<u32>(),
        filter in "(\\$share/g/)?([a-zé]{1,4}|\\+)(/[a-z]{0,3}|/\\+){0,2}(/#)?",
        qos in qos(),
        flags in any::<(bool, bool)>(),
        id in prop::option::of(any::<u32>()),
    ) -> Subscribed {
        Subscribed { number, filter, qos, no_local: flags.0, retain_as_published: flags.1, id }
    }
}

prop_compose! {
    fn record()(
        v311 in any::<bool>(),
        user in prop::option::of(".{0,6}"),
        (expiry_s, keep_alive_s, online) in any::<(u32, u16, bool)>(),
        (ends_at, will_at) in any::<(Option<i64>, Option<i64>)>(),
        will in prop::option::of(will()),
        subscriptions in prop::collection::vec(subscribed(), 0..4),
    ) -> Record {
        Record {
            version: if v311 { Version::V311 } else { Version::V5 },
            user,
            expiry_s,
            keep_alive_s,
            online,
            ends_at: ends_at.map(Wall::from_unix_ms),
            will_at: will_at.map(Wall::from_unix_ms),
            will,
            subscriptions,
        }
    }
}

proptest! {
    #[test]
    fn a_record_comes_back_as_it_was_written(record in record()) {
        prop_assert_eq!(Record::read(&record.write()), Ok(record));
    }

    #[test]
    fn another_version_is_refused_by_its_number(record in record(), version in 2_u8..) {
        let mut bytes = record.write();
        bytes[0] = version;
        prop_assert_eq!(Record::read(&bytes), Err(Unreadable::Version(version)));
    }

    #[test]
    fn damaged_bytes_are_refused_or_read_and_nothing_else(
        record in record(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        end in any::<prop::sample::Index>(),
    ) {
        let mut bytes = record.write();
        let length = bytes.len();
        bytes[at.index(length)] = byte;
        let _ = Record::read(&bytes);
        bytes.truncate(end.index(length));
        prop_assert!(Record::read(&bytes).is_err());
    }

    #[test]
    fn rubbish_is_no_record(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        prop_assert!(Record::read(&bytes).is_err());
    }
}
