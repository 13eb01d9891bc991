//! What processes use of the machine, by what the system says of them.

use std::collections::HashMap;
use std::fs;

use crate::peer::Result;

/// What `/proc/PID/stat` counts processor time in, on Linux wherever it runs.
const TICKS_PER_SECOND: f64 = 100.0;

/// A server: its first processes, and all that descend from them.
#[derive(Clone, Debug)]
pub struct Processes(pub Vec<u32>);

impl Processes {
    /// This process.
    pub fn own() -> Self {
        Self(vec![std::process::id()])
    }

    /// Seconds of processor time used so far, by children that have ended too.
    pub fn cpu_seconds(&self) -> Result<f64> {
        let all = processes()?;
        let members = members(&self.0, &all)?;
        let ticks: u64 = members.iter().map(|id| all[id].ticks).sum();
        #[expect(clippy::cast_precision_loss, reason = "centuries of ticks fit")]
        Ok(ticks as f64 / TICKS_PER_SECOND)
    }

    /// Memory in MiB, what processes share counted once (the sum of their PSS).
    pub fn memory_mib(&self) -> Result<f64> {
        let mut kib = 0_u64;
        for id in members(&self.0, &processes()?)? {
            // One that has just ended has none.
            let Ok(rollup) = fs::read_to_string(format!("/proc/{id}/smaps_rollup")) else {
                continue;
            };
            kib += pss_kib(&rollup).unwrap_or(0);
        }
        #[expect(clippy::cast_precision_loss, reason = "exabytes fit")]
        Ok(kib as f64 / 1024.0)
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Process {
    parent: u32,
    ticks: u64,
}

fn processes() -> Result<HashMap<u32, Process>> {
    let mut all = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let stat = fs::read_to_string(entry.path().join("stat")).ok();
        if let Some(process) = stat.as_deref().and_then(parse_stat) {
            all.insert(id, process);
        }
    }
    Ok(all)
}

/// The name, in parentheses, may hold anything.
fn parse_stat(stat: &str) -> Option<Process> {
    let fields: Vec<_> = stat[stat.rfind(')')? + 1..].split_ascii_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    let ticks = (11..=14).map(number).sum::<Option<u64>>()?;
    Some(Process { parent: u32::try_from(number(1)?).ok()?, ticks })
}

fn pss_kib(rollup: &str) -> Option<u64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// `roots` and all that descend from them.
fn members(roots: &[u32], all: &HashMap<u32, Process>) -> Result<Vec<u32>> {
    let mut members = roots.to_vec();
    let mut next = 0;
    while let Some(&id) = members.get(next) {
        if !all.contains_key(&id) {
            return Err(format!("process {id} of the server is gone").into());
        }
        members.extend(all.iter().filter(|(_, it)| it.parent == id).map(|(id, _)| *id));
        next += 1;
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::{HashMap, Process, Processes, members, parse_stat, pss_kib};

    #[test]
    fn a_name_with_parentheses_is_no_obstacle() {
        let stat = "7 (a) b) S 3 7 7 0 -1 4194560 1 2 3 4 50 60 7 8 20 0 1 0 99 1 2";
        assert_eq!(parse_stat(stat), Some(Process { parent: 3, ticks: 125 }));
        assert_eq!(parse_stat("7 (a) S 3"), None);
    }

    #[test]
    fn descendants_belong_to_a_server_and_strangers_do_not() {
        let process = |parent| Process { parent, ticks: 1 };
        let all =
            HashMap::from([(1, process(0)), (5, process(1)), (6, process(5)), (9, process(1))]);
        let mut found = members(&[5], &all).unwrap();
        found.sort_unstable();
        assert_eq!(found, [5, 6]);
        members(&[4], &all).unwrap_err();
    }

    #[test]
    fn this_process_has_memory_and_time() {
        assert!(Processes::own().memory_mib().unwrap() > 0.1);
        assert!(Processes::own().cpu_seconds().unwrap() >= 0.0);
        assert_eq!(
            pss_kib("0-f ---p [rollup]\nRss: 9 kB\nPss:    12 kB\nPss_Dirty: 1 kB\n"),
            Some(12)
        );
    }
}
