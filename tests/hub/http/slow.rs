//! Browsers that do not read.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use super::rig::{Browser, Rig};

/// Publishes until a socket that nobody reads from must be full.
async fn overfill(rig: &Rig, rounds: usize) -> u64 {
    let padding = "x".repeat(20_000);
    let mut last = 0;
    for i in 0..rounds {
        for topic in 0..10 {
            last = rig.publish(&format!("big/{topic}"), &format!("{i} {padding}"), true).await;
        }
        rig.publish("big/event", &i.to_string(), false).await;
    }
    last
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_reads_late_gets_the_newest_of_everything_in_order_and_knows_what_it_missed() {
    let rig = Rig::start().await;
    let (mut late, mut prompt) = (rig.browser().await, rig.browser().await);
    late.subscribe_to(&["big/#"]).await;
    prompt.subscribe_to(&["big/event"]).await;
    let publishing = async {
        let last = overfill(&rig, 100).await;
        rig.publish("big/end", "end", true).await;
        last
    };
    let reading = async {
        for i in 0..100 {
            assert_eq!(prompt.next("msg").await["payload"], i);
        }
    };
    let (last, ()) = tokio::join!(publishing, reading);
    let (mut newest, mut seq, mut frames, mut events) = (BTreeMap::new(), 0, 0, Vec::new());
    let mut resync = false;
    loop {
        let frame = late.frame().await;
        if frame["type"] == "resync" {
            resync = true;
            continue;
        }
        frames += 1;
        let now = frame["seq"].as_u64().unwrap();
        assert!(now > seq, "{now} after {seq}");
        seq = now;
        if frame["retain"] == true {
            newest.insert(frame["topic"].as_str().unwrap().to_owned(), now);
        } else {
            events.push(frame["payload"].as_u64().unwrap());
        }
        if frame["topic"] == "big/end" {
            break;
        }
    }
    assert_eq!(newest.len(), 11);
    assert!(newest.values().all(|seq| *seq > last - 11), "{newest:?}");
    assert!(frames < 1100, "nothing was merged: {frames}");
    assert!(resync || events == (0..100).collect::<Vec<u64>>(), "events are lost in silence: {events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_takes_nothing_is_cut_off_and_resumes() {
    let rig = Rig::start_with(|settings| settings.limits.stall_max = Duration::from_millis(300)).await;
    let mut stuck = rig.browser().await;
    let (_, page) = stuck.subscribe_to(&["big/#"]).await;
    let mut watcher = rig.browser().await;
    watcher.subscribe_to(&["lockstep/main/people"]).await;
    stuck.send(json!({"type": "here", "name": "Stuck"})).await;
    assert_eq!(watcher.next("msg").await["payload"]["people"][0]["name"], "Stuck");
    let last = overfill(&rig, 100).await;
    // Nobody is here any more once it is cut off, although it did not read to see that.
    loop {
        let people = watcher.next("msg").await;
        if people["payload"]["people"] == json!([]) {
            break;
        }
    }
    drop(stuck);
    let mut again = Browser::connect(rig.address).await;
    let resume = json!({"type": "sub", "filters": ["big/#"], "id": 1, "boot": "b007", "seq": page["seq"]});
    let (topics, page) = again.subscribe(resume).await;
    assert_eq!(page["resumed"], true);
    let seqs: Vec<u64> = topics.iter().map(|topic: &Value| topic["seq"].as_u64().unwrap()).collect();
    assert_eq!(topics.len(), 10);
    assert!(seqs.is_sorted() && seqs.last() == Some(&last), "{seqs:?}");
}
