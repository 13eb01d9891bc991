//! Settings that several options decide about together.

use std::path::Path;

use toml::Value;

use super::convert::{boolean, list};
use super::ini::Ini;
use super::mail;
use super::{Finding, Import, Judgement, Reader, Result};

const DRIVERS: &str = "drivers";
const MESSAGES: &str = "drivers:message_store:mongodb";
const MANAGEMENT: &str = "drivers:management_store:mongodb";
const KEYSTONE: &str = "keystone_authtoken";
const TRUSTEE: &str = "trustee";

/// Where MongoDB is if nobody says so.
const LOCAL_MONGODB: &str = "mongodb://localhost:27017";

/// Options of one section that hold for another one which does not have them.
pub(super) fn prepare(ini: &mut Ini) {
    for user in [KEYSTONE, TRUSTEE] {
        let section = ini.entries(user, "auth_section").last().map(|entry| entry.value.clone());
        if let Some(section) = section.filter(|section| !section.is_empty()) {
            ini.rename_section(&section, user);
        }
    }
    for (from, names) in [
        ("default_domain_id", ["user_domain_id", "project_domain_id"]),
        ("default_domain_name", ["user_domain_name", "project_domain_name"]),
    ] {
        for name in names {
            ini.copy_option((KEYSTONE, from), (KEYSTONE, name));
        }
        ini.copy_option((TRUSTEE, from), (TRUSTEE, names[0]));
    }
    // With pools, Zaqar's message store may be told nothing.
    if ini.entries(MESSAGES, "uri").is_empty() {
        for name in ["ssl_keyfile", "ssl_certfile", "ssl_ca_certs", "ssl_cert_reqs"] {
            ini.rename_option((MANAGEMENT, name), (MESSAGES, name));
        }
    }
}

/// Carries over what several options decide about. `directory` is that of the
/// configuration, in which Zaqar looks for policies.
pub(super) fn carry(reader: &Reader, directory: &Path, import: &mut Import) {
    let steps = [
        front_end,
        authentication,
        trustee,
        log,
        encryption,
        notification,
        mail::templates,
        stores,
    ];
    for step in steps {
        if let Err(finding) = step(reader, import) {
            import.findings.push(finding);
        }
    }
    if let Err(finding) = policies(reader, directory, import) {
        import.findings.push(finding);
    }
}

fn front_end(reader: &Reader, import: &mut Import) -> Result<()> {
    // A Zaqar serves one of them, nusku both.
    match reader.value(DRIVERS, "transport")?.unwrap_or_default().as_str() {
        "" | "wsgi" => {}
        "websocket" => {
            import.set("websocket.enabled", true, reader.place(DRIVERS, "transport"));
            let note = "REST is served beside it, on http.bind and http.port";
            import.findings.push(reader.finding(DRIVERS, "transport", Judgement::Lost, note));
        }
        _ => {
            let note = "nusku serves HTTP and WebSockets only";
            import.findings.push(reader.finding(DRIVERS, "transport", Judgement::Blocking, note));
        }
    }
    Ok(())
}

fn authentication(reader: &Reader, import: &mut Import) -> Result<()> {
    match reader.value("DEFAULT", "auth_strategy")?.unwrap_or_default().as_str() {
        "" => return Ok(()),
        "keystone" => {
            import.set("auth.strategy", "keystone", reader.place("DEFAULT", "auth_strategy"));
        }
        _ => {
            let note = "Zaqar knows no strategy but keystone, and nusku none by that name";
            return Err(reader.finding("DEFAULT", "auth_strategy", Judgement::Blocking, note));
        }
    }
    let kind = reader.value(KEYSTONE, "auth_type")?.unwrap_or_default();
    let known = ["", "password", "v3password", "v3applicationcredential"];
    if !known.contains(&kind.as_str()) {
        let note = "nusku logs in with a password or an application credential of v3 only";
        import.findings.push(reader.finding(KEYSTONE, "auth_type", Judgement::Blocking, note));
    }
    let version = reader.value(KEYSTONE, "auth_version")?.unwrap_or_default();
    if version.trim_start_matches('v').starts_with('2') {
        let note = "nusku speaks v3 only";
        import.findings.push(reader.finding(KEYSTONE, "auth_version", Judgement::Blocking, note));
    }
    Ok(())
}

fn trustee(reader: &Reader, import: &mut Import) -> Result<()> {
    let kind = reader.value(TRUSTEE, "auth_type")?.unwrap_or_default();
    if is_in_use(reader, TRUSTEE) && !["", "password", "v3password"].contains(&kind.as_str()) {
        let note = "the trustee logs in with a password of v3 only";
        import.findings.push(reader.finding(TRUSTEE, "auth_type", Judgement::Blocking, note));
    }
    Ok(())
}

fn log(reader: &Reader, import: &mut Import) -> Result<()> {
    for (name, key, value) in [("debug", "log.level", "debug"), ("use_json", "log.format", "json")]
    {
        let Some(text) = reader.value("DEFAULT", name)? else { continue };
        match boolean(text.trim()) {
            Some(true) => import.set(key, value, reader.place("DEFAULT", name)),
            Some(false) => {}
            None => return Err(reader.unreadable("DEFAULT", name, "a boolean")),
        }
    }
    Ok(())
}

/// Zaqar's key serves to read only.
fn encryption(reader: &Reader, import: &mut Import) -> Result<()> {
    let (section, name) = ("transport", "message_encryption_key");
    if reader.value(section, name)?.is_some_and(|key| key != "AES256") {
        let note = "it opens what Zaqar encrypted; to encrypt anew, set encryption.keys";
        import.findings.push(reader.finding(section, name, Judgement::Lost, note));
    }
    Ok(())
}

