//! The closed list of kinds. A new kind is one file here and one line in the list.

use serde::{Deserialize, Serialize};

use super::thing::Thing;

pub mod pomodoro;
pub mod slider;

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $word:literal in $module:ident,)*) => {
        /// What a thing is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Kind {
            $($(#[$doc])* $variant,)*
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The kind's word.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            /// The kind's settings as it has them unless configured otherwise.
            #[must_use]
            pub fn default_settings(self) -> Settings {
                match self { $(Self::$variant => Settings::$variant($module::Settings::default())),* }
            }
        }

        /// How a thing is set up: its kind with the kind's own settings.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "kind", rename_all = "snake_case")]
        pub enum Settings {
            $($(#[$doc])* $variant($module::Settings),)*
        }

        impl Settings {
            /// The kind.
            #[must_use]
            pub const fn kind(&self) -> Kind {
                match self { $(Self::$variant(_) => Kind::$variant),* }
            }

            /// What is wrong with the settings, each fault in one sentence that names the setting.
            #[must_use]
            pub fn faults(&self) -> Vec<String> {
                match self { $(Self::$variant(settings) => settings.faults()),* }
            }

            /// A new thing with these settings.
            #[must_use]
            pub fn build(&self) -> Box<dyn Thing> {
                match self { $(Self::$variant(settings) => Box::new($module::new(settings.clone()))),* }
            }
        }
    };
}

kinds! {
    /// The six-state shared Pomodoro.
    Pomodoro = "pomodoro" in pomodoro,
    /// A number between limits that anybody may move.
    Slider = "slider" in slider,
}

#[cfg(test)]
mod laws;
