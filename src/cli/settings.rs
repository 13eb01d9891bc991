//! The flags that set something, shared by the commands that need settings.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use figment::value::Value;

use crate::config::{ConfigError, Flag, LogFormat, Settings, Sources};

/// Where settings come from: built-in defaults, then the file, then `NUSKU_…`
/// variables, then the other flags.
#[derive(Debug, Default, Args)]
pub(super) struct SettingsArgs {
    /// A TOML file with settings.
    #[arg(long, value_name = "FILE", help = "A TOML file with settings [env: NUSKU_CONFIG]")]
    config: Option<PathBuf>,
    /// The address or host name to listen on
    #[arg(long, value_name = "ADDRESS")]
    bind: Option<String>,
    /// The port to listen on; 0 lets the system choose a free one
    #[arg(long)]
    port: Option<u16>,
    /// Where messages are kept.
    #[arg(
        long,
        value_name = "URI",
        help = "Where messages are kept: embedded:DIRECTORY, mongodb://HOSTS, or discard: for nowhere"
    )]
    storage: Option<String>,
    /// Serve /v2/health
    #[arg(long = "admin_mode", visible_alias = "admin-mode")]
    admin_mode: bool,
    /// How log lines look
    #[arg(long, value_enum)]
    log_format: Option<LogFormat>,
    /// What to log: error, warn, info, debug, trace, or a filter by module
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
}

impl SettingsArgs {
    /// For a command that only looks for a store.
    pub(super) fn for_store(config: Option<PathBuf>, storage: Option<String>) -> Self {
        Self { config, storage, ..Self::default() }
    }

    /// The settings in force.
    pub(super) fn load(&self) -> Result<Settings, ConfigError> {
        Settings::load(&Sources::of_process(self.config.clone(), self.flags()))
    }

    fn flags(&self) -> Vec<Flag> {
        let format = self.log_format.and_then(|format| format.to_possible_value());
        let text = |text: &Option<String>| text.as_deref().map(Value::from);
        [
            ("--bind", "http.bind", text(&self.bind)),
            ("--port", "http.port", self.port.map(Value::from)),
            ("--storage", "storage.uri", text(&self.storage)),
            ("--admin_mode", "admin_mode", self.admin_mode.then(|| true.into())),
            ("--log-format", "log.format", format.map(|format| format.get_name().into())),
            ("--log-level", "log.level", text(&self.log_level)),
        ]
        .into_iter()
        .filter_map(|(name, key, value)| Some(Flag { name, key, value: value? }))
        .collect()
    }
}

impl ValueEnum for LogFormat {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Text, Self::Json]
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(match self {
            Self::Text => "text".into(),
            Self::Json => "json".into(),
        })
    }
}
