//! The files a command writes are held against those it reads, and against each other: none may
//! take another's place.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};

use super::CliError;

/// A file, and the option or field that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    by: Cow<'static, str>,
    path: PathBuf,
}

impl Named {
    /// A file and what names it.
    pub fn new(by: impl Into<Cow<'static, str>>, path: impl Into<PathBuf>) -> Self {
        Self {
            by: by.into(),
            path: path.into(),
        }
    }
}

/// Refuses outputs that would take the place of an input or of each other, by whatever name or
/// link. To be asked before anything is written, even to see whether it could be.
///
/// # Errors
/// Names both options and the file, and says what to do.
pub fn check(outputs: &[Named], inputs: &[Named]) -> Result<(), CliError> {
    for (place, output) in outputs.iter().enumerate() {
        let file = identity(&output.path);
        let same = |other: &&Named| file.is_some() && identity(&other.path) == file;
        let (by, path) = (&output.by, output.path.display());
        if let Some(input) = inputs.iter().find(same) {
            return Err(CliError::input(format!(
                "{by} {path}: is the file that {} reads{}, which would be lost; name another file",
                input.by,
                otherwise(&output.path, &input.path)
            )));
        }
        if let Some(other) = outputs[place + 1..].iter().find(same) {
            return Err(CliError::input(format!(
                "{by} {path} is written by {} too{}; name another file",
                other.by,
                otherwise(&output.path, &other.path)
            )));
        }
    }
    Ok(())
}

/// The other name of a file that is called by two.
fn otherwise(one: &Path, other: &Path) -> String {
    if one == other {
        String::new()
    } else {
        format!(" as {}", other.display())
    }
}

/// What a path leads to, also where there is no file yet. `None` for what is there and is no file:
/// a device or a pipe may be written by many, and nothing in it is lost.
fn identity(path: &Path) -> Option<PathBuf> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() => fs::canonicalize(path).ok(),
        Ok(_) => None,
        Err(_) => {
            let folder = path.parent().filter(|folder| *folder != Path::new(""));
            let folder = fs::canonicalize(folder.unwrap_or(Path::new("."))).ok()?;
            Some(folder.join(path.file_name()?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(outputs: &[Named], inputs: &[Named]) -> String {
        let error = check(outputs, inputs).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    }

    #[test]
    fn no_output_takes_the_place_of_an_input_by_any_name() {
        let folder = tempfile::tempdir().unwrap();
        let kept = folder.path().join("keep.csv");
        fs::write(&kept, "kept").unwrap();
        let load = [Named::new("--load", &kept)];
        let told = refusal(&[Named::new("--out", &kept)], &load);
        let name = kept.display();
        assert_eq!(
            told,
            format!(
                "--out {name}: is the file that --load reads, which would be lost; name another \
                 file"
            )
        );
        let detour = folder.path().join("absent/../keep.csv");
        fs::create_dir(folder.path().join("absent")).unwrap();
        let told = refusal(&[Named::new("--out", &detour)], &load);
        assert!(told.contains(&format!("reads as {name},")), "{told}");
        check(
            &[Named::new("--out", folder.path().join("new.json"))],
            &load,
        )
        .unwrap();
        check(&[], &load).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_the_file_it_leads_to() {
        let folder = tempfile::tempdir().unwrap();
        let kept = folder.path().join("keep.csv");
        fs::write(&kept, "kept").unwrap();
        let link = folder.path().join("link.csv");
        std::os::unix::fs::symlink(&kept, &link).unwrap();
        for (output, input) in [(&link, &kept), (&kept, &link)] {
            let told = refusal(
                &[Named::new("--svg", output)],
                &[Named::new("--load", input)],
            );
            assert!(
                told.starts_with("--svg") && told.contains("--load"),
                "{told}"
            );
        }
    }

    #[test]
    fn two_outputs_are_two_files_unless_they_are_none() {
        let folder = tempfile::tempdir().unwrap();
        let new = folder.path().join("new.csv");
        let both = |path: &Path| [Named::new("--html", path), Named::new("--forecasts", path)];
        let told = refusal(&both(&new), &[]);
        let name = new.display();
        assert_eq!(
            told,
            format!("--html {name} is written by --forecasts too; name another file")
        );
        if Path::new("/dev/null").exists() {
            check(&both(Path::new("/dev/null")), &[]).unwrap();
        }
    }
}
