//! Being a box: board, agent and link in one loop, until somebody stops it.

use std::{
    io,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, anyhow};
use lockstep::domain::id::Id;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    agent::{Agent, Input, Output, Report},
    board::{Board, BoardEvent},
    clock::{self, Mono},
    config::Config,
    identity,
    link::{Link, LinkEvent, Login, Publisher},
};

/// The id that is given, or the machine's.
///
/// # Errors
/// The machine has nothing to derive one from.
pub fn device_id(given: Option<&Id>) -> Result<Id> {
    given.cloned().or_else(identity::derive).ok_or_else(|| {
        anyhow!("this machine has neither a serial number nor a machine-id: give the box a name of its own with --id")
    })
}

/// Is a box until a signal or the board stops it.
///
/// # Errors
/// What was wrong at start, or that the board is gone.
pub fn run(config: &Config) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    let done = runtime.block_on(serve(config));
    // A host name that is being looked up must not hold the end up.
    runtime.shutdown_background();
    done
}

async fn serve(config: &Config) -> Result<()> {
    let id = device_id(config.id.as_ref())?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut hang_up = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    let topics = crate::agent::Topics::new(config.hub.root.clone(), config.hub.room.clone(), id.clone());
    let login = Login::read(&config.hub, id.as_str(), topics.availability())?;
    let mut board = Board::open(config)?;
    let now = clock::now();
    let agent = Agent::new(config, id.clone(), run_name(), board.shows_countdown(), now);
    let start = Report::Start {
        id,
        hub: config.hub.address.to_string(),
        room: config.hub.room.clone(),
        board: config.board.word(),
        version: env!("CARGO_PKG_VERSION"),
    };
    board.tell(&start)?;
    board.show(agent.shown(), now)?;
    let mut running = Running { agent, board, publisher: None };
    let mut link = Link::start(config.hub.address.clone(), login);
    let done = loop {
        let next = running.agent.next_wakeup();
        let step = tokio::select! {
            biased;
            _ = interrupt.recv() => break Ok(()),
            _ = terminate.recv() => break Ok(()),
            _ = hang_up.recv() => break Ok(()),
            event = running.board.next() => match event {
                Ok(BoardEvent::Input(input)) => running.input(input, clock::now()),
                Ok(BoardEvent::Redraw) => running.board.show(running.agent.shown(), clock::now()),
                Ok(BoardEvent::Quit) => break Ok(()),
                Err(e) => Err(e),
            },
            event = link.next() => match event {
                Some(event) => running.link(event, clock::now()),
                None => break Err(anyhow!("the connection's task ended")),
            },
            () = clock::sleep_until(next) => running.wake(clock::now()),
        };
        if let Err(e) = step {
            // Nobody reads the headless board's lines any more: a script that has seen enough.
            break if e.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(e).context("the board is gone") };
        }
    };
    let Running { agent, board, publisher } = running;
    board.stop();
    if let Some(publisher) = &publisher {
        // Not queued: the connection is gone, and the broker sends the will.
        let _queued = publisher.publish(&agent.topics().availability(), "offline", true, None);
    }
    link.stop(publisher).await;
    done
}

struct Running {
    agent: Agent,
    board: Board,
    publisher: Option<Publisher>,
}

impl Running {
    fn input(&mut self, input: Input, now: Mono) -> io::Result<()> {
        let outputs = self.agent.input(input, now);
        self.act(outputs, now)
    }

    fn wake(&mut self, now: Mono) -> io::Result<()> {
        let outputs = self.agent.wake(now);
        self.act(outputs, now)
    }

    fn link(&mut self, event: LinkEvent, now: Mono) -> io::Result<()> {
        let input = match event {
            LinkEvent::Connected { protocol, publisher } => {
                self.publisher = Some(publisher);
                Input::Connected { protocol }
            }
            LinkEvent::Disconnected { reason } => {
                self.publisher = None;
                Input::Disconnected { reason }
            }
            LinkEvent::Message { topic, payload } => Input::Message { topic, payload },
            LinkEvent::Acknowledged { token, refused } => Input::Acknowledged { token, refused },
        };
        self.input(input, now)
    }

    /// Does what the agent wants: the light first, then the wire, then the words.
    fn act(&mut self, outputs: Vec<Output>, now: Mono) -> io::Result<()> {
        self.board.show(self.agent.shown(), now)?;
        let mut refused = Vec::new();
        for output in &outputs {
            match output {
                Output::Subscribe(filters) => {
                    // A new connection's queue is empty; a connection that ended meanwhile is told by itself.
                    let _queued = self.publisher.as_ref().is_some_and(|publisher| publisher.subscribe(filters));
                }
                Output::Publish { topic, payload, retain, token } => {
                    let publisher = self.publisher.as_ref();
                    let queued = publisher.is_some_and(|publisher| publisher.publish(topic, payload, *retain, *token));
                    if !queued {
                        refused.extend(*token);
                    }
                }
                Output::Tell(_) => {}
            }
        }
        for output in &outputs {
            if let Output::Tell(report) = output {
                self.board.tell(report)?;
            }
        }
        for token in refused {
            self.input(Input::NotQueued { token }, now)?;
        }
        Ok(())
    }
}

/// Differs from start to start, so that the hub does not take this run's commands for repeats of an earlier run's.
fn run_name() -> String {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:x}", since_epoch.as_millis() ^ (u128::from(std::process::id()) << 44))
}