/// Zaqar tells subscribers only where this stage is in the pipeline of messages.
fn notification(reader: &Reader, import: &mut Import) -> Result<()> {
    let (section, name) = ("storage", "message_pipeline");
    let stages = reader.value(section, name)?.unwrap_or_default();
    let mut stages: Vec<_> = list(&stages).collect();
    let count = stages.len();
    stages.retain(|stage| *stage != "zaqar.notification.notifier");
    if stages.len() == count {
        import.set("notification.enabled", false, reader.place(section, name));
    }
    if !stages.is_empty() {
        let note = "nusku takes no plug-ins, except that it tells subscribers";
        import.findings.push(reader.finding(section, name, Judgement::Lost, note));
    }
    Ok(())
}

/// Where messages are. nusku has one place for messages and the records of
/// queues, unless there are pools.
fn stores(reader: &Reader, import: &mut Import) -> Result<()> {
    let store = |name| Ok(reader.value(DRIVERS, name)?.unwrap_or_else(|| "mongodb".to_owned()));
    let (messages, management) = (store("message_store")?, store("management_store")?);
    let mut is_known = true;
    for (name, driver) in [("message_store", &messages), ("management_store", &management)] {
        if !matches!(driver.as_str(), "mongodb" | "mongodb.fifo") {
            let note = "nusku keeps messages in MongoDB or in a store of its own: say which in \
                storage.uri; what is in this store does not come along";
            import.findings.push(reader.finding(DRIVERS, name, Judgement::Blocking, note));
            is_known = false;
        }
    }
    if !is_known {
        return Ok(());
    }
    let uri = reader.value(MESSAGES, "uri")?;
    let management_uri = reader.value(MANAGEMENT, "uri")?;
    let pooling = reader.value("DEFAULT", "pooling")?.and_then(|text| boolean(text.trim()));
    let is_pooled = pooling == Some(true);
    if let (Some(uri), Some(other)) = (&uri, &management_uri)
        && uri != other
        && !is_pooled
    {
        let note = "nusku keeps messages and the records of queues in one MongoDB; \
            make it a pool, or move the one or the other";
        import.findings.push(reader.finding(MANAGEMENT, "uri", Judgement::Blocking, note));
    }
    let (uri, section) = match (uri, management_uri) {
        // With pools, it is the records that are there.
        (Some(_), Some(uri)) if is_pooled => (uri, MANAGEMENT),
        (Some(uri), _) => (uri, MESSAGES),
        (None, Some(uri)) => (uri, MANAGEMENT),
        (None, None) => (LOCAL_MONGODB.to_owned(), MESSAGES),
    };
    import.set("storage.uri", uri, reader.place(section, "uri"));
    import.set("storage.mongodb.driver", messages, reader.place(DRIVERS, "message_store"));
    if let Some(database) = reader.value(MANAGEMENT, "database")?
        && Some(&database) != reader.value(MESSAGES, "database")?.as_ref()
    {
        let key = "storage.mongodb.management_database";
        import.set(key, database, reader.place(MANAGEMENT, "database"));
    } else if reader.value(MESSAGES, "database")?.is_some()
        && reader.value(MANAGEMENT, "database")?.is_none()
    {
        let place = "Zaqar's default".to_owned();
        import.set("storage.mongodb.management_database", "zaqar", place);
    }
    Ok(())
}

/// Zaqar looks for policies beside its configuration and does without if there
/// are none.
fn policies(reader: &Reader, directory: &Path, import: &mut Import) -> Result<()> {
    const SECTION: &str = "oslo_policy";
    let named = reader.value(SECTION, "policy_file")?.filter(|name| name != "policy.yaml");
    let path = directory.join(named.as_deref().unwrap_or("policy.yaml"));
    if path.is_file() {
        let path = path.display().to_string();
        import.set("policy.file", path, reader.place(SECTION, "policy_file"));
    } else if named.is_some() {
        let note = "there is no such file, and Zaqar goes on without; nusku would not start";
        import.findings.push(reader.finding(SECTION, "policy_file", Judgement::Lost, note));
    }
    let named = reader.values(SECTION, "policy_dirs")?;
    let named = if named.is_empty() { vec!["policy.d".to_owned()] } else { named };
    let paths = named.iter().flat_map(|text| list(text)).map(|name| directory.join(name));
    let found: Vec<Value> =
        paths.filter(|path| path.is_dir()).map(|path| path.display().to_string().into()).collect();
    if !found.is_empty() {
        import.set("policy.dirs", found, reader.place(SECTION, "policy_dirs"));
    }
    Ok(())
}

/// Whether the options of a section make a difference to Zaqar at all.
pub(super) fn is_in_use(reader: &Reader, section: &str) -> bool {
    let is = |section, name, value: &str| {
        reader.value(section, name).ok().flatten().is_some_and(|text| text == value)
    };
    match section {
        KEYSTONE | TRUSTEE => is("DEFAULT", "auth_strategy", "keystone"),
        _ => true,
    }
}

/// Why not.
pub(super) const NOT_IN_USE: &str = "Zaqar does not use it, for auth_strategy is not keystone";

impl Reader<'_> {
    fn finding(&self, section: &str, name: &str, judgement: Judgement, note: &str) -> Finding {
        Finding {
            option: super::option(section, name),
            place: self.place(section, name),
            judgement,
            note: note.to_owned(),
        }
    }
}
