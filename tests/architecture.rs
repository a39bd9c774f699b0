//! The line between core and shell, and between the clock and everything else.
//!
//! The core's files name no I/O crate, no file, socket or environment, no terminal and no module
//! of the shell; the wall clock has one reader. Comments, texts and test modules may say what
//! they like.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on should stop"
)]

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// Files and folders below `src` that are pure.
const CORE: [&str; 19] = [
    "units.rs",
    "series",
    "entries",
    "fixture",
    "forecast",
    "burst",
    "capacity",
    "plan",
    "plot",
    "simulate",
    "backtest",
    "replay",
    "lease.rs",
    "breaker.rs",
    "budget.rs",
    "source/exposition.rs",
    "source/scrape/counter.rs",
    "source/scrape/fleet.rs",
    "source/scrape/panel.rs",
];

/// Crates that do I/O or belong to the shell.
const CRATES: [&str; 13] = [
    "kube",
    "k8s_openapi",
    "tokio",
    "tokio_util",
    "reqwest",
    "axum",
    "hyper",
    "hyper_util",
    "tonic",
    "tower",
    "rustls",
    "clap",
    "tracing",
];

/// Parts of the standard library that touch the world. `std::thread::scope` does not: a
/// computation spread over cores and joined is still a function of its arguments.
const STANDARD: [&str; 5] = ["fs", "net", "env", "process", "thread"];

/// Modules of the shell.
const SHELL: [&str; 14] = [
    "api",
    "cli",
    "clock",
    "controller",
    "embedded",
    "guard",
    "rewatch",
    "serve",
    "settings",
    "source",
    "target",
    "telemetry",
    "demo",
    "trainer",
];

/// Macros that write to a terminal.
const TERMINAL: [&str; 5] = ["println", "print", "eprintln", "eprint", "dbg"];

/// Readers of the time; only `clock.rs` may call them.
const CLOCKS: [&str; 4] = ["Utc::now", "Local::now", "SystemTime::now", "Instant::now"];

/// What is left of a source when comments, texts, characters and test modules are taken out, as
/// words and signs, each with its line.
fn tokens(source: &str) -> Vec<(usize, String)> {
    let chars: Vec<char> = source.chars().collect();
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    let word = |c: char| c.is_alphanumeric() || c == '_';
    while at < chars.len() {
        let rest = &chars[at..];
        let taken = match rest {
            ['/', '/', ..] => rest.iter().take_while(|c| **c != '\n').count(),
            ['/', '*', ..] => {
                let end = rest.windows(2).position(|pair| pair == ['*', '/']);
                end.map_or(rest.len(), |end| end + 2)
            }
            ['"', ..] => text(rest),
            ['r', '"' | '#', ..] if raw_text(rest).is_some() => raw_text(rest).unwrap(),
            ['b', '"', ..] => 1 + text(&rest[1..]),
            ['\'', '\\', ..] => 2 + 2 + rest[3..].iter().take_while(|c| **c != '\'').count(),
            ['\'', _, '\'', ..] => 3,
            [c, ..] if word(*c) => {
                let length = rest.iter().take_while(|c| word(**c)).count();
                tokens.push((line, rest[..length].iter().collect()));
                length
            }
            [':', ':', ..] => {
                tokens.push((line, "::".to_owned()));
                2
            }
            [c, ..] => {
                if !c.is_whitespace() {
                    tokens.push((line, c.to_string()));
                }
                1
            }
            [] => break,
        };
        line += rest[..taken].iter().filter(|c| **c == '\n').count();
        at += taken;
    }
    without_tests(&tokens)
}

