//! A directory in the place of another, so that a kill at any moment leaves one of them whole.
//!
//! A directory cannot be renamed over one that has files. So NAME steps aside to `.NAME.old`, its
//! successor takes the name, and then the old one goes. Killed between these two renames there is
//! no NAME but a whole `.NAME.old`, and [`restore`] puts it back: a save that was killed before its
//! end has not happened.

use std::fs;
use std::path::{Path, PathBuf};

use paint_atomic::{UnfinishedDirectory, directory_of};

use crate::{Error, Result};

/// Puts the checkpoint `dir` back if a killed [`save`](crate::save) has left it aside. Every load
/// and every save does so itself; programs that look for a checkpoint's files do it before.
///
/// # Errors
/// If it is there and cannot be renamed.
pub fn restore(dir: &Path) -> Result<()> {
    if dir.file_name().is_none() || dir.exists() {
        return Ok(());
    }
    let aside = aside(dir)?;
    if !aside.exists() {
        return Ok(());
    }
    match fs::rename(&aside, dir) {
        // Another process was faster.
        Err(_) if dir.exists() => Ok(()),
        renamed => renamed.map_err(Error::io("restore", dir)),
    }
}

/// Puts the finished directory `built` in the place of `dir`, which [`restore`] has been called on.
pub(crate) fn replace(dir: &Path, built: UnfinishedDirectory) -> Result<()> {
    let aside = aside(dir)?;
    let replaces = dir.exists();
    // Not between the two renames: whoever loads meanwhile would take the save for a killed one.
    built.sync().map_err(Error::io("save to", dir))?;
    if replaces {
        remove_if_there(&aside)?;
        fs::rename(dir, &aside).map_err(Error::io("rename", dir))?;
    }
    if let Err(e) = built.publish() {
        restore(dir)?;
        return Err(Error::io("save to", dir)(e));
    }
    if replaces {
        remove_if_there(&aside)?;
    }
    Ok(())
}

/// `.NAME.old` beside `dir`.
fn aside(dir: &Path) -> Result<PathBuf> {
    let Some(name) = dir.file_name() else {
        let source = std::io::Error::from(std::io::ErrorKind::InvalidFilename);
        return Err(Error::io("save to", dir)(source));
    };
    let mut aside = std::ffi::OsString::from(".");
    aside.push(name);
    aside.push(".old");
    Ok(directory_of(dir).join(aside))
}

fn remove_if_there(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", dir)(e)),
        _ => Ok(()),
    }
}
