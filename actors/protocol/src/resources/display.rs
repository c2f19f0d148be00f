//! How resources look in logs and messages: Mesos' own form, e.g.
//! `cpus(allocated: web)(reservations: [(STATIC,web)]):2; disk[MOUNT:/mnt/a,id1:data]:100`.

use std::fmt;

use super::bag::{Entry, Resources};
use super::kind::Kind;
use crate::mesos::v1::resource::disk_info::{Source, source};
use crate::mesos::v1::resource::{DiskInfo, ReservationInfo};
use crate::mesos::v1::{Labels, Volume, volume};

/// Everything but the amount.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        if let Some(role) = self.allocation_role() {
            write!(f, "(allocated: {role})")?;
        }
        if !self.reservations().is_empty() {
            let stack: Vec<String> = self.reservations().iter().map(reservation).collect();
            write!(f, "(reservations: [{}])", stack.join(","))?;
        }
        if let Some(info) = self.disk() {
            write!(f, "[{}]", disk(info))?;
        }
        if self.is_revocable() {
            f.write_str("{REV}")?;
        }
        if self.is_shared() {
            f.write_str("<SHARED>")?;
        }
        Ok(())
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.amount)?;
        if self.kind.is_shared() || self.count > 1 {
            write!(f, "<{}>", self.count)?;
        }
        Ok(())
    }
}

impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("{}");
        }
        for (index, entry) in self.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            entry.fmt(f)?;
        }
        Ok(())
    }
}

fn reservation(info: &ReservationInfo) -> String {
    let mut text = format!("({},{}", info.r#type().as_str_name(), info.role());
    if let Some(principal) = &info.principal {
        text.push_str(&format!(",{principal}"));
    }
    if let Some(labels) = &info.labels {
        text.push_str(&format!(",{}", labels_text(labels)));
    }
    text.push(')');
    text
}

fn labels_text(labels: &Labels) -> String {
    let labels = labels.labels.iter().map(|label| match &label.value {
        Some(value) => format!("{}: {value}", label.key),
        None => label.key.clone(),
    });
    format!("{{{}}}", labels.collect::<Vec<_>>().join(", "))
}

fn disk(info: &DiskInfo) -> String {
    let source = info.source.as_ref().map(source_text);
    let persistence = info
        .persistence
        .as_ref()
        .map(|persistence| persistence.id.clone());
    let mut text = [source, persistence]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(",");
    if let Some(volume) = &info.volume {
        text.push_str(&format!(":{}", volume_text(volume)));
    }
    text
}

fn source_text(source: &Source) -> String {
    let name = source.r#type().as_str_name();
    if source.id.is_some() || source.profile.is_some() {
        return format!(
            "{name}({},{},{})",
            source.vendor(),
            source.id(),
            source.profile()
        );
    }
    let root = match source.r#type() {
        source::Type::Mount => source.mount.as_ref().and_then(|mount| mount.root.as_ref()),
        source::Type::Path => source.path.as_ref().and_then(|path| path.root.as_ref()),
        _ => None,
    };
    root.map_or_else(|| name.to_owned(), |root| format!("{name}:{root}"))
}

fn volume_text(volume: &Volume) -> String {
    let Some(host_path) = &volume.host_path else {
        return volume.container_path.clone();
    };
    let mode = match volume.mode() {
        volume::Mode::Rw => "rw",
        volume::Mode::Ro => "ro",
    };
    format!("{host_path}:{}:{mode}", volume.container_path)
}
