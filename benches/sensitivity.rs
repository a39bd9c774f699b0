//! How much each constant of the forecaster matters: one at a time made smaller and larger, scored
//! on the 1998 World Cup trace and on generated seasons.
//!
//! ```text
//! cargo bench --bench sensitivity              all of them (about an hour on one core)
//! cargo bench --bench sensitivity -- peaks     those whose name contains "peaks"
//! ```
//!
//! Constants are constants in the program, for speed and for the reader. Here a copy of the sources
//! is made under `target/sensitivity` in which each one listed below is asked for by name, so that
//! one build serves all runs. Without the trace beside the repository only the seasons are scored.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark may stop at once, and prints"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;

/// Each is multiplied by these.
const FACTORS: [f64; 2] = [2.0 / 3.0, 1.5];

/// Generated seasons scored, each six hours before its locks.
const SEEDS: &str = "3";

/// File under `src/forecast`, and constants in it.
const CONSTANTS: [(&str, &[&str]); 29] = [
    (
        "learn.rs",
        &[
            "OBSERVATIONS_PER_DAY",
            "EVENT_WEIGHT",
            "HUBER",
            "LEAST_SPREAD",
            "CENSORED_SPREAD",
        ],
    ),
    (
        "features/design.rs",
        &[
            "STRENGTH",
            "penalty::PRIOR",
            "penalty::HAT",
            "penalty::RUSH",
            "penalty::IMPORTANCE",
            "penalty::WEEKEND",
            "penalty::COMPETITION",
            "penalty::COMPETITION_PHASE",
            "penalty::STAGE",
            "penalty::DAY",
            "penalty::HOUR",
            "penalty::TEAM",
            "penalty::PAIRING",
            "penalty::CROWDING",
            "penalty::GROWTH",
        ],
    ),
    ("features/crowding.rs", &["CROWDING"]),
    ("features/growth.rs", &["HALF_LIFE"]),
    ("features/lifts.rs", &["BELIEVED"]),
    ("features/match_days.rs", &["HALF_LIFE", "REST"]),
    ("features/crowd.rs", &["SHAPE_FLOOR"]),
    ("experts.rs", &["HALF_LIVES", "SHARPNESS", "MEMORY"]),
    (
        "level.rs",
        &[
            "PERSISTENCE",
            "FADE",
            "FULL_DAY",
            "STAYS",
            "DOUBTER",
            "PASSED",
        ],
    ),
    ("level_shifts.rs", &["LEAST", "STEADY", "LEAST_SPREAD"]),
    ("event_response.rs", &["TOLD_APART"]),
    ("night.rs", &["TOLD"]),
    ("noise.rs", &["SURE"]),
    ("remainder.rs", &["KEEP", "SHRINK", "SPREAD", "CLIP"]),
    ("weekly.rs", &["KEEP", "SHRINK", "CLIP"]),
    ("kick_off.rs", &["WORTH", "MEMORY"]),
    ("profile.rs", &["MEMORY", "PRIOR_BINS"]),
    ("quantile.rs", &["MEMORY", "UNSEEN", "REACH_OF_CROWDS"]),
    ("view.rs", &["LARGEST_MARGIN"]),
    ("replay/mod.rs", &["PSEUDO"]),
    ("scatter.rs", &["JUMP", "MEMORY"]),
    ("replay/crowd.rs", &["LEAST_CROWD", "TOGETHER"]),
    ("replay/windows.rs", &["PECULIAR"]),
    (
        "lead.rs",
        &[
            "PRIOR_SCALE",
            "BLEND",
            "ENTRIES_VARIANCE",
            "CALENDAR",
            "TAUGHT",
        ],
    ),
    ("novelty.rs", &["UNPRECEDENTED", "CROWDED", "UNTOLD"]),
    (
        "peaks.rs",
        &[
            "PRIOR_MEAN",
            "PRIOR_SCALE",
            "PRIOR_WINDOWS",
            "PRIOR_MEAN_WINDOWS",
            "MEMORY",
            "WIDEN",
            "WIDEST",
            "SETTLE",
            "EXTREME",
        ],
    ),
    ("response.rs", &["RUSH"]),
    (
        "pace/mod.rs",
        &[
            "CURVE_SLOTS",
            "BY_CALENDAR",
            "BY_ENTRIES",
            "LINK_SLOTS",
            "USUAL_VARIANCE",
            "STRONGEST",
            "MEMORY",
        ],
    ),
    ("pace/finals.rs", &["SLOPE_SLOTS"]),
];

