//! No output takes the place of an input or of another output, whichever command writes it.

use std::fs;
use std::path::Path;

use crate::run::{Run, binary};

/// In a folder whose files hold what a command must not lose.
fn run(folder: &Path, line: &str) -> Run {
    Run::of(binary().current_dir(folder).args(line.split(' ')))
}

const BACKTEST: &str = "load: {file: keep.csv}\nfixtures: [games.csv]\nfaults: gone.csv\n\
                        evaluate: {from: 2026-01-02T00:00:00Z, to: 2026-01-03T00:00:00Z}\n";

#[test]
fn an_input_is_never_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let files = [
        ("keep.csv", "timestamp_utc,value\n2026-01-01T00:00:00Z,4\n"),
        ("games.csv", "start,competition\n2026-01-01T00:00:00Z,NFL\n"),
        ("gone.csv", "from,to,cause\n"),
        ("back.yaml", BACKTEST),
        ("fixtures.csv", "start,competition\n"),
        ("params.yaml", "weeks: 3\n"),
    ];
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let at = "--at 2026-01-02T00:00:00Z";
    for (line, said) in [
        (
            "train --load keep.csv --out keep.csv".to_owned(),
            "--out keep.csv: is the file that --load reads",
        ),
        (
            "train --load keep.csv --fixtures games.csv --out ./games.csv".to_owned(),
            "--out ./games.csv: is the file that --fixtures reads as games.csv",
        ),
        (
            format!("forecast --load keep.csv {at} --svg keep.csv"),
            "--svg keep.csv: is the file that --load reads",
        ),
        (
            format!("forecast --load keep.csv {at} --model m.json --svg m.json"),
            "--svg m.json: is the file that --model reads",
        ),
        (
            format!("forecast --load keep.csv {at} --faults gone.csv --svg gone.csv"),
            "--svg gone.csv: is the file that --faults reads",
        ),
        (
            "backtest --scenario back.yaml --html back.yaml".to_owned(),
            "--html back.yaml: is the file that --scenario reads",
        ),
        (
            "backtest --scenario back.yaml --html keep.csv".to_owned(),
            "--html keep.csv: is the file that load.file of the scenario reads",
        ),
        (
            "backtest --scenario back.yaml --protocol n15 --forecasts gone.csv".to_owned(),
            "--forecasts gone.csv: is the file that faults of the scenario reads",
        ),
        (
            "replay --scenario back.yaml --html back.yaml".to_owned(),
            "--html back.yaml: is the file that --scenario reads",
        ),
        (
            "fixtures import games.csv --output games.csv".to_owned(),
            "--output games.csv: is the file that FILE reads",
        ),
        (
            "synth --out . --force --fixtures fixtures.csv".to_owned(),
            "--out ./fixtures.csv: is the file that --fixtures reads as fixtures.csv",
        ),
        (
            "synth --out . --force --params params.yaml".to_owned(),
            "--out ./params.yaml: is the file that --params reads as params.yaml",
        ),
    ] {
        let ended = run(folder.path(), &line);
        ended.assert_refused(&[said, "name another file"]);
        for (name, text) in files {
            let kept = fs::read_to_string(folder.path().join(name)).unwrap();
            assert_eq!(kept, text, "{line}");
        }
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), files.len());
}
