//! What the terminal box looks like. Reading keys and deciding anything is not here.

use std::collections::VecDeque;

use lockstep::domain::id::Id;
use ratatui::{
    Frame,
    layout::{Alignment, Constraint, Layout, Rect},
    style::{Color, Modifier, Style, Stylize},
    text::{Line, Span},
    widgets::{Block, BorderType, Paragraph, Wrap},
};

use crate::{
    agent::{Connection, Outcome, Over, Report, Shown},
    clock::Mono,
    config::Light,
    pattern::Rgb,
};

/// The width of one button or light, and its height.
const PART: (u16, u16) = (18, 5);
/// The width of the whole picture; a wider terminal is left empty.
const WIDTH_MAX: u16 = 74;

/// What is drawn.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// What the agent shows.
    pub shown: &'a Shown,
    /// The lights.
    pub lights: &'a [Light],
    /// The buttons' names.
    pub buttons: &'a [&'a Id],
    /// The button that keys press.
    pub chosen: usize,
    /// Whether there is a dial.
    pub dials: bool,
    /// When.
    pub now: Mono,
}

/// What the view remembers between two pictures.
#[derive(Debug, Default)]
pub struct View {
    /// The box's id, hub and room.
    pub title: String,
    /// What happened lately, the latest last.
    pub log: VecDeque<String>,
    /// Where the buttons are, for the mouse.
    pub buttons: Vec<Rect>,
}

impl View {
    /// Draws the box.
    pub fn draw(&mut self, frame: &mut Frame<'_>, scene: &Scene<'_>) {
        let whole = frame.area();
        let area = Rect { width: whole.width.min(WIDTH_MAX), ..whole };
        let case = Block::bordered()
            .border_type(BorderType::Rounded)
            .title("Lockstep box".bold())
            .title_bottom(self.title.clone());
        let inside = case.inner(area);
        frame.render_widget(case, area);
        let standing = standing_lines(scene.shown, inside.width);
        let [connection, clock, parts, keys, log] = Layout::vertical([
            Constraint::Length(u16::try_from(standing.len()).unwrap_or(1)),
            Constraint::Length(3),
            Constraint::Length(PART.1),
            Constraint::Length(2),
            Constraint::Min(0),
        ])
        .areas(inside);
        frame.render_widget(Paragraph::new(standing), connection);
        frame.render_widget(Paragraph::new(clock_lines(scene.shown)).alignment(Alignment::Center), clock);
        self.draw_parts(frame, parts, scene);
        let help = Paragraph::new(keys_line(scene, keys)).alignment(Alignment::Center).wrap(Wrap { trim: true });
        frame.render_widget(help, keys);
        let room = usize::from(log.height);
        let lines: Vec<Line<'_>> = self
            .log
            .iter()
            .skip(self.log.len().saturating_sub(room))
            .map(|line| Line::from(line.as_str()).dim())
            .collect();
        frame.render_widget(Paragraph::new(lines), log);
    }

    fn draw_parts(&mut self, frame: &mut Frame<'_>, area: Rect, scene: &Scene<'_>) {
        let count = scene.buttons.len() + scene.lights.len();
        let width = (area.width / u16::try_from(count.max(1)).unwrap_or(u16::MAX)).clamp(6, PART.0);
        let cells: Vec<Rect> = Layout::horizontal(vec![Constraint::Length(width); count])
            .flex(ratatui::layout::Flex::Center)
            .split(area)
            .to_vec();
        let (buttons, lights) = cells.split_at(scene.buttons.len().min(cells.len()));
        self.buttons = buttons.to_vec();
        for (index, (&cell, name)) in buttons.iter().zip(scene.buttons).enumerate() {
            let chosen = index == scene.chosen;
            let pressed = chosen && matches!(scene.shown.overlay.map(|overlay| overlay.over), Some(Over::Pressed));
            let border = if pressed { BorderType::Thick } else { BorderType::Rounded };
            let style = if chosen { Style::new().add_modifier(Modifier::BOLD) } else { Style::new().dim() };
            let block = Block::bordered().border_type(border).title(format!(" {name} ")).style(style);
            let face = if pressed { "▼▼▼" } else { "PRESS" };
            let text = vec![Line::from(""), Line::from(face)];
            frame.render_widget(Paragraph::new(text).alignment(Alignment::Center).block(block), cell);
        }
        for (&cell, light) in lights.iter().zip(scene.lights) {
            let colour = scene.shown.colour_at(scene.now, |word| light.takes_part(word));
            let block = Block::bordered().border_type(BorderType::Rounded).title(format!(" {} ", light.name));
            let inner = block.inner(cell);
            frame.render_widget(block, cell);
            // A dark light is drawn hollow, so that colour is never the only sign.
            let (lamp, style) = if colour == Rgb::OFF {
                ("○", Style::new().dim())
            } else {
                ("█", Style::new().fg(Color::Rgb(colour.red, colour.green, colour.blue)))
            };
            let row = lamp.repeat(usize::from(inner.width.saturating_sub(4)));
            let rows: Vec<Line<'_>> = (0..inner.height).map(|_| Line::styled(row.clone(), style)).collect();
            frame.render_widget(Paragraph::new(rows).alignment(Alignment::Center), inner);
        }
    }
}

