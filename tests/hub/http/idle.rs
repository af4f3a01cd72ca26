//! What the hub does when nobody does anything: nothing.

use std::{fs, time::Duration};

use crate::support::{Browser, Hub};

/// How long nothing is done.
const IDLE: Duration = Duration::from_secs(10);

/// The processor time that a process used, in clock ticks.
fn ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields = stat.rsplit_once(')').unwrap().1.split(' ');
    fields.skip(12).take(2).map(|field| field.parse::<u64>().unwrap()).sum()
}

/// Waits until the hub has settled: no tick in a second.
async fn settled(pid: u32) -> u64 {
    let mut before = ticks(pid);
    for _ in 0..30 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = ticks(pid);
        if now == before {
            return now;
        }
        before = now;
    }
    panic!("the hub never came to rest");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_idle_browsers_cost_nothing() {
    let hub = Hub::start();
    let mut browsers = Vec::new();
    for _ in 0..100 {
        let mut browser = Browser::connect(&hub).await;
        browser.subscribe(&["lockstep/#"]).await;
        browsers.push(browser);
    }
    // A machine on which much else runs makes waking up dear: one stretch of three has to be quiet.
    let mut used = Vec::new();
    for _ in 0..3 {
        let before = settled(hub.pid()).await;
        // The passing of time is the very thing that is measured.
        tokio::time::sleep(IDLE).await;
        used.push(ticks(hub.pid()) - before);
        if used.last().is_some_and(|used| *used <= 1) {
            return;
        }
    }
    panic!("{used:?} ticks of 10 ms in {IDLE:?} each");
}
