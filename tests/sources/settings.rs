//! The settings file: what it may say, how it is refused, and how it changes under a running
//! controller.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pretty_assertions::assert_eq;
use tempfile::TempDir;
use tipoff::breaker::Limits;
use tipoff::clock::ManualClock;
use tipoff::fixture::{Fixture, FixtureId};
use tipoff::serve::Metrics;
use tipoff::settings::{self, Auth, Live, PushSettings, Reloader, Settings, SettingsError};
use tipoff::units::Timestamp;
use tokio::sync::watch;

const MINIMAL: &str = "prometheus: {url: 'http://prometheus:9090'}\n";

fn parse(text: &str) -> Result<Settings, SettingsError> {
    settings::parse(text, Path::new("/etc/tipoff/tipoff.yaml"))
}

fn refusal(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn one_line_is_enough() {
    let settings = parse(MINIMAL).unwrap();
    assert_eq!(settings.prometheus.url.as_str(), "http://prometheus:9090/");
    assert_eq!(settings.prometheus.timeout, Duration::from_secs(10));
    // an order by hand waits with a decision, and has five seconds
    assert_eq!(settings.breakers.prometheus.timeout, Duration::from_secs(4));
    assert_eq!(settings.listen.to_string(), "0.0.0.0:8080");
    let election = settings.leader_election;
    assert!(election.enabled);
    // one for all namespaces, one for each that is watched alone
    assert_eq!(election.lease_name(None), "tipoff");
    assert_eq!(election.lease_name(Some("dfs")), "tipoff-dfs");
    assert_eq!(
        (
            election.lease_duration,
            election.renew_deadline,
            election.retry_period
        ),
        (
            Duration::from_secs(15),
            Duration::from_secs(10),
            Duration::from_secs(2)
        ),
    );
}

#[test]
fn everything_can_be_said() {
    let settings = parse(
        "prometheus:
  url: https://mimir.example/prometheus/
  timeout: 3s
  maxBodyBytes: 1048576
  basicAuth: {username: ann, passwordFile: secrets/password}
  headers: {X-Scope-OrgID: games}
  caFile: /etc/ca.pem
calendars:
  - {name: nfl, source: calendars/nfl.ics, format: ics, zone: America/New_York}
  - {name: promos, source: /srv/promos.yaml}
budget: {writesPerSecond: 2.5, burst: 7}
breakers:
  prometheus: {timeout: 2s, failurePercentage: 40, minimumVolume: 10}
  kubernetes: {windows: 6, window: 5s, sleepWindow: 8s, maxConcurrent: 9}
listen: 127.0.0.1:9000
leaderElection:
  {enabled: false, namespace: ops, name: tip, leaseDuration: 30s, renewDeadline: 20s, retryPeriod: 4s}
tick: 1s
push: {tokenFile: secrets/push, maxBodyBytes: 2048, maxItems: 5, requestsPerSecond: 0.5, burst: 3}
log: {level: 'info,tipoff::source=debug'}
",
    )
    .unwrap();
    assert_eq!(
        settings.prometheus.url.as_str(),
        "https://mimir.example/prometheus"
    );
    assert_eq!(
        settings.prometheus.auth,
        Auth::Basic {
            username: "ann".into(),
            password_file: PathBuf::from("/etc/tipoff/secrets/password"),
        },
    );
    let sources: Vec<_> = settings
        .calendars
        .iter()
        .map(|c| c.source.as_path())
        .collect();
    assert_eq!(
        sources,
        [
            Path::new("/etc/tipoff/calendars/nfl.ics"),
            Path::new("/srv/promos.yaml")
        ],
    );
    assert_eq!(
        settings.calendars[0].zone,
        Some(chrono_tz::America::New_York)
    );
    assert_eq!(settings.budget.burst, 7);
    let default = Limits::default();
    assert_eq!(
        settings.breakers.prometheus,
        Limits {
            timeout: Duration::from_secs(2),
            failure_percentage: 40,
            minimum_volume: 10,
            max_concurrent: 60,
            ..default
        },
    );
    assert_eq!(
        settings.breakers.kubernetes,
        Limits {
            windows: 6,
            window: Duration::from_secs(5),
            sleep_window: Duration::from_secs(8),
            max_concurrent: 9,
            ..default
        },
    );
    assert_eq!(
        settings.leader_election.lease_duration,
        Duration::from_secs(30)
    );
    assert_eq!(settings.tick.num_seconds(), 1);
    assert_eq!(
        settings.push,
        PushSettings {
            token_file: Some(PathBuf::from("/etc/tipoff/secrets/push")),
            max_body_bytes: 2048,
            max_items: 5,
            requests_per_second: 0.5,
            burst: 3,
        }
    );
}

#[test]
fn secrets_in_headers_do_not_reach_logs() {
    let text = "prometheus: {url: 'http://p', headers: {X-Key: hunter2}}\n";
    let shown = format!("{:?}", parse(text).unwrap());
    assert!(
        shown.contains("X-Key") && !shown.contains("hunter2"),
        "{shown}"
    );
}

#[test]
fn each_fault_is_named_with_its_place_and_remedy() {
    let faults = [
        "",
        "- a\n",
        "prometheus: {}\n",
        "prometheus:\n  url: prometheus:9090\n",
        "prometheus:\n  url: http://ann:secret@prometheus\n",
        "prometheus:\n  url: http://prometheus/api/v1\n",
        "prometheus:\n  url: http://prometheus\n  timeout: soon\n",
        "prometheus:\n  url: http://prometheus\n  timeout: 0s\n",
        "prometheus:\n  url: http://prometheus\n  timeout: 1h\n",
        "prometheus:\n  url: http://prometheus\n  bearerTokenFile: a\n  basicAuth: {username: b, passwordFile: c}\n",
        "prometheus:\n  url: http://prometheus\n  headers: {Authorization: Bearer x}\n",
        "prometheus:\n  url: http://prometheus\n  headers: {'a b': c}\n",
        "prometheus:\n  url: http://prometheus\n  urll: x\n",
        "prometheus:\n  url: http://prometheus\n  url: http://twice\n",
        "prometheus: {url: 'http://p'}\ncalendars:\n  - {name: nfl, source: a}\n  - {name: nfl, source: b}\n",
        "prometheus: {url: 'http://p'}\ncalendars:\n  - {name: NFL, source: a}\n",
        "prometheus: {url: 'http://p'}\ncalendars:\n  - name: nfl\n    source: http://x/y.ics\n",
        "prometheus: {url: 'http://p'}\ncalendars:\n  - name: nfl\n    source: a\n    format: word\n",
        "prometheus: {url: 'http://p'}\ncalendars:\n  - name: nfl\n    source: a\n    zone: Mars/Olympus\n",
        "prometheus: {url: 'http://p'}\ncalendars: nfl\n",
        "prometheus: {url: 'http://p'}\nfaults:\n  - {name: ops, source: a}\n  - {name: ops, source: b}\n",
        "prometheus: {url: 'http://p'}\nfaults:\n  - {name: ops, path: a}\n",
        "prometheus: {url: 'http://p'}\nbudget:\n  writesPerSecond: -1\n",
        "prometheus: {url: 'http://p'}\nbudget: {burst: 0}\n",
        "prometheus: {url: 'http://p'}\nbreakers:\n  prometheus: {failurePercentage: 0}\n",
        "prometheus: {url: 'http://p'}\nbreakers:\n  prometheus:\n    minimumVolume: 0\n",
        "prometheus: {url: 'http://p'}\nbreakers: {prometheus: {timeout: 11s}}\n",
        "prometheus: {url: 'http://p'}\nbreakers: {kubernetes: {timeout: 10ms}}\n",
        "prometheus: {url: 'http://p'}\nbreakers: {kubernetes: {sleepWindow: 5m}}\n",
        "prometheus: {url: 'http://p'}\nbreakers: {kubernetes: {window: 1h}}\n",
        "prometheus: {url: 'http://p'}\nbreakers: {kubernetes: {windows: 100}}\n",
        "prometheus: {url: 'http://p'}\nbreakers: {kubernetes: {maxConcurrent: 0}}\n",
        "prometheus: {url: 'http://p'}\nbreakers: {kubernetes: {maxConcurent: 5}}\n",
        "prometheus: {url: 'http://p'}\nbreakers: {postgres: {}}\n",
        "prometheus: {url: 'http://p'}\nlisten: 8080\n",
        "prometheus: {url: 'http://p'}\nlisten: everywhere\n",
        "prometheus: {url: 'http://p'}\nleaderElection:\n  leaseDuration: 10s\n",
        "prometheus: {url: 'http://p'}\nleaderElection:\n  renewDeadline: 15s\n",
        "prometheus: {url: 'http://p'}\nleaderElection:\n  retryPeriod: 8s\n",
        "prometheus: {url: 'http://p'}\nleaderElection: {leaseDuration: 15500ms}\n",
        "prometheus: {url: 'http://p'}\ntick: 1h\n",
        "prometheus: {url: 'http://p'}\nlog: {level: loud=loud}\n",
        "prometheus: {url: 'http://p'\n",
        "prometheus:\n\turl: x\n",
        "prometheus: {url: 'http://p'}\npush:\n  token: abc\n",
        "prometheus: {url: 'http://p'}\npush:\n  tokenFile: ''\n",
        "prometheus: {url: 'http://p'}\npush:\n  maxBodyBytes: 10\n",
        "prometheus: {url: 'http://p'}\npush:\n  maxItems: 0\n",
        "prometheus: {url: 'http://p'}\npush:\n  requestsPerSecond: 0\n",
        "prometheus: {url: 'http://p'}\npush:\n  burst: 0\n",
    ];
    let refusals: Vec<String> = faults
        .iter()
        .map(|text| format!("{text:?}\n  {}", refusal(text)))
        .collect();
    insta::assert_snapshot!(refusals.join("\n"));
}

/// A folder of settings under a controller, with a clock that stands still.
struct Bench {
    folder: TempDir,
    clock: Arc<ManualClock>,
    metrics: Metrics,
}

const CSV: &str = "id,start,competition,home,away,duration\n";
const OPENER: &str = "opener,2026-09-13T17:00:00Z,NFL,A,B,3h15m\n";
const LATE: &str = "late,2026-09-13T20:25:00Z,NFL,C,D,3h15m\n";

fn with_calendar() -> String {
    format!("{MINIMAL}calendars: [{{name: nfl, source: nfl.csv}}]\n")
}

impl Bench {
    fn new() -> Self {
        let now: Timestamp = "2026-09-13T12:00:00Z".parse().unwrap();
        let bench = Self {
            folder: tempfile::tempdir().unwrap(),
            clock: ManualClock::new(now),
            metrics: Metrics::new().unwrap(),
        };
        bench.write("tipoff.yaml", &with_calendar());
        bench.write("nfl.csv", &[CSV, OPENER, LATE].concat());
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn open(&self) -> (Reloader, watch::Receiver<Arc<Live>>) {
        let path = self.path("tipoff.yaml");
        Reloader::open(&path, self.clock.clone(), self.metrics.clone()).unwrap()
    }

    fn counted(&self, line: &str) -> bool {
        self.metrics.render().unwrap().lines().any(|l| l == line)
    }
}

fn fixtures(live: &Live) -> Vec<String> {
    live.calendar("nfl")
        .unwrap()
        .iter()
        .map(|f| f.id.0.clone())
        .collect()
}

#[test]
fn settings_that_are_bad_from_the_start_are_an_error() {
    let bench = Bench::new();
    bench.write("tipoff.yaml", "prometheus: {url: nowhere}\n");
    let path = bench.path("tipoff.yaml");
    let error = Reloader::open(&path, bench.clock.clone(), bench.metrics.clone()).unwrap_err();
    assert!(error.to_string().contains("tipoff.yaml:1:"), "{error}");
    let nowhere = bench.path("nowhere.yaml");
    let error = Reloader::open(&nowhere, bench.clock.clone(), bench.metrics.clone()).unwrap_err();
    assert!(error.to_string().contains("--config"), "{error}");
}

#[test]
fn a_calendar_that_never_loaded_is_a_problem_and_not_an_error() {
    let bench = Bench::new();
    std::fs::remove_file(bench.path("nfl.csv")).unwrap();
    let (mut reloader, mut live) = bench.open();
    {
        let live = live.borrow_and_update();
        assert!(live.calendars.is_empty());
        assert_eq!(live.problems.len(), 1);
        let reason = live.calendar("nfl").unwrap_err();
        assert!(reason.contains("has not loaded"), "{reason}");
        let reason = live.calendar("nba").unwrap_err();
        assert!(reason.contains("[nfl]"), "{reason}");
    }
    bench.write("nfl.csv", &[CSV, OPENER].concat());
    reloader.poll();
    assert!(live.has_changed().unwrap());
    assert!(live.borrow().problems.is_empty());
    assert_eq!(fixtures(&live.borrow()), ["opener"]);
}

#[test]
fn nothing_new_wakes_nobody() {
    let bench = Bench::new();
    let (mut reloader, mut live) = bench.open();
    live.borrow_and_update();
    reloader.poll();
    assert!(!live.has_changed().unwrap());
}

#[test]
fn a_bad_settings_file_leaves_the_last_good_one_in_force() {
    let bench = Bench::new();
    let (mut reloader, live) = bench.open();
    bench.write(
        "tipoff.yaml",
        "prometheus: {url: 'http://new'}\ntick: never\n",
    );
    reloader.poll();
    {
        let live = live.borrow();
        assert_eq!(
            live.settings.prometheus.url.as_str(),
            "http://prometheus:9090/"
        );
        assert_eq!(fixtures(&live), ["late", "opener"]);
        assert!(
            live.problems[0].contains("tipoff.yaml:2:"),
            "{:?}",
            live.problems
        );
        assert!(live.problems[0].contains("tick"), "{:?}", live.problems);
    }
    assert!(bench.counted(r#"tipoff_reloads_total{outcome="refused",what="settings"} 1"#));
    assert!(bench.counted("tipoff_settings_problems 1"));
    bench.write("tipoff.yaml", "prometheus: {url: 'http://new'}\n");
    reloader.poll();
    assert_eq!(
        live.borrow().settings.prometheus.url.as_str(),
        "http://new/"
    );
    assert!(live.borrow().problems.is_empty());
    assert!(bench.counted("tipoff_settings_problems 0"));
}

#[test]
fn breaker_limits_change_with_the_file_and_bad_ones_leave_the_last_in_force() {
    let bench = Bench::new();
    let (mut reloader, live) = bench.open();
    let volume = |live: &watch::Receiver<Arc<Live>>| {
        live.borrow().settings.breakers.prometheus.minimum_volume
    };
    assert_eq!(volume(&live), 3);
    let with = |volume: u32| {
        format!(
            "{}breakers:\n  prometheus: {{minimumVolume: {volume}}}\n",
            with_calendar()
        )
    };
    bench.write("tipoff.yaml", &with(20));
    reloader.poll();
    assert_eq!(volume(&live), 20);
    assert!(live.borrow().problems.is_empty(), "no restart is needed");
    bench.write("tipoff.yaml", &with(0));
    reloader.poll();
    assert_eq!(volume(&live), 20);
    let problem = live.borrow().problems[0].clone();
    assert!(
        problem.contains("tipoff.yaml:4:31: breakers.prometheus.minimumVolume: must"),
        "{problem}"
    );
}

#[test]
fn a_settings_file_that_vanishes_changes_nothing_but_is_told() {
    let bench = Bench::new();
    let (mut reloader, live) = bench.open();
    std::fs::remove_file(bench.path("tipoff.yaml")).unwrap();
    reloader.poll();
    assert_eq!(live.borrow().problems.len(), 1);
    assert_eq!(fixtures(&live.borrow()), ["late", "opener"]);
}

#[test]
fn a_bad_calendar_leaves_its_last_good_version_in_force() {
    let bench = Bench::new();
    let (mut reloader, live) = bench.open();
    bench.write("nfl.csv", "\u{0}\u{0}\u{0}");
    reloader.poll();
    {
        let live = live.borrow();
        assert_eq!(fixtures(&live), ["late", "opener"]);
        assert!(live.problems[0].contains("nfl.csv"), "{:?}", live.problems);
        let refused = live.calendars.refused("nfl").unwrap();
        assert!(refused.contains("nfl.csv"), "{refused}");
    }
    assert!(bench.counted(r#"tipoff_reloads_total{outcome="refused",what="calendar"} 1"#));
}

#[test]
fn a_calendar_that_lost_fixtures_deletes_nothing_that_is_not_over() {
    let bench = Bench::new();
    let (mut reloader, live) = bench.open();
    bench.write("nfl.csv", &[CSV, LATE].concat());
    reloader.poll();
    assert_eq!(fixtures(&live.borrow()), ["late", "opener"]);
    bench.clock.advance(chrono::TimeDelta::days(2));
    bench.write(
        "nfl.csv",
        &[CSV, "next,2026-09-20T17:00:00Z,NFL,E,F,3h\n"].concat(),
    );
    reloader.poll();
    assert_eq!(fixtures(&live.borrow()), ["next"], "what is over may go");
}

#[test]
fn a_game_removed_on_a_date_was_known_before_it() {
    let bench = Bench::new();
    let (mut reloader, live) = bench.open();
    bench.write("nfl.csv", &[CSV, LATE].concat());
    reloader.poll();
    bench.write(
        "nfl.csv",
        "removed:\n  - {id: late, reason: dropped, at: 2026-09-13T12:30:00Z}\n",
    );
    reloader.poll();
    let live = live.borrow();
    assert!(fixtures(&live).contains(&"opener".to_owned()));
    assert!(!fixtures(&live).contains(&"late".to_owned()));
    let before = "2026-09-13T12:00:00Z".parse().unwrap();
    let known = live.calendar("nfl").unwrap().as_of(before);
    assert!(known.iter().any(|fixture| fixture.id.0 == "late"));
}

#[test]
fn what_a_calendar_says_anew_is_known_from_its_reading_on() {
    let bench = Bench::new();
    let (mut reloader, mut live) = bench.open();
    let opener = |live: &Live| -> Vec<(String, Option<Timestamp>)> {
        let calendar = Arc::clone(live.calendar("nfl").unwrap());
        let versions = calendar.versions(&FixtureId("opener".into()));
        let shown = |f: &Fixture| (f.start.at.format("%H:%M").to_string(), f.known_at);
        versions.iter().map(shown).collect()
    };
    assert_eq!(opener(&live.borrow()), [("17:00".to_owned(), None)]);
    bench.clock.advance(chrono::TimeDelta::hours(4));
    let moved = OPENER.replace("17:00", "19:00");
    bench.write("nfl.csv", &[CSV, &moved, LATE].concat());
    reloader.poll();
    let read: Timestamp = "2026-09-13T16:00:00Z".parse().unwrap();
    let known = [("17:00".to_owned(), None), ("19:00".to_owned(), Some(read))];
    assert_eq!(opener(&live.borrow()), known);

    // a reading that fails, and one that says the same in other words, change nothing
    let before = Arc::clone(live.borrow().calendar("nfl").unwrap());
    let same = |live: &Live| Arc::ptr_eq(live.calendar("nfl").unwrap(), &before);
    bench.clock.advance(chrono::TimeDelta::minutes(5));
    bench.write("nfl.csv", &[CSV, &moved, "late,soon,NFL,C,D,3h\n"].concat());
    reloader.poll();
    assert!(same(&live.borrow()) && live.borrow().problems.len() == 1);
    bench.write("nfl.csv", &[CSV, LATE, "\n\n", &moved].concat());
    reloader.poll();
    assert!(same(&live.borrow()) && live.borrow().problems.is_empty());
    live.borrow_and_update();
    bench.write("nfl.csv", &[CSV, LATE, &moved].concat());
    reloader.poll();
    assert!(same(&live.borrow()));
    assert!(!live.has_changed().unwrap(), "nobody needs to look at it");
}

#[test]
fn a_zone_that_is_corrected_moves_no_game() {
    let bench = Bench::new();
    let local = "id,start,competition\nopener,2026-09-13 13:00,NFL\n";
    bench.write("nfl.csv", local);
    let settings = |zone: &str| {
        let list = "calendars: [{name: nfl, source: nfl.csv, zone:";
        format!("{MINIMAL}{list} {zone}}}]\n")
    };
    bench.write("tipoff.yaml", &settings("Europe/London"));
    let (mut reloader, live) = bench.open();
    bench.write("tipoff.yaml", &settings("America/New_York"));
    reloader.poll();
    let live = live.borrow();
    let calendar = live.calendar("nfl").unwrap();
    let versions = calendar.versions(&FixtureId("opener".into()));
    assert_eq!(versions.len(), 1);
    assert_eq!(versions[0].known_at, None);
    assert_eq!(
        versions[0].start.at.to_rfc3339(),
        "2026-09-13T17:00:00+00:00"
    );
}

#[test]
fn a_series_that_moved_or_lost_a_day_leaves_no_game_behind() {
    let bench = Bench::new();
    let settings = format!("{MINIMAL}calendars: [{{name: nfl, source: daily.ics}}]\n");
    bench.write("tipoff.yaml", &settings);
    let daily = |start: &str, more: &str| {
        format!(
            "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:u\nSUMMARY:Show\nDTSTART:{start}\n\
             RRULE:FREQ=DAILY\n{more}END:VEVENT\nEND:VCALENDAR\n"
        )
    };
    bench.write("daily.ics", &daily("20260910T170000Z", ""));
    let (mut reloader, live) = bench.open();
    let games = |live: &Live| live.calendar("nfl").unwrap().len();
    let first = games(&live.borrow());
    bench.write("daily.ics", &daily("20260914T180000Z", ""));
    reloader.poll();
    // three were played, and the one of today is no longer there
    assert_eq!(games(&live.borrow()), first - 1);
    let out = "EXDATE:20260915T180000Z\n";
    bench.write("daily.ics", &daily("20260914T180000Z", out));
    reloader.poll();
    assert_eq!(games(&live.borrow()), first - 2);
}

#[test]
fn a_calendar_under_another_file_starts_afresh() {
    let bench = Bench::new();
    let (mut reloader, live) = bench.open();
    bench.write(
        "other.csv",
        &[CSV, "other,2026-09-20T17:00:00Z,NFL,E,F,3h\n"].concat(),
    );
    bench.write(
        "tipoff.yaml",
        &with_calendar().replace("nfl.csv", "other.csv"),
    );
    reloader.poll();
    assert_eq!(fixtures(&live.borrow()), ["other"]);
    bench.write("tipoff.yaml", MINIMAL);
    reloader.poll();
    assert!(live.borrow().calendars.is_empty());
}

#[test]
fn a_fault_list_is_watched_and_a_bad_edit_leaves_the_last_good_one() {
    let bench = Bench::new();
    let settings = format!("{MINIMAL}faults: [{{name: incidents, source: incidents.csv}}]\n");
    bench.write("tipoff.yaml", &settings);
    let (mut reloader, live) = bench.open();
    let spans = |live: &Live| live.fault_list("incidents").map(|list| list.len());
    let why = spans(&live.borrow()).unwrap_err();
    assert!(
        why.starts_with("fault list \"incidents\" has not loaded") && why.contains("incidents.csv"),
        "{why}"
    );
    assert_eq!(live.borrow().problems.len(), 1);
    let unknown = live.borrow().fault_list("deploys").unwrap_err();
    assert!(
        unknown.contains("[incidents]") && unknown.contains("under faults"),
        "{unknown}"
    );

    let outage = "from,to,cause\n2026-09-06T21:10:00Z,2026-09-06T21:40:00Z,outage\n";
    bench.write("incidents.csv", outage);
    reloader.poll();
    assert_eq!(spans(&live.borrow()), Ok(1));
    assert!(live.borrow().problems.is_empty());
    assert!(bench.counted("tipoff_reloads_total{outcome=\"ok\",what=\"fault_list\"} 1"));

    let nonsense = format!("{outage}2026-09-07T00:00:00Z,2026-09-07T01:00:00Z,rain\n");
    bench.write("incidents.csv", &nonsense);
    reloader.poll();
    assert_eq!(spans(&live.borrow()), Ok(1), "the last good one stays");
    let problems = live.borrow().problems.clone();
    assert!(
        problems[0].contains("incidents.csv:3: ") && problems[0].contains("\"rain\""),
        "{problems:?}"
    );
}

#[test]
fn what_only_a_restart_can_change_says_so() {
    let bench = Bench::new();
    let (mut reloader, live) = bench.open();
    bench.write(
        "tipoff.yaml",
        &format!("{}listen: 127.0.0.1:1\n", with_calendar()),
    );
    reloader.poll();
    let problems = live.borrow().problems.clone();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].contains("listen changed"), "{problems:?}");
    assert!(problems[0].contains("restarts"), "{problems:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_config_map_swapped_under_a_running_controller_is_seen() {
    use std::os::unix::fs::symlink;
    let bench = Bench::new();
    // the layout of a mounted ConfigMap: files link to ..data, which links to a dated folder
    for (version, text) in [
        ("..v1", with_calendar()),
        ("..v2", format!("{}tick: 1s\n", with_calendar())),
    ] {
        std::fs::create_dir(bench.path(version)).unwrap();
        bench.write(&format!("{version}/tipoff.yaml"), &text);
    }
    std::fs::remove_file(bench.path("tipoff.yaml")).unwrap();
    symlink("..v1", bench.path("..data")).unwrap();
    symlink("..data/tipoff.yaml", bench.path("tipoff.yaml")).unwrap();

    let (reloader, mut live) = bench.open();
    assert_eq!(live.borrow_and_update().settings.tick.num_seconds(), 5);
    let stop = tokio_util::sync::CancellationToken::new();
    let running = tokio::spawn(reloader.run(stop.clone()));

    symlink("..v2", bench.path("..new")).unwrap();
    std::fs::rename(bench.path("..new"), bench.path("..data")).unwrap();
    let seen = tokio::time::timeout(Duration::from_secs(10), async {
        loop {
            bench.clock.advance(chrono::TimeDelta::seconds(1));
            tokio::select! {
                changed = live.changed() => break changed.unwrap(),
                () = tokio::time::sleep(Duration::from_millis(5)) => {}
            }
        }
    });
    seen.await.expect("the swap is seen");
    assert_eq!(live.borrow().settings.tick.num_seconds(), 1);
    stop.cancel();
    running.await.unwrap();
}
