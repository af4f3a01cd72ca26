use super::*;

fn slide(slider: &str, value: f64) -> Option<Wish> {
    Some(Wish::Slide { slider: slider.parse().unwrap(), value, text: value.to_string() })
}

fn mailbox(events_per_second_max: u32) -> Mailbox {
    Mailbox::new(Limits { events_per_second_max, events_pending_max: 3, ..Limits::default() })
}

fn code(posted: &Posted) -> Option<Code> {
    match posted {
        Posted::Rejected(rejection) => Some(rejection.code),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn wishes_keep_their_order_and_a_slider_its_newest_value() {
    let mailbox = mailbox(100);
    mailbox.post(slide("a", 1.0));
    mailbox.post(Some(Wish::Start));
    mailbox.post(slide("b", 2.0));
    mailbox.post(slide("a", 3.0));
    assert_eq!(mailbox.next().await, slide("a", 3.0));
    assert_eq!(mailbox.next().await, Some(Wish::Start));
    assert_eq!(mailbox.next().await, slide("b", 2.0));
}

#[tokio::test(start_paused = true)]
async fn only_so_much_waits() {
    let mailbox = mailbox(1000);
    for _ in 0..3 {
        assert_eq!(mailbox.post(Some(Wish::Stop)), Posted::Waits);
    }
    assert_eq!(code(&mailbox.post(Some(Wish::Stop))), Some(Code::Busy));
    for n in 0..THINGS_MAX {
        assert_eq!(mailbox.post(slide(&format!("s{n}"), 0.0)), Posted::Waits);
    }
    assert_eq!(code(&mailbox.post(slide("one-more", 0.0))), Some(Code::Busy));
    assert_eq!(mailbox.post(slide("s0", 9.0)), Posted::Waits, "one that waits already costs nothing");
}

#[tokio::test(start_paused = true)]
async fn too_fast_loses_presses_but_no_last_value() {
    let mailbox = mailbox(10);
    for n in 0..20 {
        assert_eq!(mailbox.post(slide("a", f64::from(n))), Posted::Waits);
    }
    assert_eq!(code(&mailbox.post(Some(Wish::Press))), Some(Code::RateLimited));
    assert_eq!(mailbox.post(slide("a", 42.0)), Posted::Waits);
    let before = Instant::now();
    assert_eq!(mailbox.next().await, slide("a", 42.0));
    assert!(before.elapsed() >= Duration::from_millis(100), "it waited out what was too fast");
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(mailbox.post(Some(Wish::Press)), Posted::Waits);
}

#[tokio::test(start_paused = true)]
async fn a_flood_is_told_from_haste() {
    let mailbox = mailbox(10);
    let posted: Vec<Posted> = (0..201).map(|_| mailbox.post(None)).collect();
    assert_eq!(posted.iter().filter(|posted| **posted == Posted::Flood).count(), 1);
    assert_eq!(posted.last(), Some(&Posted::Flood));
}

#[tokio::test(start_paused = true)]
async fn a_closed_mailbox_has_no_more_wishes() {
    let mailbox = mailbox(10);
    mailbox.post(Some(Wish::Start));
    mailbox.close();
    assert_eq!(mailbox.next().await, None);
}
