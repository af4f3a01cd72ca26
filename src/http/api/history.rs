//! The history of a room: its finished phases, as JSON for programs and as CSV for spreadsheets, in pages.

use std::sync::Arc;

use axum::{
    extract::{Path, RawQuery, State},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{query, read::find_room};
use crate::{
    domain::{
        history::{HistoryEntry, HistoryPage, HistoryQuery, Place},
        rejection::{Code, Rejection},
    },
    http::{Shared, access::Access, problem::Problem},
};

/// Finished phases in one answer, unless asked for otherwise.
const PHASES_DEFAULT: usize = 1000;
/// The most of them in one answer: some 4 MB.
const PHASES_MAX: usize = 20_000;
/// How far back an answer goes, unless asked for otherwise, in milliseconds: a week.
const SPAN_DEFAULT_MS: i64 = 7 * 24 * 3600 * 1000;

/// A phase that is over: time was up, or somebody broke it off. What was skipped is not kept.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FinishedPhase)]
struct Phase {
    /// The room's id.
    #[schema(example = "main")]
    room: String,
    /// The thing's id.
    #[schema(example = "pomodoro")]
    thing: String,
    /// `work`, `short_break` or `long_break`.
    #[schema(example = "work")]
    phase: String,
    /// When it began, in Unix milliseconds.
    started_at: i64,
    /// When it was over, in Unix milliseconds.
    ended_at: i64,
    /// How long it should have been, with what it was extended by.
    planned_seconds: f64,
    /// How long it ran, pauses apart.
    actual_seconds: f64,
    /// `completed`, where time was up, or `broken_off`.
    outcome: &'static str,
    /// Who ended it; `hub` where time was up.
    #[schema(example = "web:anna")]
    by: String,
}

impl From<HistoryEntry> for Phase {
    fn from(entry: HistoryEntry) -> Self {
        Self {
            room: entry.room,
            thing: entry.thing,
            phase: entry.phase,
            started_at: entry.started_at,
            ended_at: entry.ended_at,
            planned_seconds: entry.planned_seconds,
            actual_seconds: entry.actual_seconds,
            outcome: entry.outcome.as_str(),
            by: entry.by,
        }
    }
}

/// Finished phases of a room, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct History {
    /// The phases.
    phases: Vec<Phase>,
    /// Where there are more: what `after` goes on from.
    next: Option<String>,
}

/// What a query asks for.
#[derive(Debug, Default)]
struct Asked {
    from: Option<i64>,
    until: Option<i64>,
    after: Option<Place>,
    phases_max: Option<usize>,
    csv: bool,
}

impl Asked {
    fn read(text: Option<&str>) -> Result<Self, Problem> {
        let mut asked = Self::default();
        for (key, value) in query(text) {
            match &*key {
                "from" => asked.from = Some(moment(&key, &value)?),
                "until" => asked.until = Some(moment(&key, &value)?),
                "after" => asked.after = Some(value.parse().map_err(|e| wrong(format!("`after`: {e}.")))?),
                "limit" => {
                    let fits = value.parse().ok().filter(|limit| (1..=PHASES_MAX).contains(limit));
                    let limit = fits.ok_or_else(|| wrong(format!("`limit` is 1 to {PHASES_MAX}.")))?;
                    asked.phases_max = Some(limit);
                }
                "format" => match &*value {
                    "json" => asked.csv = false,
                    "csv" => asked.csv = true,
                    _ => return Err(wrong("`format` is `json` or `csv`.".to_owned())),
                },
                // A typo would quietly answer something else.
                _ => return Err(wrong("`from`, `until`, `after`, `limit` and `format` can be asked for.".to_owned())),
            }
        }
        Ok(asked)
    }
}

