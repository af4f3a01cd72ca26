//! The layers of the configuration: default, file, environment, command line; and where each value was set.
//!
//! What a value means does not belong here.

use std::{collections::BTreeMap, fmt, path::Path};

use config::{Config as Merged, Environment, File, FileFormat, Map, Source, Value, ValueKind};
use serde::de::DeserializeOwned;

use crate::domain::nearest::nearest;

/// What the command line sets: key and value, with the option that did it.
#[derive(Debug, Clone, Default)]
pub struct Overrides(pub Vec<(String, String, &'static str)>);

/// One thing that is wrong, in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault(String);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

struct Layer {
    place: String,
    values: BTreeMap<String, Value>,
}

/// How the environment is called as a place.
const ENVIRONMENT: &str = "the environment";

/// All layers, the weakest first.
pub(super) struct Layers(Vec<Layer>);

/// Reads every layer, and finds keys that do not exist.
pub(super) fn read(file: Option<&Path>, overrides: &Overrides) -> Result<Layers, Vec<Fault>> {
    let default = collect("the default", &File::from_str(super::DEFAULT, FileFormat::Toml))?;
    let mut layers = vec![default];
    if let Some(path) = file {
        let place = path.display().to_string();
        if path.is_dir() {
            return Err(vec![Fault(format!("{place}: this is a folder; name the file in it"))]);
        }
        if !path.exists() {
            return Err(vec![Fault(format!("{place}: there is no such file"))]);
        }
        layers.push(collect(&place, &File::new(&place, FileFormat::Toml))?);
    }
    let environment = Environment::with_prefix("LOCKSTEP").prefix_separator("__").separator("__").try_parsing(true);
    let mut environment = collect(ENVIRONMENT, &environment)?;
    environment.place = ENVIRONMENT.to_owned();
    layers.push(environment);
    for (key, value, option) in &overrides.0 {
        layers.push(Layer { place: (*option).to_owned(), values: BTreeMap::from([(key.clone(), typed(value))]) });
    }
    let mut faults = Vec::new();
    let known: Vec<String> = layers[0].values.keys().cloned().collect();
    for layer in &layers[1..] {
        for key in layer.values.keys().filter(|key| !known.contains(key)) {
            let same_end = known.iter().find(|known| known.rsplit('.').next() == key.rsplit('.').next());
            let near = same_end.map(String::as_str).or_else(|| nearest(key, known.iter().map(String::as_str)));
            let hint = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            faults.push(Fault(format!("{}: there is no key `{key}`{hint}", layer.place)));
        }
    }
    if faults.is_empty() { Ok(Layers(layers)) } else { Err(faults) }
}

impl Layers {
    /// Puts the file at `path` above all files and beneath the environment.
    pub(super) fn insert_file(&mut self, path: &Path) -> Result<(), Vec<Fault>> {
        let place = path.display().to_string();
        let layer = collect(&place, &File::new(&place, FileFormat::Toml))?;
        self.0.insert(self.above_files(), layer);
        Ok(())
    }

    /// Whether the environment or the command line sets `key`.
    pub(super) fn is_set_above_files(&self, key: &str) -> bool {
        self.0[self.above_files()..].iter().any(|layer| layer.values.contains_key(key))
    }

    /// Where the layers begin that are stronger than every file.
    fn above_files(&self) -> usize {
        self.0.iter().position(|layer| layer.place == ENVIRONMENT).unwrap_or(self.0.len())
    }

    /// The strongest value of each key, as `T`.
    pub(super) fn merged<T: DeserializeOwned>(&self) -> Result<T, Vec<Fault>> {
        let mut builder = Merged::builder();
        for layer in &self.0 {
            for (key, value) in &layer.values {
                builder = builder.set_override(key, value.clone()).map_err(|e| vec![Fault(e.to_string())])?;
            }
        }
        let merged = builder.build().map_err(|e| vec![Fault(e.to_string())])?;
        merged.try_deserialize().map_err(|e| vec![self.explain(&e.to_string())])
    }

    /// A library's message with the place where the key was set, where the message names one.
    fn explain(&self, message: &str) -> Fault {
        let key = message.split("for key `").nth(1).and_then(|rest| rest.split('`').next());
        match key {
            Some(key) => {
                let what = message.split(" for key `").next().unwrap_or(message);
                self.fault(key.split('[').next().unwrap_or(key), what.to_owned())
            }
            None => Fault(format!("configuration: {message}")),
        }
    }

    /// A fault of `key`, with its value and where it was set.
    pub(super) fn fault(&self, key: &str, text: String) -> Fault {
        let set = self.0.iter().rev().find_map(|layer| layer.values.get(key).map(|value| (&layer.place, value)));
        match set {
            Some((place, value)) if !matches!(value.kind, ValueKind::Array(_) | ValueKind::Table(_)) => {
                Fault(format!("{place}: `{key}` is `{value}`: {text}"))
            }
            Some((place, _)) => Fault(format!("{place}: `{key}`: {text}")),
            None => Fault(format!("`{key}`: {text}")),
        }
    }
}

fn collect(place: &str, source: &dyn Source) -> Result<Layer, Vec<Fault>> {
    let map = source.collect().map_err(|e| {
        let text = e.to_string();
        vec![Fault(format!("{place}: {}", text.split_whitespace().collect::<Vec<_>>().join(" ")))]
    })?;
    let mut values = BTreeMap::new();
    flatten("", map, &mut values);
    Ok(Layer { place: place.to_owned(), values })
}

fn flatten(prefix: &str, map: Map<String, Value>, values: &mut BTreeMap<String, Value>) {
    for (key, value) in map {
        let key = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
        match value.kind {
            ValueKind::Table(table) => flatten(&key, table, values),
            _ => {
                values.insert(key, value);
            }
        }
    }
}

/// A value from the command line: a TOML value where it is one, else text.
fn typed(text: &str) -> Value {
    let parsed = File::from_str(&format!("value = {text}"), FileFormat::Toml).collect();
    parsed.ok().and_then(|mut values| values.remove("value")).unwrap_or_else(|| text.into())
}
