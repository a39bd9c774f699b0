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
    let path = &followed(path);
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

/// A file that takes the place of another once it is whole, so that nobody reads half of it, and
/// that is gone where it does not come to that. It has the mode of the one it replaces, and a link
/// goes on leading to it. What is there and is no file, a pipe or a device, is written to as it
/// comes: a rename would put a file in its place.
#[derive(Debug)]
pub struct Draft {
    path: PathBuf,
    /// What is written until then.
    part: Option<PathBuf>,
}

impl Draft {
    /// The draft of a file, and what to write to.
    ///
    /// # Errors
    /// Whatever keeps it from being made.
    pub fn begin(path: &Path) -> io::Result<(Self, File)> {
        let path = followed(path);
        let there = fs::metadata(&path).ok();
        if there.as_ref().is_some_and(|found| !found.is_file()) {
            let file = File::create(&path)?;
            return Ok((Self { path, part: None }, file));
        }
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let file = File::create(&part)?;
        let draft = Self {
            path,
            part: Some(part),
        };
        if let Some(there) = there {
            // before there is anything in it to read; a file system without modes loses none
            let _ = file.set_permissions(there.permissions());
        }
        Ok((draft, file))
    }

    /// Puts it in its place.
    ///
    /// # Errors
    /// Whatever keeps it from there.
    pub fn finish(mut self) -> io::Result<()> {
        match self.part.take() {
            None => Ok(()),
            Some(part) => fs::rename(&part, &self.path).inspect_err(|_| self.part = Some(part)),
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(part) = &self.part {
            // what went wrong is told; half a file is worth nothing, and nobody is there to tell
            // if it stays
            let _ = fs::remove_file(part);
        }
    }
}

/// Where a path leads, by links too; a link to nothing leads to where a file may be made.
fn followed(path: &Path) -> PathBuf {
    if let Ok(found) = fs::canonicalize(path) {
        return found;
    }
    match fs::read_link(path) {
        Ok(link) => path.parent().unwrap_or(Path::new("")).join(link),
        Err(_) => path.to_owned(),
    }
}

/// Writes a file so that what was there before stays until the new one is whole, and stays at all
/// when that cannot be written.
///
/// # Errors
/// Whatever keeps it from being written.
pub fn whole(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let (draft, file) = Draft::begin(path)?;
    let mut file = BufWriter::new(file);
    fill(&mut file)?;
    file.flush()?;
    draft.finish()
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

    #[cfg(unix)]
    #[test]
    fn a_replaced_file_keeps_its_mode_and_the_link_to_it() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let mode = |name: &str| fs::metadata(path(name)).unwrap().permissions().mode() & 0o777;
        let fill = |file: &mut dyn Write| file.write_all(b"new");
        fs::write(path("secret.yaml"), "old").unwrap();
        fs::set_permissions(path("secret.yaml"), fs::Permissions::from_mode(0o640)).unwrap();
        fs::create_dir(path("links")).unwrap();
        symlink("../secret.yaml", path("links/there.yaml")).unwrap();
        symlink("../later.yaml", path("links/nowhere.yaml")).unwrap();
        for (name, leads) in [
            ("there.yaml", "secret.yaml"),
            ("nowhere.yaml", "later.yaml"),
        ] {
            let link = path("links").join(name);
            check("--out", Some(&link)).unwrap();
            whole(&link, fill).unwrap();
            assert!(fs::symlink_metadata(&link).unwrap().is_symlink(), "{name}");
            assert_eq!(fs::read_to_string(path(leads)).unwrap(), "new");
        }
        assert_eq!(mode("secret.yaml"), 0o640);
        // half of it was no more for everybody to read than the whole
        let (draft, file) = Draft::begin(&path("secret.yaml")).unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o640);
        drop(draft);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
        assert_eq!(fs::read_dir(path("links")).unwrap().count(), 2);
    }
}