/// What asks for a constant in the copy.
const KNOB: &str = r#"//! One constant, varied.
#![allow(missing_docs)]
use std::sync::OnceLock;
pub trait Vary { fn times(self, factor: f64) -> Self; }
impl Vary for f64 { fn times(self, factor: f64) -> Self { self * factor } }
impl<const N: usize> Vary for [f64; N] {
    fn times(self, factor: f64) -> Self { self.map(|value| value * factor) }
}
static VARIED: OnceLock<Option<(String, f64)>> = OnceLock::new();
pub fn vary<T: Vary>(name: &str, value: T) -> T {
    let varied = VARIED.get_or_init(|| {
        let name = std::env::var("KNOB").ok()?;
        Some((name, std::env::var("FACTOR").ok()?.parse().ok()?))
    });
    match varied {
        Some((wanted, factor)) if wanted == name => value.times(*factor),
        _ => value,
    }
}
"#;

/// Columns of the table: title, what the line that has it begins with, and the word before it or
/// which word after that it is.
const COLUMNS: [(&str, &str, &str); 13] = [
    ("D1 WAPE", "D1  tipoff ", "WAPE"),
    ("wQL95", "D1  tipoff ", "wQL95"),
    ("c95", "D1  tipoff ", "c95"),
    ("peak", "D1  peaks ", "error"),
    ("under", "D1  peaks ", "under"),
    ("H4 wQL95", "h4  tipoff ", "wQL95"),
    ("c95", "h4  tipoff ", "c95"),
    ("under", "h4  peaks ", "under"),
    ("N15 wQL95", "n15 tipoff ", "wQL95"),
    ("season", "season 6 h calendar ", "2"),
    ("under", "season 6 h calendar ", "3"),
    ("entries", "season 6 h entries ", "2"),
    ("under", "season 6 h entries ", "3"),
];

fn main() {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let copy = copy_of(root);
    let rows = constants(&copy);
    let titles: Vec<&str> = COLUMNS.iter().map(|column| column.0).collect();
    println!("| constant | value | x | {} |", titles.join(" | "));
    println!("|---|---|---|{}", "---|".repeat(COLUMNS.len()));
    row("as it is", "", 1.0, &score(&copy, None));
    for (name, value) in rows {
        let asked = wanted.is_empty() || wanted.iter().any(|part| name.contains(part));
        for factor in FACTORS.into_iter().filter(|_| asked) {
            row(&name, &value, factor, &score(&copy, Some((&name, factor))));
        }
    }
}

fn row(name: &str, value: &str, factor: f64, figures: &[String]) {
    println!(
        "| {name} | {value} | {factor:.2} | {} |",
        figures.join(" | ")
    );
}

/// Copies what a build needs to `target/sensitivity/tipoff`.
fn copy_of(root: &Path) -> PathBuf {
    let home = root.join("target/sensitivity");
    let copy = home.join("tipoff");
    for name in ["src", "tests", "benches", "models", "config"] {
        let _ = fs::remove_dir_all(copy.join(name));
        copy_folder(&root.join(name), &copy.join(name));
    }
    for name in ["Cargo.toml", "Cargo.lock", "README.md"] {
        fs::copy(root.join(name), copy.join(name)).unwrap();
    }
    let shared = home.join("shared");
    #[cfg(unix)]
    if !shared.exists() {
        let _ = std::os::unix::fs::symlink(root.join("../shared"), shared);
    }
    fs::write(copy.join("src/knob.rs"), KNOB).unwrap();
    let lib = copy.join("src/lib.rs");
    let text = fs::read_to_string(&lib).unwrap();
    fs::write(lib, format!("{text}\npub mod knob;\n")).unwrap();
    copy
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Has every listed constant asked for by name, and gives their names and values.
fn constants(copy: &Path) -> Vec<(String, String)> {
    let forecast = copy.join("src/forecast");
    let mut sources = BTreeMap::new();
    read(&forecast, &forecast, &mut sources);
    let mut found = Vec::new();
    for (file, names) in CONSTANTS {
        for name in names {
            let last = name.rsplit("::").next().unwrap();
            let declared = format!(r"(?s)const {last}: (?:f64|\[f64; \w+\]) =\s*(.*?);");
            let value = Regex::new(&declared).unwrap();
            let value = value.captures(&sources[file]);
            let value = value.unwrap_or_else(|| panic!("{file} has no constant {name}"))[1]
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ");
            let asked = format!("{}::{name}", file.trim_end_matches(".rs"));
            let uses = Uses::of(file, name, &sources);
            let count: usize = sources
                .iter_mut()
                .map(|(place, text)| uses.ask(place, text, &asked))
                .sum();
            assert!(count > 0, "{asked} is used nowhere");
            found.push((asked, value));
        }
    }
    for (file, text) in sources {
        fs::write(forecast.join(file), text).unwrap();
    }
    found
}

fn read(root: &Path, folder: &Path, into: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(root, &path, into);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let name = path.strip_prefix(root).unwrap().display().to_string();
            into.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
}

/// Where a constant is used.
struct Uses<'a> {
    file: &'a str,
    by_name: Regex,
    /// With the module before it, as other files may write it.
    by_module: Regex,
    /// Files that import the name.
    importers: Vec<String>,
}

