//! The state file of a folder of checkpoints: which one is the newest, and which others are there. It is the text file
//! `checkpoint` that TensorFlow keeps, replaced whole after each save.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::container::looks_like_checkpoint;
use crate::durable;
use crate::error::{Kind, Result};

/// The name of the state file.
const STATE: &str = "checkpoint";
const LATEST: &str = "model_checkpoint_path";
const ALL: &str = "all_model_checkpoint_paths";

/// The checkpoints of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointState {
    /// The newest.
    pub latest: PathBuf,
    /// All, the newest last.
    pub all: Vec<PathBuf>,
}

/// The newest checkpoint of a folder; `None` where there is none, or no such folder.
///
/// ```no_run
/// # fn main() -> dormouse_io::Result<()> {
/// if let Some(path) = dormouse_io::latest_checkpoint("model")? {
///     println!("going on from {}", path.display());
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// When the folder cannot be read.
pub fn latest_checkpoint(folder: impl AsRef<Path>) -> Result<Option<PathBuf>> {
    Ok(checkpoint_state(folder)?.map(|state| state.latest))
}

/// The checkpoints of a folder as its state file lists them, of which those that are whole are given. Where that file
/// is missing or names none of them, they are found by looking: those with a step in the name, by that step.
///
/// # Errors
/// When the folder cannot be read.
pub fn checkpoint_state(folder: impl AsRef<Path>) -> Result<Option<CheckpointState>> {
    let folder = folder.as_ref();
    let mut all = listed(folder);
    if all.is_empty() {
        all = found(folder)?;
    }
    Ok(all.last().cloned().map(|latest| CheckpointState { latest, all }))
}

/// The checkpoints that the state file lists, last, and before them others in the folder of the same names but for the
/// step: a program that was killed may have left some that it no longer listed and had not deleted yet.
pub(crate) fn every(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut listed = listed(folder);
    listed.retain(|p| p.parent() == Some(folder));
    let mut all = found(folder)?;
    all.retain(|p| !listed.contains(p) && listed.iter().any(|l| family(l) == family(p)));
    all.extend(listed);
    Ok(all)
}

/// The checkpoints that the state file lists and that are whole, the newest last.
fn listed(folder: &Path) -> Vec<PathBuf> {
    let text = std::fs::read_to_string(folder.join(STATE)).unwrap_or_default();
    let entries = text.lines().filter_map(|line| {
        let (key, value) = line.split_once(':')?;
        Some((key.trim(), unquote(value.trim())?))
    });
    let mut all: Vec<PathBuf> = Vec::new();
    let mut latest = None;
    for (key, name) in entries {
        let path = folder.join(name);
        match key {
            LATEST => latest = Some(path),
            ALL if !all.contains(&path) => all.push(path),
            _ => {}
        }
    }
    if let Some(latest) = latest {
        all.retain(|p| *p != latest);
        all.push(latest);
    }
    all.retain(|p| looks_like_checkpoint(p));
    all
}

/// The files of ours in a folder that have a step in their names, the latest step last.
fn found(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(Kind::io("read the folder")).map_err(|e| e.at(folder))?,
    };
    let mut found: Vec<(u64, std::time::SystemTime, PathBuf)> = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        if let Some(step) = step_of(&path)
            && looks_like_checkpoint(&path)
        {
            let time = entry.metadata().and_then(|m| m.modified()).unwrap_or(std::time::UNIX_EPOCH);
            found.push((step, time, path));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, _, path)| path).collect())
}

/// A checkpoint's name without its step.
fn family(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()?.rsplit_once('-').map(|(family, _)| family)
}

/// The number behind the last dash of a checkpoint's name.
fn step_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str().filter(|n| !n.starts_with('.'))?;
    name.rsplit_once('-')?.1.parse().ok()
}

/// Replaces the state file of a folder.
pub(crate) fn write(folder: &Path, all: &[PathBuf]) -> Result<()> {
    let Some(latest) = all.last() else { return Ok(()) };
    let mut text = String::new();
    let lines = std::iter::once((LATEST, latest)).chain(all.iter().map(|p| (ALL, p)));
    for (key, path) in lines {
        let name = path.file_name().unwrap_or(path.as_os_str());
        let name = name.to_str().ok_or_else(|| {
            Kind::Unwritable("its name is not UTF-8, which a state file needs; choose another".to_owned()).at(path)
        })?;
        let _ = writeln!(text, "{key}: {}", quote(name));
    }
    durable::replace_with(&folder.join(STATE), |out| out.write_all(text.as_bytes()))
}

fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

fn unquote(text: &str) -> Option<String> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    let mut name = String::new();
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        name.push(match character {
            '\\' => match characters.next()? {
                'n' => '\n',
                other => other,
            },
            other => other,
        });
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_and_back() {
        for name in ["model.ckpt-1000", "a \"b\"", "back\\slash\nline", ""] {
            assert_eq!(unquote(&quote(name)).as_deref(), Some(name));
        }
        assert_eq!(unquote("model"), None);
        assert_eq!(unquote("\"a\\\""), None);
    }

    #[test]
    fn steps_are_read_from_names() {
        assert_eq!(step_of(Path::new("model/model.ckpt-1000")), Some(1000));
        assert_eq!(step_of(Path::new("model.ckpt")), None);
        assert_eq!(step_of(Path::new(".model.ckpt-9")), None);
        assert_eq!(step_of(Path::new("a-b")), None);
    }
}
