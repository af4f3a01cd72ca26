//! A browser's session: what it says, from its socket to the engine and the fan-out.
//!
//! A session reads and never writes; answers go through the fan-out, which owns the writing side. It keeps no buffer while
//! the browser is silent.

mod inbound;
mod limiter;

use std::{collections::VecDeque, io, sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::json;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, ReadHalf},
    net::TcpStream,
};

pub(in crate::http) use self::inbound::{Inbound, Request};
use self::limiter::Limiter;
use super::{
    Shared,
    access::Access,
    fanout::{BrowserId, Command, Hello, Wire, boot_for},
    settings::{BoxFuture, ByteStream},
    stream::Outgoing,
    ws::{
        frame::{CloseCode, Opcode, server_frame},
        parser::{Message, Parser, Violation},
    },
};
use crate::{
    domain::{
        hub::{MemberKind, Presence},
        origin::Origin,
        publication::Publish,
        rejection::{Code, Rejection},
        topic::Filter,
    },
    engine::{Lane, Outcome, Stopped},
    figures,
    policy::Reloads,
};

/// Batches of publishes of one browser that wait for their outcome; it is not read from while there are as many.
const OUTCOMES_WAITING_MAX: usize = 32;
/// How long a browser that comes back waits for its shard to be as far as the one that it had before.
const CATCH_UP_MAX: Duration = Duration::from_secs(1);
/// Bytes that are read at a time.
const READ_BYTES: usize = 16 << 10;
/// How long a browser whose connection was closed may go on sending before nobody listens any more.
const DEAF_TIMEOUT: Duration = Duration::from_secs(3);

/// Where a browser's bytes come from.
pub(in crate::http) enum Incoming {
    /// A socket that the fan-out writes to.
    Tcp(Arc<TcpStream>),
    /// The reading half of something else.
    Other(ReadHalf<Box<dyn ByteStream>>),
}

impl std::fmt::Debug for Incoming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tcp(_) => "Tcp",
            Self::Other(_) => "Other",
        })
    }
}

impl Incoming {
    /// Reads what is there into `parser`; zero bytes are the end.
    ///
    /// # Cancel safety
    /// Nothing is lost when it is cancelled.
    async fn read_into(&mut self, parser: &mut Parser) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => loop {
                socket.readable().await?;
                match read_now(socket, parser) {
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                    other => return other,
                }
            },
            Self::Other(half) => read_other(half, parser).await,
        }
    }
}

/// Reads what is there, by way of the stack, so that a browser that says nothing costs no buffer.
fn read_now(socket: &TcpStream, parser: &mut Parser) -> io::Result<usize> {
    let mut buffer = [0; READ_BYTES];
    let bytes = socket.try_read(&mut buffer)?;
    parser.push(&buffer[..bytes]);
    Ok(bytes)
}

async fn read_other(half: &mut (impl AsyncRead + Unpin), parser: &mut Parser) -> io::Result<usize> {
    let mut buffer = Box::new([0; 4096]);
    let bytes = half.read(&mut buffer[..]).await?;
    parser.push(&buffer[..bytes]);
    Ok(bytes)
}

/// Answers that wait for the engine, and what they answer.
type Waiting = VecDeque<(Vec<Option<Box<str>>>, BoxFuture<Result<Vec<Outcome>, Stopped>>)>;

/// A browser that is connected.
#[derive(Debug)]
pub(in crate::http) struct Session {
    shared: Arc<Shared>,
    id: BrowserId,
    access: Access,
    origin: Origin,
    limiter: Limiter,
    filters: Vec<Filter>,
    is_here: bool,
    reloads: Reloads,
    _counted: figures::Counted,
}

impl Session {
    /// Brings a browser to the fan-out; none when the hub is stopping.
    pub(in crate::http) async fn join(
        shared: Arc<Shared>,
        access: Access,
        outgoing: Outgoing,
        wire: Wire,
    ) -> Option<Self> {
        let id = shared.fanout.new_id();
        let name = unnamed(&access, id);
        let origin = Origin::Web(Arc::clone(&name));
        let hello = hello(&shared, &access, &origin, &name);
        let counted = figures::Counted::connection(match wire {
            Wire::WebSocket => "websocket",
            Wire::EventStream => "stream",
        });
        let rights = access.identity.read_rights().clone();
        let limiter = Limiter::new(shared.settings.limits.publishes_per_second_max, shared.clock.now().mono);
        let joined = shared.fanout.tell(Command::Join { id, outgoing, wire, rights, hello }).await;
        let reloads = shared.settings.policy.reloads();
        joined.then(|| Self {
            shared,
            id,
            access,
            origin,
            limiter,
            filters: Vec::new(),
            is_here: false,
            reloads,
            _counted: counted,
        })
    }

