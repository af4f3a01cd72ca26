//! The whole hub, put together: what is opened, bound, started and stopped, and in which order.
//!
//! Arguments and exit codes do not belong here (that is `cli`), nor does anything that an edge can do by itself.

mod listening;
mod parts;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};
use tracing::{info, warn};

use self::{
    listening::{bind_all, http_tls, tell_ready, to_tokio, with_tls},
    parts::{
        history_source, http_settings, invitation_taker, login_keeper, mdns_settings, metrics_text, policy_settings,
        socketio_settings,
    },
};
use crate::{
    clock::Clock,
    config::Config,
    control,
    discovery::{self, mdns},
    domain::{hub::Hub, publication::Publication},
    engine::{self, Engine, StoreHealth},
    figures::Figures,
    http, link, mqtt,
    policy::{Invitations, Logins, Policy},
    store::{Journal, JournalHandle},
    tls,
};

/// The name of the journal in the data folder.
pub const JOURNAL_FILE: &str = "lockstep.redb";

/// How long a stop may take in all before what is left is cut off.
const STOP_TIME: Duration = Duration::from_millis(4500);

/// How long a signal that came while everything ended is listened for.
const LAST_WORD: Duration = Duration::from_millis(20);

/// What serving ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The process was told to stop.
    Stopped,
    /// The hub is to start anew, with its configuration read again.
    Restart,
}

/// Serves until the process is told to stop.
///
/// `ready_json` asks for exactly one line on standard output once everything listens.
///
/// # Errors
/// Why the hub cannot start, as a chain of sentences for people.
pub fn serve(config: Config, ready_json: bool) -> anyhow::Result<Ended> {
    let policy = Policy::load(policy_settings(&config))?;
    refuse_open_hub(&config, &policy)?;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(config.threads).enable_all().build().context("cannot start threads")?;
    let served = runtime.block_on(serve_async(config, policy, ready_json));
    // Whatever still blocks a thread must not hold up the end of the process.
    runtime.shutdown_timeout(Duration::from_millis(200));
    served
}

/// Runs a command that goes on until the process is told to stop.
///
/// # Errors
/// What the command says, or that there are no threads.
pub fn until_told<F: Future<Output = anyhow::Result<()>>>(
    command: impl FnOnce(tokio_util::sync::WaitForCancellationFutureOwned) -> F,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start threads")?;
    let stop = tokio_util::sync::CancellationToken::new();
    let running = command(stop.clone().cancelled_owned());
    let done = runtime.block_on(async {
        let told_to_stop = told_to_stop()?;
        tokio::pin!(running);
        tokio::select! {
            done = &mut running => return done,
            () = told_to_stop => {}
        }
        stop.cancel();
        running.await
    });
    runtime.shutdown_timeout(Duration::from_millis(200));
    done
}

/// Refuses to let other machines in while nobody decided who may do what.
fn refuse_open_hub(config: &Config, policy: &Policy) -> anyhow::Result<()> {
    if config.is_loopback_only() || config.anonymous.is_some() || policy.has_users() {
        return Ok(());
    }
    let open = config.listening().find(|address| !address.ip().is_loopback());
    let open = open.map_or_else(String::new, ToString::to_string);
    bail!(
        "{open} can be reached by other machines, and this hub has no users. \
         Type `lockstep lan` to make them, or `--set security.anonymous=viewer` (or member, or none) to decide it yourself."
    )
}

