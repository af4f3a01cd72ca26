//! `lockstep tls init`: an authority of one's own, and a certificate of it for this machine.

use std::{collections::BTreeSet, fs, io::Write, os::unix::fs::OpenOptionsExt, path::Path};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

use super::lan::lan_addresses;
use crate::config::Config;

/// How long the authority is good for: nobody wants to install it on every phone again.
const AUTHORITY_YEARS: i16 = 20;
/// How long the hub's certificate is good for. Apple's systems take no more than 825 days.
const CERTIFICATE_DAYS: i64 = 800;

#[derive(Debug, Clone, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// Make an authority (once) and a certificate for this machine's names and addresses; again to renew it
    Init {
        /// A further name or address that the hub is reached by; may be given several times
        #[arg(long = "name", value_name = "NAME")]
        names: Vec<String>,
    },
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> anyhow::Result<()> {
    let Command::Init { names } = &arguments.command;
    let folder = config.tls_certificate_file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder `{}`", folder.display()))?;
    let (ca_file, ca_key_file) = (folder.join("ca.pem"), folder.join("ca.key"));
    let issuer = match (ca_file.exists(), ca_key_file.exists()) {
        (true, true) => {
            let key = KeyPair::from_pem(&fs::read_to_string(&ca_key_file)?)
                .with_context(|| format!("`{}` is no key", ca_key_file.display()))?;
            Issuer::from_ca_cert_pem(&fs::read_to_string(&ca_file)?, key)
                .with_context(|| format!("`{}` is no certificate", ca_file.display()))?
        }
        (false, false) => {
            let key = KeyPair::generate()?;
            let params = authority(&config.name);
            let certificate = params.self_signed(&key)?;
            write(&ca_key_file, &key.serialize_pem(), 0o600)?;
            write(&ca_file, &certificate.pem(), 0o644)?;
            Issuer::new(params, key)
        }
        _ => bail!(
            "of `{}` and `{}` only one is there; put the other back, or remove it",
            ca_file.display(),
            ca_key_file.display()
        ),
    };
    let all = names_of(config, names);
    let mut params = CertificateParams::new(all.iter().cloned().collect::<Vec<_>>())?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, config.name.clone());
    params.is_ca = IsCa::NoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let today = today();
    let end = today.checked_add(jiff::Span::new().days(CERTIFICATE_DAYS)).unwrap_or(today);
    set_validity(&mut params, end);
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?;
    write(&config.tls_key_file, &key.serialize_pem(), 0o600)?;
    write(&config.tls_certificate_file, &certificate.pem(), 0o644)?;

    println!("The certificate is for {}.", all.into_iter().collect::<Vec<_>>().join(", "));
    println!("It is good until {end}; type this again to renew it.");
    println!("\nInstall the authority once on each phone, box and browser:\n  {}", ca_file.display());
    println!(
        "\nListen with TLS by\n  lockstep --set http.listen_tls=ADDR --set mqtt.listen_tls=ADDR\nor in the configuration file, and restart the hub."
    );
    Ok(())
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, format!("{name} (own authority)"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let today = today();
    set_validity(&mut params, today.checked_add(jiff::Span::new().years(AUTHORITY_YEARS)).unwrap_or(today));
    params
}

fn today() -> jiff::civil::Date {
    jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date()
}

/// Sets from when until when a certificate is good; from yesterday on, for clocks that are behind.
fn set_validity(params: &mut CertificateParams, until: jiff::civil::Date) {
    let of = |number: i8| u8::try_from(number).unwrap_or(1);
    let from = today().yesterday().unwrap_or(until);
    params.not_before = date_time_ymd(from.year().into(), of(from.month()), of(from.day()));
    params.not_after = date_time_ymd(until.year().into(), of(until.month()), of(until.day()));
}

/// The names and addresses by which people and devices call this machine.
fn names_of(config: &Config, more: &[String]) -> BTreeSet<String> {
    let own = rustix::system::uname().nodename().to_string_lossy().to_lowercase();
    let short = own.split('.').next().unwrap_or_default();
    let mut names: BTreeSet<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
    if !short.is_empty() {
        names.insert(format!("{short}.local"));
        names.insert(own.clone());
    }
    names.extend(lan_addresses().iter().map(ToString::to_string));
    names.extend(config.allowed_hosts.iter().map(|host| host.split(':').next().unwrap_or(host).to_lowercase()));
    names.extend(more.iter().cloned());
    names
}

fn write(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let new = path.with_extension("new");
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&new)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&new, path));
    written.with_context(|| format!("cannot write `{}`", path.display()))
}