/// How the box stands to its hub, and in words what its light shows; below each other where the place is narrow.
fn standing_lines(shown: &Shown, width: u16) -> Vec<Line<'static>> {
    let (mark, text, style) = match shown.connection {
        Connection::Online => ("●", "online", Style::new().green()),
        Connection::Waiting => ("◐", "connected, waiting for the hub's state", Style::new().yellow()),
        Connection::Away => ("○", "no connection to the hub", Style::new().red()),
    };
    let pattern = shown.overlay.and_then(|overlay| overlay.pattern).unwrap_or(shown.pattern);
    let light = match shown.word_now() {
        None => "pressed".to_owned(),
        Some(word) => format!("{} ({}, {})", word.as_str(), pattern.mode.word(), pattern.colour.name()),
    };
    let connection = vec![Span::styled(format!(" {mark} {text}"), style)];
    let beside = [Span::raw("   light: ").dim(), Span::raw(light.clone())];
    let both = Line::from([&connection[..], &beside].concat());
    if both.width() <= usize::from(width) {
        return vec![both];
    }
    vec![Line::from(connection), Line::from(format!(" {light}"))]
}

fn clock_lines(shown: &Shown) -> Vec<Line<'static>> {
    let unknown = || "--:--:--".to_owned();
    let (message, clock) = match (&shown.phase, shown.connection) {
        (Some(phase), Connection::Online) => {
            let paused = if phase.paused { " (paused)" } else { "" };
            (format!("{}{paused}", phase.message), shown.remaining.clone().unwrap_or_else(unknown))
        }
        _ => (String::new(), unknown()),
    };
    vec![Line::from(message).bold(), Line::from(clock).bold()]
}

/// What the keys do; where there is no room for that, which there are.
fn keys_line(scene: &Scene<'_>, room: Rect) -> Vec<Line<'static>> {
    let several = scene.buttons.len() > 1;
    let given = |is_there: bool, words: &'static str| if is_there { words } else { "" };
    let (buttons, dial) = (given(several, " · 1–9 choose the button"), given(scene.dials, " · ↑ ↓ turn the dial"));
    let long = Line::from(format!("space press · d double · l long{buttons}{dial} · q quit"));
    // A line that is broken between words may leave a part of each empty.
    let fits = long.width() + 12 * usize::from(room.height.saturating_sub(1))
        <= usize::from(room.width) * usize::from(room.height);
    let short =
        || Line::from(format!("space · d · l{}{} · q quit", given(several, " · 1–9"), given(scene.dials, " · ↑ ↓")));
    vec![if fits { long } else { short() }.dim()]
}

/// A report in words, where it is worth a line.
pub fn words(report: &Report) -> Option<String> {
    match report {
        Report::Connection { connection, protocol, reason } => Some(match (connection, protocol, reason) {
            (Connection::Away, _, Some(reason)) => format!("no connection: {reason}"),
            (Connection::Waiting, Some(4), _) => "connected by MQTT 3.1.1".to_owned(),
            (Connection::Waiting, Some(protocol), _) => format!("connected by MQTT {protocol}"),
            (Connection::Waiting, None, Some(reason)) => reason.clone(),
            (Connection::Online, ..) => "the hub's state is here".to_owned(),
            _ => return None,
        }),
        Report::Phase(view) => {
            let paused = if view.paused { ", paused" } else { "" };
            let by = if view.by.is_empty() { String::new() } else { format!(", by {}", view.by) };
            Some(format!("{}{paused}{by}", view.message))
        }
        Report::Gesture { button, event_type } => Some(format!("{button}: {}", event_type.word().replace('_', " "))),
        Report::Command { thing, command, sent: false, .. } => {
            Some(format!("{thing}: {command} was NOT sent, the hub is away: press again later"))
        }
        Report::Outcome { outcome: Outcome::Rejected, code, message, .. } => {
            let code = code.as_deref().unwrap_or("refused");
            Some(format!("rejected ({code}): {}", message.as_deref().unwrap_or_default()))
        }
        Report::Outcome { outcome: Outcome::Lost, .. } => Some("nobody acknowledged that".to_owned()),
        Report::Notice { message } => Some(message.clone()),
        Report::Start { .. }
        | Report::Light { .. }
        | Report::Remaining { .. }
        | Report::Command { .. }
        | Report::Outcome { .. } => None,
    }
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
