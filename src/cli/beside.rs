//! Files that a command writes beside what it prints: refused before the work begins where they
//! could not be written at its end, and never a reason to lose what was to be printed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::CliError;
use super::output::progress;

/// Refuses a path that cannot be written to. A file that is there is left as it is, and none is
/// left where none was.
///
/// # Errors
/// Names the option and says what to do.
pub fn check(option: &str, path: Option<&Path>) -> Result<(), CliError> {
    path.map_or(Ok(()), |path| {
        writable(path)
            .map_err(|reason| CliError::input(format!("{option} {}: {reason}", path.display())))
    })
}

fn writable(path: &Path) -> Result<(), String> {
    let denied = |error: io::Error| format!("cannot be written: {error}; name another file");
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Err("is a folder; name a file in it".to_owned()),
        Ok(found) if found.is_file() => {
            let opened = OpenOptions::new().append(true).open(path);
            opened.map(drop).map_err(denied)
        }
        // to open a pipe and to leave it tells its reader that all is over
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = path.parent().filter(|folder| *folder != Path::new(""));
            if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
                let folder = folder.display();
                return Err(format!(
                    "there is no folder {folder}; make it, or name another file"
                ));
            }
            let made = OpenOptions::new().write(true).create_new(true).open(path);
            made.and_then(|_| fs::remove_file(path)).map_err(denied)
        }
        Err(error) => Err(denied(error)),
    }
}

/// What to write instead of a file until it is whole, to be renamed then, so that nobody reads half
/// of it. `None` for what is there and is no file, such as a pipe or a device: that is written to,
/// a rename would put a file in its place.
pub fn part(path: &Path) -> Option<PathBuf> {
    if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return None;
    }
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    Some(part.into())
}

/// Writes a file so that what was there before stays until the new one is whole, and stays at all
/// when that cannot be written.
///
/// # Errors
/// Whatever keeps it from being written.
pub fn whole(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let filled = |path: &Path| {
        let mut file = BufWriter::new(File::create(path)?);
        fill(&mut file)?;
        file.flush()
    };
    let Some(part) = part(path) else {
        return filled(path);
    };
    let ended = filled(&part).and_then(|()| fs::rename(&part, path));
    if ended.is_err() {
        // what went wrong is told; half a file is worth nothing
        let _ = fs::remove_file(&part);
    }
    ended
}

/// Writes a file, and says so. What is to be printed is to be printed whatever came of it: look at
/// the result after that.
///
/// # Errors
/// Names the option and the file.
pub fn write(option: &str, path: &Path, what: &str, text: &str) -> Result<(), CliError> {
    whole(path, |file| file.write_all(text.as_bytes()))
        .map_err(|error| failed(option, path, &error))?;
    progress(&format!("{what} written to {}", path.display()));
    Ok(())
}

/// The error of a file that could not be written after all.
pub fn failed(option: &str, path: &Path, error: &io::Error) -> CliError {
    CliError::failed(format!(
        "{option} {}: cannot be written: {error}; name another file",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_written_is_refused_and_nothing_is_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let refusal = |name: &str| {
            let error = check("--html", Some(&path(name))).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            error.to_string()
        };
        assert_eq!(
            refusal("absent/x.html"),
            format!(
                "--html {}: there is no folder {}; make it, or name another file",
                path("absent/x.html").display(),
                path("absent").display()
            )
        );
        assert!(refusal("").ends_with("is a folder; name a file in it"));
        fs::write(path("old.html"), "kept").unwrap();
        assert!(refusal("old.html/x.html").contains("cannot be written"));
        check("--html", Some(&path("old.html"))).unwrap();
        check("--html", Some(&path("new.html"))).unwrap();
        check("--html", None).unwrap();
        assert_eq!(fs::read_to_string(path("old.html")).unwrap(), "kept");
        assert!(!path("new.html").exists());
    }

    #[test]
    fn a_file_is_replaced_when_its_successor_is_whole_and_never_by_half_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept.yaml");
        fs::write(&path, "old").unwrap();
        let broken = whole(&path, |file| {
            file.write_all(b"ne")?;
            Err(io::Error::other("the disk is full"))
        });
        assert_eq!(broken.unwrap_err().to_string(), "the disk is full");
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        whole(&path, |file| file.write_all(b"new")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