    /// Shows the browser `filters`, which it may see, from the place `resume` on where that is still known.
    pub(in crate::http) async fn show(&self, filters: Vec<Filter>, resume: Option<u64>) {
        self.catch_up(resume).await;
        self.tell(Command::Subscribe { id: self.id, filters, snap_id: "null".into(), resume }).await;
    }

    /// Reads from the browser until its connection ends. `already_read` came with the handshake.
    pub(in crate::http) async fn run(mut self, mut incoming: Incoming, already_read: Bytes) {
        let mut parser = Parser::new(self.shared.settings.limits.frame_bytes_max);
        parser.push(&already_read);
        drop(already_read);
        let mut waiting = Waiting::new();
        loop {
            match Box::pin(self.take_all(&mut parser, &mut waiting)).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(violation) => {
                    let Violation { code, reason } = violation;
                    self.tell(Command::Close { id: self.id, code, reason }).await;
                    break;
                }
            }
            let read = tokio::select! {
                read = incoming.read_into(&mut parser), if waiting.len() < OUTCOMES_WAITING_MAX => Some(read),
                outcomes = first_outcomes(&mut waiting), if !waiting.is_empty() => {
                    if let Some((refs, outcomes)) = outcomes {
                        Box::pin(self.tell_outcomes(refs, outcomes)).await;
                    }
                    None
                }
                () = self.reloads.next() => {
                    if !Box::pin(self.revise()).await {
                        break;
                    }
                    None
                }
            };
            match read {
                None => {}
                Some(Ok(bytes)) if bytes > 0 => {}
                Some(_) => return self.leave().await,
            }
        }
        // The connection was closed from here; the other side may still be sending, and agrees by closing too.
        let deaf = async {
            let mut ignored = Parser::new(0);
            while incoming.read_into(&mut ignored).await.is_ok_and(|bytes| bytes > 0) {
                ignored = Parser::new(0);
            }
        };
        let _ = tokio::time::timeout(DEAF_TIMEOUT, Box::pin(deaf)).await;
        self.leave().await;
    }

    /// Waits for the end of `gone`, or until the browser may not be here any more; then ends the session.
    pub(in crate::http) async fn wait_and_leave(mut self, gone: impl Future) {
        tokio::pin!(gone);
        loop {
            tokio::select! {
                _ = gone.as_mut() => break,
                () = self.reloads.next() => {
                    if !self.revise().await {
                        break;
                    }
                }
            }
        }
        self.leave().await;
    }

    /// Judges the browser anew after the policy changed; false when its connection ends. One that may see something else
    /// now comes back by itself, with its new rights.
    async fn revise(&mut self) -> bool {
        let old = &self.access.identity;
        let revised = self.shared.settings.policy.revise(old);
        let Some(new) = revised.filter(|new| new.role() == old.role() && new.read_rights() == old.read_rights()) else {
            let reason = "your rights have changed";
            self.tell(Command::Close { id: self.id, code: CloseCode::Policy, reason }).await;
            return false;
        };
        self.access.identity = new;
        true
    }

    /// Ends the session of a browser whose connection is gone.
    pub(in crate::http) async fn leave(self) {
        if self.is_here {
            let gone = Presence { connection: self.id, kind: MemberKind::Web, here: None };
            // A hub that stops has nobody here anyway.
            let _ = self.shared.engine.here(gone).await;
        }
        self.tell(Command::Leave { id: self.id }).await;
    }

    /// The id of the hub's start as this browser is told it.
    fn boot(&self) -> Arc<str> {
        boot_for(&self.shared.settings.boot, self.access.identity.read_rights())
    }

    async fn tell(&self, command: Command) -> bool {
        self.shared.fanout.tell(command).await
    }

    /// Carries out everything that was read; false when the connection ends.
    async fn take_all(&mut self, parser: &mut Parser, waiting: &mut Waiting) -> Result<bool, Violation> {
        let mut publishes = Vec::new();
        let mut refs = Vec::new();
        let result = loop {
            match parser.next() {
                Ok(None) => break Ok(true),
                Ok(Some(Message::Text(text))) => match self.read_frame(&text) {
                    Err((rejection, about)) => {
                        figures::rejected(rejection.code);
                        self.tell_rejection(rejection, &about).await;
                    }
                    Ok(Request::Publish { publish, reference }) => {
                        publishes.push(*publish);
                        refs.push(reference);
                    }
                    Ok(other) => {
                        // In the order in which the browser said it.
                        self.submit(&mut publishes, &mut refs, waiting).await;
                        self.carry_out(other).await;
                    }
                },
                Ok(Some(Message::Ping(payload))) => {
                    self.answer(server_frame(Opcode::Pong, &payload), 0).await;
                }
                Ok(Some(Message::Pong)) => {}
                Ok(Some(Message::Binary(_))) => {
                    break Err(Violation { code: CloseCode::Unsupported, reason: "frames are JSON text" });
                }
                Ok(Some(Message::Close)) => {
                    self.tell(Command::Close { id: self.id, code: CloseCode::Normal, reason: "" }).await;
                    break Ok(false);
                }
                Err(violation) => break Err(violation),
            }
        };
        self.submit(&mut publishes, &mut refs, waiting).await;
        result
    }

    fn read_frame(&mut self, text: &str) -> Result<Request, (Rejection, String)> {
        let frame = Inbound::parse(text).map_err(|(rejection, reference)| (rejection, named("ref", reference)))?;
        let about = named("ref", frame.reference()) + &named("id", frame.snapshot());
        if !self.limiter.admit(self.shared.clock.now().mono) {
            let most = self.shared.settings.limits.publishes_per_second_max;
            let message = format!("At most {most} frames a second are taken from one browser.");
            return Err((Rejection::new(Code::RateLimited, message), about));
        }
        frame.read(&self.origin).and_then(|request| self.allow(request)).map_err(|rejection| (rejection, about))
    }

    fn allow(&mut self, request: Request) -> Result<Request, Rejection> {
        match &request {
            Request::Publish { publish, .. } if !self.access.identity.may_publish(&publish.topic) => {
                Err(Rejection::new(Code::Forbidden, format!("You may not publish to `{}`.", publish.topic)))
            }
            Request::Here { room, .. } if self.access.identity.room().is_some_and(|own| own != room) => {
                Err(Rejection::new(Code::Forbidden, "A guest is in one room only."))
            }
            Request::Subscribe { filters, .. } => {
                if let Some(filter) = filters.iter().find(|filter| !self.access.identity.may_subscribe(filter)) {
                    return Err(Rejection::new(Code::Forbidden, format!("You may not subscribe to `{filter}`.")));
                }
                let mut all = self.filters.clone();
                all.extend(filters.iter().filter(|filter| !self.filters.contains(filter)).cloned());
                let most = self.shared.settings.limits.filters_max;
                if all.len() > most || filters.len() > most {
                    return Err(Rejection::new(Code::Limit, format!("A browser has at most {most} filters.")));
                }
                self.filters = all;
                Ok(request)
            }
            Request::Unsubscribe { filters } => {
                self.filters.retain(|filter| !filters.contains(filter));
                Ok(request)
            }
            _ => Ok(request),
        }
    }

    /// Waits until the shard is as far as a browser that comes back was told elsewhere: nothing it sees goes back. A place that
    /// there is not yet is an invention, and answered with a whole snapshot a little later.
    async fn catch_up(&self, resume: Option<u64>) {
        if let Some(seq) = resume {
            let _ = tokio::time::timeout(CATCH_UP_MAX, self.shared.fanout.reached_by(self.id, seq)).await;
        }
    }

    async fn submit(&self, publishes: &mut Vec<Publish>, refs: &mut Vec<Option<Box<str>>>, waiting: &mut Waiting) {
        if publishes.is_empty() {
            return;
        }
        let (publishes, refs) = (std::mem::take(publishes), std::mem::take(refs));
        match self.shared.engine.submit(Lane::Client, publishes).await {
            Ok(receipt) => waiting.push_back((refs, Box::pin(receipt.outcomes()))),
            Err(Stopped) => self.tell_outcomes(refs, None).await,
        }
    }

    async fn carry_out(&mut self, request: Request) {
        match request {
            Request::Subscribe { filters, id: snap_id, boot, seq } => {
                let resume = seq.filter(|_| boot.as_deref() == Some(&*self.boot()));
                self.catch_up(resume).await;
                self.tell(Command::Subscribe { id: self.id, filters, snap_id, resume }).await;
            }
            Request::Unsubscribe { filters } => {
                self.tell(Command::Unsubscribe { id: self.id, filters }).await;
            }
            Request::Here { room, name } => {
                let was_here = std::mem::replace(&mut self.is_here, name.is_some());
                if !was_here && name.is_none() {
                    return;
                }
                self.origin = Origin::Web(name.as_deref().map_or_else(|| unnamed(&self.access, self.id), Into::into));
                let here = Presence { connection: self.id, kind: MemberKind::Web, here: name.map(|name| (room, name)) };
                // A hub that is stopping says so by closing.
                let _ = self.shared.engine.here(here).await;
            }
            Request::Ping { id } => {
                let now = self.shared.clock.now().wall.unix_ms();
                let id = id.map_or(String::new(), |id| format!(r#","id":{id}"#));
                self.answer_json(format!(r#"{{"type":"pong","now":{now}{id}}}"#), 0).await;
            }
            // Submitted together with its neighbours.
            Request::Publish { .. } => {}
        }
    }

    async fn tell_outcomes(&self, refs: Vec<Option<Box<str>>>, outcomes: Option<Vec<Outcome>>) {
        let mut outcomes = outcomes.into_iter().flatten();
        for reference in refs {
            match outcomes.next() {
                Some(Ok(accepted)) => {
                    if let Some(reference) = reference {
                        let seq = accepted.seq;
                        self.answer_json(format!(r#"{{"type":"ack","ref":{reference},"seq":{seq}}}"#), seq).await;
                    }
                }
                Some(Err(rejection)) => self.tell_rejection(rejection, &named("ref", reference)).await,
                None => {
                    let rejection = Rejection::new(Code::Busy, "The hub is stopping, or could not keep it.");
                    self.tell_rejection(rejection, &named("ref", reference)).await;
                }
            }
        }
    }

    /// Tells the browser why a frame did nothing; `about` says which, as members of JSON (see [`named`]).
    async fn tell_rejection(&self, rejection: Rejection, about: &str) {
        let message = json!(rejection.message);
        let code = rejection.code.as_str();
        self.answer_json(format!(r#"{{"type":"err","code":"{code}","message":{message}{about}}}"#), 0).await;
    }

    async fn answer_json(&self, json: String, after_seq: u64) {
        self.answer(server_frame(Opcode::Text, json.as_bytes()), after_seq).await;
    }

    async fn answer(&self, frame: Bytes, after_seq: u64) {
        self.tell(Command::Answer { id: self.id, frame, after_seq }).await;
    }
}

/// Waits for the outcomes of the batch that was submitted first; none inside when the hub stops before they are known.
///
/// # Cancel safety
/// Nothing is lost when it is cancelled.
async fn first_outcomes(waiting: &mut Waiting) -> Option<(Vec<Option<Box<str>>>, Option<Vec<Outcome>>)> {
    let outcomes = waiting.front_mut()?.1.as_mut().await.ok();
    waiting.pop_front().map(|(refs, _)| (refs, outcomes))
}

/// A further member of a JSON object, where there is a value for it.
fn named(name: &str, json: Option<Box<str>>) -> String {
    json.map_or_else(String::new, |json| format!(r#","{name}":{json}"#))
}

/// What a browser is called that has not said a name.
fn unnamed(access: &Access, id: u64) -> Arc<str> {
    access.user().unwrap_or_else(|| format!("guest-{id}").into())
}

fn hello(shared: &Shared, access: &Access, origin: &Origin, name: &str) -> Hello {
    let settings = &shared.settings;
    let limits = &settings.limits;
    let mut you = json!({"by": origin.to_string(), "name": name, "role": access.identity.role().as_str()});
    if let Some(room) = access.identity.room() {
        you["room"] = json!(room);
    }
    let rest = json!({
        "now": shared.clock.now().wall.unix_ms(),
        "hub": {"name": settings.name, "version": settings.version, "root": settings.root},
        "you": you,
        "limits": {
            "frame_bytes_max": limits.frame_bytes_max,
            "filters_max": limits.filters_max,
            "publishes_per_second_max": limits.publishes_per_second_max,
            "slider_interval_ms": u64::try_from(limits.slider_interval.as_millis()).unwrap_or(u64::MAX),
        },
    });
    let rest = rest.to_string();
    Hello {
        before_seq: format!(
            r#"{{"type":"hello","boot":{},"seq":"#,
            json!(&*boot_for(&settings.boot, access.identity.read_rights()))
        ),
        after_seq: format!(",{}", rest.trim_start_matches('{')),
    }
}
