//! The packet reader: no bytes make it panic, and what it takes for whole it takes out of the buffer.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use lockstep::mqtt::{packet::Version, protocol::Frame};

fuzz_target!(|data: &[u8]| {
    let mut buffer = BytesMut::from(data);
    while let Ok(Some(frame)) = Frame::take(&mut buffer, 1 << 16) {
        let _ = frame.read_connect();
        for version in [Version::V311, Version::V5] {
            let _ = frame.read(version);
        }
    }
});
