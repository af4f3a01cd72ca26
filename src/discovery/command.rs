//! `lockstep discovery`: prints the documents, to look at or to compare.
//!
//! Publishing does not belong here.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    time::Duration,
};

use clap::Args;

use super::{BoxInfo, HubInfo, Settings, documents};
use crate::{
    address::{self, Address},
    domain::{
        hub::{Hub, HubSpec},
        id::Id,
        time::{Mono, Now, Wall},
    },
};

/// How long a hub may take to say what it has.
const ASK_WITHIN: Duration = Duration::from_secs(5);

/// The largest message that is read, in bytes.
const PACKET_BYTES_MAX: usize = 1 << 20;

/// What `lockstep discovery` takes.
#[derive(Debug, Clone, Args)]
pub struct Arguments {
    /// A running hub to ask; without it the documents are made from the configuration
    #[arg(long, value_name = "URL")]
    pub hub: Option<Address>,
    /// The user there
    #[arg(long, requires = "hub")]
    pub user: Option<String>,
    /// A file whose first line is the password there
    #[arg(long, value_name = "FILE", requires = "user")]
    pub password_file: Option<std::path::PathBuf>,
}

/// Prints every document as `TOPIC PAYLOAD`, one a line, ready for `mosquitto_pub -l`.
///
/// # Errors
/// Where the hub that is asked does not answer, or the output cannot be written.
pub fn run(arguments: &Arguments, settings: &Settings, spec: &dyn Fn(String) -> HubSpec) -> anyhow::Result<()> {
    let (info, boxes) = match &arguments.hub {
        Some(address) => ask(arguments, address, spec(String::new()).root.as_str())?,
        // The id of a hub that never ran is not known yet.
        None => (of_configuration(spec("new".to_owned()))?, BTreeMap::new()),
    };
    let mut out = io::stdout().lock();
    for document in documents(&info, &boxes, settings) {
        writeln!(out, "{} {}", document.topic, document.payload)?;
    }
    Ok(())
}

fn of_configuration(spec: HubSpec) -> anyhow::Result<HubInfo> {
    let mut hub = Hub::new(spec);
    // Readings are known once the hub has started; what it says otherwise does not matter here.
    let now = Now { mono: Mono::default(), wall: Wall::default(), wall_synchronised: false };
    hub.start([], 0, now);
    HubInfo::read(hub.info().to_string().as_bytes())
        .ok_or_else(|| anyhow::anyhow!("the hub's own description is broken"))
}

/// Asks a running hub by MQTT for what it has. Boxes come in the same snapshot, so a ping behind it marks its end.
fn ask(arguments: &Arguments, address: &Address, root: &str) -> anyhow::Result<(HubInfo, BTreeMap<Id, BoxInfo>)> {
    use rumqttc::{Event, MqttOptions, Packet, QoS, TlsConfiguration, Transport};
    let mut options =
        MqttOptions::new(format!("lockstep-discovery-{}", std::process::id()), &address.host, address.port);
    options.set_max_packet_size(PACKET_BYTES_MAX, PACKET_BYTES_MAX).set_keep_alive(Duration::from_secs(5));
    if address.tls {
        options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(address::tls(None)?)));
    }
    if let Some(user) = &arguments.user {
        let password = arguments.password_file.as_ref().map(address::read_password).transpose()?;
        options.set_credentials(user, password.unwrap_or_default());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let asking = async {
        let (client, mut events) = rumqttc::AsyncClient::new(options, 4);
        // The hub itself comes last: with it everything is there.
        client.subscribe(format!("{root}/device/+/info"), QoS::AtLeastOnce).await?;
        client.subscribe(format!("{root}/hub/info"), QoS::AtLeastOnce).await?;
        let mut boxes = BTreeMap::new();
        loop {
            let Event::Incoming(Packet::Publish(publish)) = events.poll().await? else { continue };
            let mut levels = publish.topic.split('/').skip(1);
            match (levels.next(), levels.next()) {
                (Some("device"), Some(id)) => {
                    if let (Ok(id), Some(said)) = (id.parse(), BoxInfo::read(&publish.payload)) {
                        boxes.insert(id, said);
                    }
                }
                (Some("hub"), Some("info")) => {
                    let info = HubInfo::read(&publish.payload);
                    return info
                        .map(|info| (info, boxes))
                        .ok_or_else(|| anyhow::anyhow!("{root}/hub/info is no hub's"));
                }
                _ => {}
            }
        }
    };
    let answer = runtime.block_on(async { tokio::time::timeout(ASK_WITHIN, asking).await });
    answer.unwrap_or_else(|_| Err(anyhow::anyhow!("{address} did not tell about a hub with root `{root}`")))
}
