//! Every option of Zaqar, and what becomes of it.

mod libraries;
mod zaqar;

/// An option.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// Its name.
    pub(super) name: &'static str,
    /// Zaqar's default as a file would say it, empty if there is none. It is not
    /// known for options that make no difference here.
    pub(super) default: &'static str,
    /// What becomes of it.
    pub(super) fate: Fate,
}

/// What becomes of an option.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    /// Its value goes into that setting.
    Copied(&'static str, Kind),
    /// With others it decides about these settings.
    Combined(&'static str),
    /// Nothing needs to, because of this.
    Needless(&'static str),
    /// There is nothing like it, because of this.
    Lost(&'static str),
    /// The same, and it should not go unnoticed.
    Blocking(&'static str),
}

/// How a value is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Boolean,
    Integer,
    /// An integer; a negative one stands for zero.
    Seconds,
    Number,
    Text,
    List,
}

const fn copy(name: &'static str, default: &'static str, key: &'static str, kind: Kind) -> Row {
    Row { name, default, fate: Fate::Copied(key, kind) }
}

const fn combined(name: &'static str, default: &'static str, keys: &'static str) -> Row {
    Row { name, default, fate: Fate::Combined(keys) }
}

const fn needless(name: &'static str, why: &'static str) -> Row {
    Row { name, default: "", fate: Fate::Needless(why) }
}

const fn lost(name: &'static str, default: &'static str, why: &'static str) -> Row {
    Row { name, default, fate: Fate::Lost(why) }
}

const fn blocking(name: &'static str, default: &'static str, why: &'static str) -> Row {
    Row { name, default, fate: Fate::Blocking(why) }
}

/// All options, by section.
pub(super) fn all() -> impl Iterator<Item = (&'static str, &'static Row)> {
    let sections = zaqar::SECTIONS.iter().chain(libraries::SECTIONS);
    sections.flat_map(|(section, rows)| rows.iter().map(move |row| (*section, row)))
}

/// The option of that name.
pub(super) fn find(section: &str, name: &str) -> Option<&'static Row> {
    all().find(|(of, row)| *of == section && row.name == name).map(|(_, row)| row)
}

/// An option: its section and its name.
type Named = (&'static str, &'static str);

/// Names that options had in earlier releases, and the ones they have now.
pub(super) const RENAMED: &[(Named, Named)] = &[
    (("DEFAULT", "sharding"), ("DEFAULT", "pooling")),
    (("DEFAULT", "logfile"), ("DEFAULT", "log_file")),
    (("DEFAULT", "logdir"), ("DEFAULT", "log_dir")),
    (("DEFAULT", "log_config"), ("DEFAULT", "log_config_append")),
    (("drivers", "storage"), ("drivers", "message_store")),
    (("keystone_authtoken", "auth_uri"), ("keystone_authtoken", "www_authenticate_uri")),
    (("keystone_authtoken", "auth_plugin"), ("keystone_authtoken", "auth_type")),
    (("keystone_authtoken", "user_name"), ("keystone_authtoken", "username")),
    (("keystone_authtoken", "user-name"), ("keystone_authtoken", "username")),
    (("keystone_authtoken", "tenant_name"), ("keystone_authtoken", "project_name")),
    (("keystone_authtoken", "tenant-name"), ("keystone_authtoken", "project_name")),
    (("keystone_authtoken", "tenant_id"), ("keystone_authtoken", "project_id")),
    (("keystone_authtoken", "default_domain_id"), ("keystone_authtoken", "user_domain_id")),
    (("keystone_authtoken", "default_domain_name"), ("keystone_authtoken", "user_domain_name")),
    (("keystone_authtoken", "memcache_servers"), ("keystone_authtoken", "memcached_servers")),
    (("profiler", "profiler_enabled"), ("profiler", "enabled")),
];