/// The finished phases of a room that ended within a span of time, oldest first. Where there are more than `limit`, the answer's `next`,
/// and the `Link` of its head, go on. They are kept as long as `storage.history_days` says.
#[utoipa::path(
    get, path = "/api/v1/rooms/{room}/history", tag = "rooms",
    params(
        ("room" = String, Path, description = "the room's id", example = "main"),
        ("from" = Option<String>, Query, description = "those that ended from then on: Unix milliseconds, or a moment such as \
         2026-11-21T00:00:00Z; a week before `until` where it is missing", example = "1760000000000"),
        ("until" = Option<String>, Query, description = "those that ended before that; now where it is missing"),
        ("after" = Option<String>, Query, description = "only those behind this place, which is an answer's `next`"),
        ("limit" = Option<usize>, Query, description = "at most so many: 1 to 20000, else 1000"),
        ("format" = Option<String>, Query, description = "`json` or `csv`"),
    ),
    responses(
        (status = 200, content((History = "application/json"), (String = "text/csv")),
         headers(("Link" = String, description = "where there are more: the next page, as `rel=\"next\"`"))),
        (status = 401, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem),
        (status = 503, body = Problem),
    ),
)]
pub(super) async fn history(
    State(shared): State<Arc<Shared>>,
    access: Access,
    Path(room): Path<String>,
    RawQuery(text): RawQuery,
) -> Result<Response, Problem> {
    let Asked { from, until, after, phases_max, csv } = Asked::read(text.as_deref())?;
    find_room(&shared, &room).await?;
    let source = shared.settings.history.as_ref();
    let source = source.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "Finished phases are not kept here."))?;
    let until = until.unwrap_or_else(|| shared.clock.now().wall.unix_ms().saturating_add(1));
    let from = from.unwrap_or_else(|| until.saturating_sub(SPAN_DEFAULT_MS));
    let entries_max = phases_max.unwrap_or(PHASES_DEFAULT);
    let asked = HistoryQuery { room: room.clone(), from, until, after, entries_max };
    let unreadable = |reason: String| {
        Problem::from(Rejection::new(Code::Storage, format!("The history cannot be read at the moment: {reason}.")))
    };
    let HistoryPage { mut entries, next } = (source.read)(asked).await.map_err(unreadable)?;
    // Who may not hear that a phase ended may not read it later.
    let event = |thing: &str| format!("{}/{room}/{thing}/event", shared.settings.root);
    entries.retain(|entry| access.identity.may_receive(&event(&entry.thing)));

    let next = next.map(|place| place.to_string());
    let mut response = if csv {
        let name = format!("attachment; filename=\"lockstep-{room}-history.csv\"");
        ([(header::CONTENT_TYPE, "text/csv; charset=utf-8"), (header::CONTENT_DISPOSITION, &name)], as_csv(&entries))
            .into_response()
    } else {
        let phases = entries.into_iter().map(Phase::from).collect();
        axum::Json(History { phases, next: next.clone() }).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    if let Some(next) = next {
        let format = if csv { "csv" } else { "json" };
        // Relative to the address that was asked, whatever stands in front of it.
        let link = format!(
            "<history?from={from}&until={until}&limit={entries_max}&format={format}&after={next}>; rel=\"next\""
        );
        headers.extend(header::HeaderValue::from_str(&link).ok().map(|link| (header::LINK, link)));
    }
    Ok(response)
}

/// The phases as RFC 4180 has it, with moments that every spreadsheet reads.
fn as_csv(entries: &[HistoryEntry]) -> String {
    let mut text = String::from("room,thing,phase,started_at,ended_at,planned_seconds,actual_seconds,outcome,by\r\n");
    for entry in entries {
        let fields = [
            field(&entry.room),
            field(&entry.thing),
            field(&entry.phase),
            moment_text(entry.started_at),
            moment_text(entry.ended_at),
            entry.planned_seconds.to_string(),
            entry.actual_seconds.to_string(),
            entry.outcome.as_str().to_owned(),
            field(&entry.by),
        ];
        text.push_str(&fields.join(","));
        text.push_str("\r\n");
    }
    text
}

/// A text as one field. People choose their names: one that a spreadsheet would take for a formula is made harmless.
fn field(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

fn moment_text(unix_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(unix_ms).map_or_else(|_| unix_ms.to_string(), |moment| moment.to_string())
}

fn moment(key: &str, text: &str) -> Result<i64, Problem> {
    let moment = || text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond);
    let known = text.parse().ok().or_else(moment);
    known.ok_or_else(|| wrong(format!("`{key}` is Unix milliseconds, or a moment such as 2026-11-21T00:00:00Z.")))
}

fn wrong(message: String) -> Problem {
    Rejection::new(Code::OutOfRange, message).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::history::Outcome;

    #[test]
    fn a_name_is_one_field_and_never_a_formula() {
        assert_eq!(field("web:anna"), "web:anna");
        assert_eq!(field("web:Ann \"A\", B"), "\"web:Ann \"\"A\"\", B\"");
        assert_eq!(field("=1+1"), "'=1+1");
        let entry = HistoryEntry {
            room: "main".into(),
            thing: "pomodoro".into(),
            phase: "work".into(),
            started_at: 1_763_712_000_000,
            ended_at: 1_763_712_900_500,
            planned_seconds: 1500.0,
            actual_seconds: 900.5,
            outcome: Outcome::BrokenOff,
            by: "user:ann".into(),
        };
        let line = as_csv(&[entry]).lines().nth(1).map(str::to_owned);
        let expected = "main,pomodoro,work,2025-11-21T08:00:00Z,2025-11-21T08:15:00.5Z,1500,900.5,broken_off,user:ann";
        assert_eq!(line.as_deref(), Some(expected));
    }

    #[test]
    fn a_typo_in_a_query_is_told() {
        assert_eq!(
            Asked::read(Some("from=5&until=1970-01-01T00:00:01Z")).ok().and_then(|asked| asked.until),
            Some(1000)
        );
        for text in ["frm=5", "from=yesterday", "limit=0", "limit=20001", "format=xml", "after=5", "until="] {
            assert!(Asked::read(Some(text)).is_err(), "{text}");
        }
    }
}
