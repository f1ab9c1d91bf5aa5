//! Bytes on the disk, all or nothing: a temporary file in the same folder, synchronized, renamed into place, and the
//! folder synchronized after it. A program that is killed leaves the old file or the new one, and at worst a temporary
//! file, which the next save of the same name removes.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::container::Container;
use crate::error::{Kind, Result};

/// The end of the name of a temporary file, which starts with a dot and the name it will have.
const SUFFIX: &str = ".dormouse-tmp";

/// All of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(Kind::io("read it")).map_err(|e| e.at(path))
}

/// Puts a container at `path`.
pub(crate) fn replace(path: &Path, container: &Container<'_>) -> Result<()> {
    replace_with(path, |out| container.write(out))
}

/// Puts what `write` writes at `path`.
pub(crate) fn replace_with(path: &Path, write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<()> {
    let Some(name) = path.file_name() else {
        return Err(Kind::Unwritable("it names a folder; name a file in it".to_owned()).at(path));
    };
    let folder = folder_of(path);
    create_folder(folder).map_err(Kind::io("create its folder")).map_err(|e| e.at(path))?;
    sweep(folder, name);
    let temporary =
        Temporary::new(folder, name).map_err(Kind::io("create a file beside it")).map_err(|e| e.at(path))?;
    let finished = temporary.fill(write).map_err(Kind::io("write it")).map_err(|e| e.at(path))?;
    finished.rename(path).map_err(Kind::io("put it in its place")).map_err(|e| e.at(path))?;
    synchronize_folder(folder).map_err(Kind::io("synchronize its folder")).map_err(|e| e.at(path))
}

/// The folder that a file is in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Creates a folder and those above it, so that they are there after a loss of power, too.
fn create_folder(folder: &Path) -> std::io::Result<()> {
    let missing: Vec<&Path> = folder.ancestors().take_while(|p| !p.as_os_str().is_empty() && !p.exists()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    missing.into_iter().rev().try_for_each(|made| synchronize_folder(folder_of(made)))
}

#[cfg(unix)]
pub(crate) fn synchronize_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Folders cannot be opened as files here; the rename itself is as durable as the system makes it.
#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps, reason = "as on unix")]
pub(crate) fn synchronize_folder(_: &Path) -> std::io::Result<()> {
    Ok(())
}

/// Removes the temporary files that killed programs left of saving `name`: those that nobody has locked. What cannot
/// be removed stays, as it is in nobody's way.
fn sweep(folder: &Path, name: &OsStr) {
    // Checkpoints of one name differ in the step behind the last dash.
    let name = name.to_string_lossy();
    let family = name.rsplit_once('-').filter(|(_, step)| step.bytes().all(|b| b.is_ascii_digit()));
    let start = format!(".{}", family.map_or(&*name, |(family, _)| family));
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let other = entry.file_name();
        let other = other.to_string_lossy();
        let ours = other.strip_prefix(start.as_str()).and_then(|rest| rest.strip_suffix(SUFFIX)).is_some();
        if ours
            && let Ok(file) = File::open(entry.path())
            && file.try_lock().is_ok()
        {
            let _ = fs::remove_file(entry.path());
            drop(file);
        }
    }
}

/// A file that is removed unless it is renamed. While it is open it is locked, as a sign that its program lives.
struct Temporary {
    path: PathBuf,
    file: Option<File>,
    renamed: bool,
}

impl Temporary {
    fn new(folder: &Path, name: &OsStr) -> std::io::Result<Temporary> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let mut own = OsString::from(".");
        own.push(name);
        own.push(format!(".{}-{}{SUFFIX}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
        let path = folder.join(own);
        loop {
            // One of the same name is of a killed program that had the same number.
            let _ = fs::remove_file(&path);
            let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
            // Where there are no locks, nobody sweeps either.
            let locked = file.lock().is_ok();
            if !locked || path.exists() {
                return Ok(Temporary { path, file: Some(file), renamed: false });
            }
            // Another program's sweep took the file in the moment before it was locked.
        }
    }

    /// Writes the contents and has them on the disk.
    fn fill(mut self, write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> std::io::Result<Temporary> {
        if let Some(file) = self.file.as_mut() {
            let mut out = BufWriter::with_capacity(1 << 16, &mut *file);
            write(&mut out)?;
            out.flush()?;
            drop(out);
            file.sync_all()?;
        }
        Ok(self)
    }

    fn rename(mut self, to: &Path) -> std::io::Result<()> {
        if cfg!(windows) {
            // An open file cannot be renamed there.
            self.file = None;
        }
        fs::rename(&self.path, to)?;
        self.renamed = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        self.file = None;
        if !self.renamed {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/file");
        replace_with(&path, |out| out.write_all(b"old")).unwrap();
        let failed = replace_with(&path, |out| {
            out.write_all(b"new")?;
            Err(std::io::Error::other("the disk is full"))
        });
        let told = failed.unwrap_err().to_string();
        assert!(told.contains("deep/er/file: cannot write it: the disk is full"), "{told}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(path.parent().unwrap()), ["file"]);
        replace_with(&path, |out| out.write_all(b"new")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn leftovers_of_the_dead_are_swept_and_those_of_the_living_kept() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at(".model-900.1-0.dormouse-tmp"), "dead").unwrap();
        fs::write(at(".other-1.1-0.dormouse-tmp"), "not ours").unwrap();
        let living = Temporary::new(folder.path(), OsStr::new("model-950")).unwrap();
        replace_with(&at("model-1000"), |out| out.write_all(b"new")).unwrap();
        let kept = living.path.file_name().unwrap().to_str().unwrap().to_owned();
        assert_eq!(names(folder.path()), [kept, ".other-1.1-0.dormouse-tmp".to_owned(), "model-1000".to_owned()]);
        drop(living);
        assert_eq!(names(folder.path()).len(), 2);
    }

    #[test]
    fn a_folder_is_no_name() {
        assert!(replace_with(Path::new("/"), |_| Ok(())).unwrap_err().to_string().contains("name a file"));
    }
}