async fn serve_async(config: Config, policy: Policy, ready_json: bool) -> anyhow::Result<Ended> {
    // Before anything is told ready: a signal that nobody has asked for ends the process at once.
    let told_to_stop = told_to_stop()?;
    tokio::pin!(told_to_stop);
    let mut hang_ups = signal(SignalKind::hangup())?;
    // Before anything counts: what is counted without a recorder is lost.
    let figures = Figures::keep().context("cannot keep figures")?;
    tokio::spawn(figures.clone().sort());
    let clock = Clock::system();
    let boot = new_boot_id();

    // Everything that may be refused comes before anything runs.
    let http_sockets = bind_all("the dashboard", &config.http_listen, "--http")?;
    let mqtt_sockets = bind_all("MQTT", &config.mqtt_listen, "--mqtt")?;
    let mqtt_tls_sockets = bind_all("MQTT with TLS", &config.mqtt_listen_tls, "--set mqtt.listen_tls")?;
    let http_tls_sockets = bind_all("the dashboard with TLS", &config.http_listen_tls, "--set http.listen_tls")?;
    let tls = if mqtt_tls_sockets.is_empty() && http_tls_sockets.is_empty() {
        None
    } else {
        let client_ca = config.tls_client_ca_file.as_deref();
        Some(tls::Acceptor::load(&config.tls_certificate_file, &config.tls_key_file, client_ca)?)
    };
    let path = config.data_dir.join(JOURNAL_FILE);
    let (journal, restored) = tokio::task::spawn_blocking(move || Journal::open(&path)).await??;

    let (mut engine, handle) =
        Engine::new(Hub::new(config.hub_spec(boot.clone())), clock.clone(), config.limits.clone());
    // Whoever is not concerned is not woken: a task more on the way from device to device is felt. The door is told last: whom a thread
    // wakes last it runs first, and the door's messages have the longest way before them.
    let http_outlets =
        (0..config.http_writers).map(|_| engine.outlet_about("browsers", Publication::is_level)).collect();
    let below_root = format!("{}/", config.root);
    let socketio_outlet =
        engine.outlet_about("socketio", move |publication| publication.topic.as_str().starts_with(&below_root));
    let discovery_outlet = engine.outlet_about("discovery", discovery::concern(&config.root, &config.discovery));
    let link_side = |engine: &mut Engine| {
        let (outlet, engine) = (engine.outlet_for("link"), handle.clone());
        link::HubSide::Inside { engine, outlet, boot: boot.clone() }
    };
    let link_side = config.link.as_ref().map(|settings| (settings, link_side(&mut engine)));
    let door_outlet = engine.outlet_for("router");
    let logins = Logins::lasting(config.http_limits.logins, restored.logins);
    let put_back = restored.values.iter().filter(|value| engine.puts_back(value)).count();
    let interest = Arc::default();
    let (keeper, keeps) = engine::Keeper::new(Arc::clone(&interest), restored.starts);
    let sessions = mqtt::Lasting::read(keeper, restored.sessions, put_back as u64);
    let journal =
        start_journal(journal.with_sessions(Arc::clone(&interest), keeps), interest, &mut engine, &config, &clock)?;
    engine.start(restored.values, restored.revision);

    let mqtt_addresses: Vec<SocketAddr> = mqtt_sockets.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?;
    let foundation = mqtt::Foundation {
        engine: handle.clone(),
        outlet: door_outlet,
        clock: clock.clone(),
        policy: policy.clone(),
        settings: mqtt::Settings { boot: boot.clone(), ..config.mqtt.clone() },
    };
    let door = mqtt::start_lasting(foundation, Some(sessions)).await?;
    let tls_addresses: Vec<SocketAddr> =
        mqtt_tls_sockets.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?;
    let mqtt_listening = with_tls(&[&mqtt_addresses[..], &tls_addresses].concat(), mqtt_addresses.len());
    for socket in to_tokio(mqtt_sockets)? {
        door.listen(socket, None)?;
    }
    if let Some(tls) = &tls {
        for socket in to_tokio(mqtt_tls_sockets)? {
            door.listen(socket, Some(tls.clone()))?;
        }
    }
    let http_plain = http_sockets.len();
    let mut http_listeners: Vec<http::Listener> =
        to_tokio(http_sockets)?.into_iter().map(|socket| http::Listener { socket, tls: None }).collect();
    if let Some(tls) = &tls {
        let listener = |socket| http::Listener { socket, tls: Some(http_tls(tls)) };
        http_listeners.extend(to_tokio(http_tls_sockets)?.into_iter().map(listener));
    }
    let invitations = Invitations::default();
    let http = http::start_with_socketio(
        http_listeners,
        handle.clone(),
        http_outlets,
        Some((socketio_settings(&config), socketio_outlet)),
        http::Settings {
            metrics: Some(metrics_text(figures, &door)),
            history: Some(history_source(&journal)),
            keep_logins: Some(login_keeper(&journal, &logins)),
            logins,
            invitations: Some(invitation_taker(&invitations, &clock)),
            ..http_settings(&config, &boot, policy.clone(), &door)
        },
        clock.clone(),
    )?;
    let discovery = discovery::start(handle.clone(), discovery_outlet, &config.root, &config.discovery);
    let link = match link_side {
        Some((settings, side)) => {
            Some(link::start(side, &config.root, settings, clock.clone()).context("cannot set up the link")?)
        }
        None => None,
    };
    let http_listening = with_tls(http.addresses(), http_plain);
    let advertisement =
        if config.mdns { mdns::start(&mdns_settings(&config, &http_listening, &mqtt_listening)) } else { None };

    let stop = tokio_util::sync::CancellationToken::new();
    let running = tokio::spawn(engine.run(stop.clone().cancelled_owned()));
    let (asked, mut restarts) = tokio::sync::mpsc::channel(1);
    let control = control::start(control::Controlled {
        folder: config.data_dir.clone(),
        status: control::Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            boot: boot.clone(),
            pid: std::process::id(),
            http: http.addresses().to_vec(),
            mqtt: mqtt_addresses.clone(),
            http_is_fixed: config.http_listen_is_fixed,
            mqtt_is_fixed: config.mqtt_listen_is_fixed,
        },
        policy: policy.clone(),
        invitations: invitations.clone(),
        clock: clock.clone(),
        journal: journal.clone(),
        restart: asked,
    });
    tell_ready(&config, &http_listening, &mqtt_listening, ready_json)?;
    control::notify_service("READY=1");

    let mut ended = wait_for_end(&policy, &mut restarts, &mut hang_ups, told_to_stop.as_mut()).await;
    control::notify_service("STOPPING=1");
    info!("stopping");
    drop(control);
    let orderly = async {
        // The engine says `offline` first, so that everybody still connected hears it.
        stop.cancel();
        if let Err(e) = running.await {
            warn!(error = %e, "the engine did not end well");
        }
        door.stop().await;
        discovery.stop().await;
        if let Some(link) = link {
            link.stop().await;
        }
        if let Some(advertisement) = advertisement {
            advertisement.stop().await;
        }
        http.stop().await;
        journal.stop().await;
    };
    if tokio::time::timeout(STOP_TIME, orderly).await.is_err() {
        warn!("not everything ended in time; what was acknowledged is on disk all the same");
    }
    // Who is told to stop while it ends for a restart stops.
    if ended == Ended::Restart && tokio::time::timeout(LAST_WORD, told_to_stop).await.is_ok() {
        ended = Ended::Stopped;
    }
    Ok(ended)
}