/// Length of a text in quotes, escapes included.
fn text(rest: &[char]) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != '"' {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// Length of a raw text, if it is one.
fn raw_text(rest: &[char]) -> Option<usize> {
    let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
    if rest.get(1 + hashes) != Some(&'"') {
        return None;
    }
    let end: Vec<char> = std::iter::once('"')
        .chain(std::iter::repeat_n('#', hashes))
        .collect();
    let body = &rest[2 + hashes..];
    let length = body.windows(end.len()).position(|window| window == end)?;
    Some(2 + hashes + length + end.len())
}

/// Drops every `#[cfg(test)] mod name { ... }`.
fn without_tests(tokens: &[(usize, String)]) -> Vec<(usize, String)> {
    const MARK: [&str; 8] = ["#", "[", "cfg", "(", "test", ")", "]", "mod"];
    let mut kept = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        let here = &tokens[at..];
        let marked = here.len() > MARK.len() + 1
            && here
                .iter()
                .zip(MARK)
                .all(|((_, token), mark)| token == mark)
            && here[MARK.len() + 1].1 == "{";
        if !marked {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        let mut depth = 0_i32;
        at += MARK.len() + 1;
        loop {
            match tokens.get(at).map(|(_, token)| token.as_str()) {
                Some("{") => depth += 1,
                Some("}") => depth -= 1,
                Some(_) => {}
                None => break,
            }
            at += 1;
            if depth == 0 {
                break;
            }
        }
    }
    kept
}

/// The words that directly follow `root::`, also within braces: of `std::{fs, io::Read}` these
/// are `fs` and `io`.
fn children<'t>(tokens: &'t [(usize, String)], root: &str) -> Vec<(usize, &'t str)> {
    let mut found = Vec::new();
    for (at, pair) in tokens.windows(2).enumerate() {
        if pair[0].1 != root || pair[1].1 != "::" {
            continue;
        }
        let mut next = at + 2;
        if tokens.get(next).is_some_and(|(_, token)| token != "{") {
            found.push((tokens[next].0, tokens[next].1.as_str()));
            continue;
        }
        let (mut depth, mut first) = (0_i32, false);
        while let Some((line, token)) = tokens.get(next) {
            match token.as_str() {
                "{" => depth += 1,
                "}" => depth -= 1,
                "," => {}
                child if first && depth == 1 => found.push((*line, child)),
                _ => {}
            }
            first = depth == 1 && matches!(token.as_str(), "{" | ",");
            if depth == 0 {
                break;
            }
            next += 1;
        }
    }
    found
}

/// What a core file says that it may not, as `line: what`.
fn trespasses(source: &str) -> Vec<String> {
    let tokens = tokens(source);
    let mut found = Vec::new();
    for (at, (line, token)) in tokens.iter().enumerate() {
        let next = tokens.get(at + 1).map(|(_, token)| token.as_str());
        let before = at.checked_sub(1).map(|at| tokens[at].1.as_str());
        let path = next == Some("::") || matches!(before, Some("use" | "crate" | "extern"));
        if path && before != Some("::") && CRATES.contains(&token.as_str()) {
            found.push(format!("{line}: the crate {token}"));
        }
        if next == Some("!") && TERMINAL.contains(&token.as_str()) {
            found.push(format!("{line}: {token}!"));
        }
    }
    for (root, forbidden) in [("std", &STANDARD[..]), ("crate", &SHELL[..])] {
        for (line, child) in children(&tokens, root) {
            let joined = child == "thread" && scopes_only(&tokens, line);
            if forbidden.contains(&child) && !joined {
                found.push(format!("{line}: {root}::{child}"));
            }
        }
    }
    found
}

/// Whether every `thread` of a line is `std::thread::scope`, called where it is named.
fn scopes_only(tokens: &[(usize, String)], line: usize) -> bool {
    (0..tokens.len())
        .filter(|&place| tokens[place].0 == line && tokens[place].1 == "thread")
        .all(|place| {
            let after = tokens.iter().skip(place + 1).take(2);
            after.map(|(_, word)| word.as_str()).eq(["::", "scope"])
        })
}

/// Where a file asks for the time.
fn clock_readings(source: &str) -> Vec<String> {
    let tokens = tokens(source);
    tokens
        .windows(3)
        .filter_map(|three| {
            let path: String = three.iter().map(|(_, token)| token.as_str()).collect();
            CLOCKS
                .contains(&path.as_str())
                .then(|| format!("{}: {path}", three[0].0))
        })
        .collect()
}

fn rust_files(below: &Path) -> Vec<PathBuf> {
    if below.is_file() {
        return vec![below.to_owned()];
    }
    let Ok(folder) = fs::read_dir(below) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = folder
        .map(|entry| entry.unwrap().path())
        .flat_map(|path| rust_files(&path))
        .filter(|path| path.extension().is_some_and(|ending| ending == "rs"))
        .collect();
    files.sort();
    files
}

fn source_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn report(files: &[PathBuf], check: impl Fn(&str) -> Vec<String>) -> String {
    let mut lines = Vec::new();
    for file in files {
        let source = fs::read_to_string(file).unwrap();
        let name = file.strip_prefix(source_folder()).unwrap().display();
        lines.extend(
            check(&source)
                .into_iter()
                .map(|found| format!("src/{name}:{found}")),
        );
    }
    lines.join("\n")
}

#[test]
fn the_core_does_no_io() {
    let files: Vec<PathBuf> = CORE
        .iter()
        .flat_map(|part| rust_files(&source_folder().join(part)))
        .collect();
    assert!(files.len() > 20, "the core was found: {files:?}");
    let found = report(&files, trespasses);
    assert!(
        found.is_empty(),
        "the core names what belongs to the shell:\n{found}"
    );
}

