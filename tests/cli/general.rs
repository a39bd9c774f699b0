//! The command line from outside: exit codes, and which stream carries what.

use std::io::{BufRead as _, Read as _};
use std::process::{Command, Stdio};

use assert_cmd::assert::OutputAssertExt as _;
use assert_cmd::cargo::CommandCargoExt as _;

fn tipoff(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("tipoff").unwrap();
    command
        .args(arguments)
        .env_remove("TIPOFF_LOG_LEVEL")
        .env_remove("TIPOFF_LOG_FORMAT");
    command
}

#[test]
fn help_and_version_are_data_and_success() {
    for arguments in [["--help"], ["--version"]] {
        let output = tipoff(&arguments).assert().code(0).get_output().clone();
        assert!(String::from_utf8_lossy(&output.stdout).contains("tipoff"));
        assert!(output.stderr.is_empty());
    }
}

#[test]
fn bad_usage_is_two_and_says_nothing_on_stdout() {
    for arguments in [
        &[][..],
        &["no-such-command"],
        &["completions"],
        &["completions", "cmd.exe"],
        &["speed", "--weeks", "0"],
        &["speed", "--threads", "0"],
        &["speed", "--case", "8,48"],
        &["--log-format", "xml", "completions", "bash"],
        &["--log-level", "tipoff=loud", "completions", "bash"],
    ] {
        let output = tipoff(arguments).assert().code(2).get_output().clone();
        assert!(output.stdout.is_empty(), "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_bad_log_filter_is_refused_with_the_remedy() {
    let mut command = tipoff(&["completions", "bash"]);
    command.env("TIPOFF_LOG_LEVEL", "tipoff=loud");
    let output = command.assert().code(2).get_output().clone();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("info,tipoff::source=debug"), "{text}");
}

#[test]
fn speed_measures_every_row_and_the_fleet() {
    let arguments = ["speed", "--weeks", "1", "--workloads", "2", "--json"];
    let output = tipoff(&arguments).assert().code(0).get_output().clone();
    let table: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = table["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 12);
    for row in rows {
        assert!(row["fit_ms"].as_f64().unwrap() > 0.0, "{row}");
        assert!(row["predict_ms"].as_f64().unwrap() >= 0.0, "{row}");
    }
    let varied: Vec<_> = rows
        .iter()
        .map(|row| row["varies"].as_str().unwrap())
        .collect();
    assert_eq!(varied[..4], ["history"; 4]);
    assert_eq!(varied[8..], ["fixtures"; 4]);
    assert_eq!(table["fleet"]["workloads"], 2);
    assert_eq!(table["fleet"]["fixtures"], 15);
}

#[test]
fn completions_are_made_for_each_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = tipoff(&["completions", shell])
            .assert()
            .code(0)
            .get_output()
            .clone();
        let script = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(script.contains("completions"), "{shell}");
    }
}

#[test]
fn a_reader_that_leaves_early_is_no_failure() {
    let mut child = tipoff(&["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // closing the reading end before the script is written breaks the pipe under the writer
    drop(child.stdout.take());
    let mut errors = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut errors)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{errors}");
    assert_eq!(errors, "");
}

/// The path of a file in a folder that holds a text.
fn written(folder: &std::path::Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn objects_that_are_not_usable_are_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| written(folder.path(), name, text);
    let settings = "prometheus: {url: 'http://127.0.0.1:9'}\nlisten: 127.0.0.1:0\n";
    let settings = file("tipoff.yaml", settings);
    let head = "apiVersion: tipoff.dev/v1alpha1\nmetadata: {name: a}\n";
    for (object, says) in [
        (
            "kind: PredictiveAutoscaler\nspec: {minReplica: 4}\n",
            ".spec.minReplica: field not declared in schema",
        ),
        (
            "kind: PredictiveAutoscaler\nspec: {minReplicas: 4}\n",
            "object 1: PredictiveAutoscaler.tipoff.dev \"a\" is invalid",
        ),
        (
            "kind: PredictivAutoscaler\n",
            "object 1: the cluster has no kind PredictivAutoscaler in tipoff.dev/v1alpha1",
        ),
    ] {
        let object = file("object.yaml", &format!("{head}{object}"));
        let arguments = [
            "run",
            "--embedded",
            "--config",
            &settings,
            "--apply",
            &object,
        ];
        let output = tipoff(&arguments).assert().code(2).get_output().clone();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains(says), "{text}");
        assert!(
            !text.contains("Status {") && !text.contains("GroupVersionKind"),
            "{text}"
        );
    }
}

#[test]
fn settings_that_are_not_usable_are_bad_input_with_the_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tipoff.yaml");
    std::fs::write(&file, "prometheus:\n  url: nowhere\n").unwrap();
    let path = file.to_str().unwrap();
    for (path, says) in [
        (path, "tipoff.yaml:2:8: prometheus.url"),
        ("/no/such/tipoff.yaml", "--config"),
    ] {
        let arguments = ["run", "--embedded", "--config", path];
        let output = tipoff(&arguments).assert().code(2).get_output().clone();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains(says), "{text}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_standard_output_that_takes_no_more_is_named() {
    let Ok(full) = std::fs::OpenOptions::new().write(true).open("/dev/full") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let fixtures = folder.path().join("a.csv");
    std::fs::write(
        &fixtures,
        "id,start,competition\na,2090-01-01T20:00:00Z,NFL\n",
    )
    .unwrap();
    let fixtures = fixtures.to_str().unwrap();
    for arguments in [
        &["crds"][..],
        &["completions", "bash"],
        &["fixtures", "check", fixtures],
        &["fixtures", "import", fixtures],
    ] {
        let mut command = tipoff(arguments);
        command.stdout(full.try_clone().unwrap());
        let output = command.assert().code(1).get_output().clone();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let said = "tipoff: standard output: cannot be written: No space left on device";
        assert!(text.starts_with(said), "{arguments:?}: {text}");
    }
}

#[test]
fn a_policy_that_is_not_usable_is_told_in_the_log_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| written(folder.path(), name, text);
    let settings = "prometheus: {url: 'http://127.0.0.1:9'}\nlisten: 127.0.0.1:0\ntick: 5s\n";
    let settings = file("tipoff.yaml", settings);
    let policy = "\
apiVersion: tipoff.dev/v1alpha1
kind: PredictiveAutoscaler
metadata: {name: entry, namespace: default}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: entry}
  minReplicas: 4
  maxReplicas: 2
  load: {prometheus: {query: up}}
";
    let policy = file("policy.yaml", policy);
    let arguments = [
        "run",
        "--embedded",
        "--config",
        &settings,
        "--apply",
        &policy,
    ];
    let mut child = tipoff(&arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut lines = log.lines().map(Result::unwrap);
    let told = lines.find(|line| line.contains("nothing is decided"));
    child.kill().unwrap();
    child.wait().unwrap();
    let told = told.unwrap();
    for part in [
        "WARN",
        "default/entry",
        "InvalidSpec",
        "minReplicas 4 is above maxReplicas 2",
    ] {
        assert!(told.contains(part), "{told}");
    }
    let again = lines.filter(|line| line.contains("nothing is decided"));
    assert_eq!(again.count(), 0);
}