fn start_journal(
    journal: Journal,
    interest: Arc<engine::Interest>,
    engine: &mut Engine,
    config: &Config,
    clock: &Clock,
) -> anyhow::Result<JournalHandle> {
    let (health, health_seen) = watch::channel(StoreHealth::Healthy);
    let (ceiling, ceiling_seen) = watch::channel(journal.revision_ceiling());
    let (storage, entries) = engine::storage(&config.limits, health_seen, ceiling_seen);
    engine.set_storage(storage.with_interest(interest));
    let journal = journal.start(entries, health, ceiling).context("cannot start the journal")?;
    let kept = Duration::from_secs(u64::from(config.history_days) * 86_400);
    let forget = journal.clone();
    let clock = clock.clone();
    tokio::spawn(async move {
        loop {
            forget.forget_before(clock.now().wall.before(kept).unix_ms()).await;
            tokio::time::sleep(Duration::from_secs(86_400)).await;
        }
    });
    Ok(journal)
}

/// A new id for each start, so that clients notice a restart: 16 hexadecimal digits.
fn new_boot_id() -> String {
    let number = getrandom::u64().unwrap_or_else(|_| u64::from(std::process::id()));
    format!("{number:016x}")
}

/// Waits for the signal or the order to end; SIGHUP reads users and rules again.
async fn wait_for_end(
    policy: &Policy,
    restarts: &mut tokio::sync::mpsc::Receiver<()>,
    hang_ups: &mut Signal,
    mut told_to_stop: Pin<&mut impl Future<Output = ()>>,
) -> Ended {
    loop {
        tokio::select! {
            () = told_to_stop.as_mut() => return Ended::Stopped,
            Some(()) = restarts.recv() => return Ended::Restart,
            _ = hang_ups.recv() => match policy.reload() {
                Ok(()) => info!("users and access rules were read again"),
                Err(e) => warn!(error = %e, "users and access rules stay as they were"),
            },
        }
    }
}

/// Listens for SIGTERM and SIGINT from now on; the future is done when one of them came.
fn told_to_stop() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