#[test]
fn the_wall_clock_has_one_reader() {
    let files: Vec<PathBuf> = rust_files(&source_folder())
        .into_iter()
        .filter(|file| *file != source_folder().join("clock.rs"))
        .collect();
    let found = report(&files, clock_readings);
    assert!(
        found.is_empty(),
        "only src/clock.rs may ask for the time:\n{found}"
    );
}

#[test]
fn every_file_says_what_it_is() {
    let found: Vec<_> = rust_files(&source_folder())
        .into_iter()
        .filter(|file| !fs::read_to_string(file).unwrap().starts_with("//!"))
        .collect();
    assert!(
        found.is_empty(),
        "files that do not begin with //!: {found:?}"
    );
}

#[test]
fn a_planted_trespass_is_found() {
    for (planted, found) in [
        ("use kube::Client;", "1: the crate kube"),
        ("fn f() {\n    tokio::spawn(g());\n}", "2: the crate tokio"),
        ("use k8s_openapi::{api, jiff};", "1: the crate k8s_openapi"),
        ("extern crate hyper;", "1: the crate hyper"),
        ("use {axum::Router};", "1: the crate axum"),
        ("use std::fs;", "1: std::fs"),
        ("let a = std::env::var(\"A\");", "1: std::env"),
        (
            "use std::{\n    collections::BTreeMap,\n    net::TcpStream,\n};",
            "3: std::net",
        ),
        ("use std::{io::{self, Read}, fs::File};", "1: std::fs"),
        ("fn f() { std::thread::sleep(d); }", "1: std::thread"),
        ("use std::thread;", "1: std::thread"),
        ("use crate::clock::SharedClock;", "1: crate::clock"),
        (
            "use crate::{units::Rate, settings::Settings};",
            "1: crate::settings",
        ),
        ("fn f() { println!(\"x\"); }", "1: println!"),
        ("/* nothing\n here */ fn f() { dbg!(1); }", "2: dbg!"),
        ("let q = '\"'; use tower::Service;", "1: the crate tower"),
        (
            "#[cfg(test)]\nmod tests { fn f() {} }\nuse reqwest::Url;",
            "3: the crate reqwest",
        ),
    ] {
        assert_eq!(trespasses(planted), [found], "{planted}");
    }
}

#[test]
fn what_is_allowed_is_not_taken_for_a_trespass() {
    for allowed in [
        "//! Kubernetes, kube::Client and tokio::spawn in a comment.",
        "/* std::fs */ fn f() {}",
        "let text = \"use kube::Client; // std::fs\";",
        "let text = r#\"a \" tokio::spawn\"#;",
        "let c = '\\''; let d = 'x'; fn f<'a>(x: &'a str) {}",
        "use std::{io::Read, collections::BTreeMap};",
        "fn f() { std::thread::scope(|scope| g(scope)); }",
        "use crate::fixture::source::kube_like;",
        "let tower = 3; let print = tower;",
        "#[cfg(test)]\nmod tests {\n    use std::fs;\n    fn f() { if true { println!(\"\"); } }\n}",
        "use crate::plan::{target::Target, Plan};",
    ] {
        assert_eq!(trespasses(allowed), [""; 0], "{allowed}");
    }
}

#[test]
fn a_planted_clock_is_found() {
    let planted =
        "use chrono::Utc;\nfn f() {\n    let a = Utc::now();\n    tokio::time::Instant::now();\n}";
    assert_eq!(clock_readings(planted), ["3: Utc::now", "4: Instant::now"]);
    assert_eq!(
        clock_readings("// Utc::now()\nlet a = clock.now();"),
        [""; 0]
    );
}

/// The bench that varies them names them by file; a constant that has moved would stop it after
/// its build.
#[test]
fn constants_that_are_varied_are_where_the_bench_looks_for_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let bench = fs::read_to_string(root.join("benches/sensitivity.rs")).unwrap();
    let list = bench.split_once("const CONSTANTS").unwrap().1;
    let list = list.split_once("\n];").unwrap().0;
    let entry = Regex::new(r#"\(\s*"([\w/]+\.rs)",\s*&\[([^\]]*)\]"#).unwrap();
    let name = Regex::new(r#""(?:\w+::)?(\w+)""#).unwrap();
    let mut looked = 0;
    for entry in entry.captures_iter(list) {
        let text = fs::read_to_string(root.join("src/forecast").join(&entry[1])).unwrap();
        for name in name.captures_iter(&entry[2]) {
            let declared = format!("const {}: ", &name[1]);
            assert!(text.contains(&declared), "{} has no {declared}", &entry[1]);
            looked += 1;
        }
    }
    assert!(looked > 50, "{looked}");
}