impl<'a> Uses<'a> {
    fn of(file: &'a str, name: &str, sources: &BTreeMap<String, String>) -> Self {
        let stem = match file.strip_suffix("/mod.rs") {
            Some(folder) => folder,
            None => file.trim_end_matches(".rs"),
        };
        let stem = stem.rsplit('/').next().unwrap();
        let import = Regex::new(&format!(r"use [\w:]*\b{stem}::(?:\{{[^}}]*\b)?{name}\b")).unwrap();
        let importers = sources
            .iter()
            .filter(|(place, text)| *place != file && import.is_match(text))
            .map(|(place, _)| place.clone())
            .collect();
        Self {
            file,
            // what a text only tells the reader stays as it is: `{NAME}`
            by_name: Regex::new(&format!(r"(^|[^\w:{{])({name})\b")).unwrap(),
            by_module: Regex::new(&format!(r"(^|[^\w:])({stem}::{name})\b")).unwrap(),
            importers,
        }
    }

    /// Has the constant asked for in the text of a file; so many times.
    fn ask(&self, place: &str, text: &mut String, asked: &str) -> usize {
        let at_home = place == self.file || self.importers.iter().any(|file| file == place);
        let uses = if at_home {
            &self.by_name
        } else {
            &self.by_module
        };
        let mut count = 0;
        let mut tests = false;
        let mut importing = false;
        let mut changed = String::with_capacity(text.len());
        for line in text.lines() {
            let code = line.trim_start();
            tests |= code.starts_with("mod tests {");
            importing |= code.starts_with("use ") || code.starts_with("pub(crate) use ");
            let declared = [
                "//",
                "const ",
                "pub const ",
                "pub(crate) const ",
                "pub(super) const ",
            ]
            .iter()
            .any(|start| code.starts_with(start));
            if tests || importing || declared {
                changed.push_str(line);
            } else {
                count += uses.find_iter(line).count();
                let call = format!("${{1}}crate::knob::vary(\"{asked}\", ${{2}})");
                changed.push_str(&uses.replace_all(line, call.as_str()));
            }
            importing &= !code.ends_with(';');
            changed.push('\n');
        }
        *text = changed;
        count
    }
}

/// Runs the copy's own tests that print figures.
fn score(copy: &Path, varied: Option<(&str, f64)>) -> Vec<String> {
    let run = |filter: &str, ignored: &[&str]| {
        let mut command = Command::new(env!("CARGO"));
        command
            .args([
                "test",
                "--quiet",
                "--release",
                "--test",
                "forecasting",
                "--",
            ])
            .args([filter, "--nocapture", "--test-threads", "1"])
            .args(ignored)
            .env("CARGO_TARGET_DIR", copy.with_file_name("target"))
            .env("SEEDS", SEEDS)
            .env("ROWS", "season 6 h")
            .current_dir(copy);
        if let Some((name, factor)) = varied {
            command.env("KNOB", name).env("FACTOR", factor.to_string());
        }
        // a worse constant may fail what a test asserts: its figures are printed all the same
        let output = command.output().expect("cargo starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!errors.contains("could not compile"), "{errors}");
        text
    };
    let printed = run("wc98::", &[]) + &run("seasons::table", &["--ignored"]);
    COLUMNS
        .iter()
        .map(|(_, start, word)| {
            let line = printed
                .lines()
                .find_map(|line| Some(line.split_once(start)?.1));
            let mut words = line.unwrap_or_default().split_whitespace();
            let figure = match word.parse::<usize>() {
                Ok(place) => words.nth(place - 1),
                Err(_) => words.skip_while(|other| other != word).nth(1),
            };
            figure.unwrap_or("-").to_owned()
        })
        .collect()
}
