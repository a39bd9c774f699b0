//! The Prometheus source against a server over real HTTP: what it takes, and how it names what it
//! cannot take.

use std::io::Write as _;
use std::time::Duration;

use chrono::TimeDelta;
use serde_json::{Value, json};
use tipoff::settings::{Auth, PrometheusSettings};
use tipoff::source::{Prometheus, SourceError};
use tipoff::units::{Rate, Timestamp};
use wiremock::matchers::{body_string_contains, header, method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::support::{at, install_tls};

const QUERY: &str = "sum(rate(http_requests_total[1m]))";

fn noon() -> Timestamp {
    at("2026-09-13T12:00:00Z")
}

fn settings(url: &str) -> PrometheusSettings {
    PrometheusSettings {
        timeout: Duration::from_millis(500),
        ..PrometheusSettings::new(url.parse().unwrap())
    }
}

fn client(settings: &PrometheusSettings) -> Prometheus {
    install_tls();
    Prometheus::new(settings).unwrap()
}

async fn answering(template: ResponseTemplate) -> (MockServer, Prometheus) {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(template)
        .mount(&server)
        .await;
    let client = client(&settings(&server.uri()));
    (server, client)
}

fn success(result_type: &str, result: &Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({
        "status": "success", "data": {"resultType": result_type, "result": result},
    }))
}

fn one(value: &str) -> ResponseTemplate {
    success(
        "vector",
        &json!([{"metric": {}, "value": [1_789_300_800.0, value]}]),
    )
}

async fn refusal(template: ResponseTemplate) -> SourceError {
    let (_server, client) = answering(template).await;
    client.instant(QUERY, noon()).await.unwrap_err()
}

async fn assert_refused(template: ResponseTemplate, kind: &str, says: &str) {
    let error = refusal(template).await;
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(says), "{error}");
    assert!(SourceError::KINDS.contains(&error.kind()));
}

#[tokio::test]
async fn an_instant_query_is_a_form_and_gives_one_load() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/prefix/api/v1/query"))
        .and(header("content-type", "application/x-www-form-urlencoded"))
        .and(header("x-scope-orgid", "games"))
        .and(body_string_contains("query=sum%28rate%28"))
        .and(body_string_contains("time=1789300800.000"))
        .respond_with(one("1234.5"))
        .expect(1)
        .mount(&server)
        .await;
    let mut settings = settings(&format!("{}/prefix/", server.uri()));
    settings
        .headers
        .insert("X-Scope-OrgID".into(), "games".into());
    let sample = client(&settings).instant(QUERY, noon()).await.unwrap();
    assert_eq!(sample.rate, Rate::per_second(1234.5));
    assert_eq!(sample.at, noon());
}

#[tokio::test]
async fn a_scalar_is_a_load_too() {
    let (_server, client) = answering(success("scalar", &json!([1_789_300_800.0, "7"]))).await;
    let sample = client.instant("7", noon()).await.unwrap();
    assert_eq!(sample.rate, Rate::per_second(7.0));
}

#[tokio::test]
async fn nobody_listening_is_unreachable() {
    let client = client(&settings("http://127.0.0.1:9"));
    let error = client.instant(QUERY, noon()).await.unwrap_err();
    assert_eq!(error.kind(), "unreachable");
    assert!(error.to_string().contains("prometheus.url"), "{error}");
}

#[tokio::test]
async fn an_answer_that_takes_thirty_seconds_is_given_up_at_the_deadline() {
    let slow = one("1").set_delay(Duration::from_secs(30));
    let outcome = tokio::time::timeout(Duration::from_secs(10), refusal(slow)).await;
    let error = outcome.expect("the source's own deadline comes first");
    assert_eq!(error.kind(), "timeout");
    assert!(error.to_string().contains("500 ms"), "{error}");
}

#[tokio::test]
async fn a_body_that_drips_is_given_up_at_the_same_deadline() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let drip = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        let _ = socket.read(&mut request).await;
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
                    content-length: 100000\r\n\r\n{";
        socket.write_all(head.as_bytes()).await.unwrap();
        while socket.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let client = client(&settings(&format!("http://{address}")));
    let asked = client.instant(QUERY, noon());
    let outcome = tokio::time::timeout(Duration::from_secs(10), asked).await;
    assert_eq!(outcome.unwrap().unwrap_err().kind(), "timeout");
    drip.abort();
}

#[tokio::test]
async fn a_body_that_breaks_off_is_told_apart() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        let _ = socket.read(&mut request).await;
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
                    content-length: 100000\r\n\r\n{";
        let _ = socket.write_all(head.as_bytes()).await;
    });
    let client = client(&settings(&format!("http://{address}")));
    let error = client.instant(QUERY, noon()).await.unwrap_err();
    assert_eq!(error.kind(), "broke_off", "{error}");
}

#[tokio::test]
async fn no_series_is_no_load() {
    assert_refused(success("vector", &json!([])), "empty", "no data").await;
}

#[tokio::test]
async fn what_is_not_a_load_is_named() {
    assert_refused(one("NaN"), "not_a_number", "division by zero").await;
    assert_refused(one("+Inf"), "infinite", "+Inf").await;
    assert_refused(one("-Inf"), "infinite", "-Inf").await;
    assert_refused(one("-3"), "negative", "-3").await;
    assert_refused(one("many"), "result_type", "many").await;
}

#[tokio::test]
async fn several_series_are_refused_with_the_remedy() {
    let two = json!([
        {"metric": {"pod": "a"}, "value": [1.0, "1"]},
        {"metric": {"pod": "b"}, "value": [1.0, "2"]},
    ]);
    let error = refusal(success("vector", &two)).await;
    assert_eq!(error.kind(), "many_series");
    insta::assert_snapshot!(error, @r#"the query "sum(rate(http_requests_total[1m]))" gave 2 series, for example {pod="a"} and {pod="b"}, and load is one number: aggregate them, for example sum(sum(rate(http_requests_total[1m])))"#);
}

#[tokio::test]
async fn other_types_of_result_are_refused() {
    let text = success("string", &json!([1.0, "up"]));
    assert_refused(text, "result_type", "string").await;
    let histogram = json!([{"metric": {}, "histogram": [1.0, {"count": "1"}]}]);
    assert_refused(success("vector", &histogram), "result_type", "histogram").await;
}

#[tokio::test]
async fn an_answer_from_part_of_the_data_is_none() {
    let partial = ResponseTemplate::new(200).set_body_json(json!({
        "status": "success",
        "warnings": ["store-3 is unreachable"],
        "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1.0, "1"]}]},
    }));
    assert_refused(partial, "partial", "store-3").await;
}

#[tokio::test]
async fn remarks_about_style_do_not_matter() {
    let remarked = ResponseTemplate::new(200).set_body_json(json!({
        "status": "success",
        "infos": ["metric might not be a counter"],
        "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1.0, "1"]}]},
    }));
    let (_server, client) = answering(remarked).await;
    assert!(client.instant(QUERY, noon()).await.is_ok());
}

#[tokio::test]
async fn a_refused_query_carries_prometheus_own_words() {
    let refused = ResponseTemplate::new(400).set_body_json(json!({
        "status": "error", "errorType": "bad_data", "error": "parse error: unexpected )",
    }));
    assert_refused(refused, "query", "unexpected )").await;
    let failed = ResponseTemplate::new(200).set_body_json(json!({
        "status": "error", "errorType": "execution", "error": "too many samples",
    }));
    assert_refused(failed, "query", "too many samples").await;
}

#[tokio::test]
async fn http_errors_are_told_apart_and_hint_at_the_remedy() {
    for (status, kind, says) in [
        (301, "http_3xx", "redirects"),
        (401, "http_4xx", "bearerTokenFile"),
        (404, "http_4xx", "path in prometheus.url"),
        (429, "http_4xx", "too many queries"),
        (500, "http_5xx", "HTTP 500"),
        (503, "http_5xx", "does not reach it"),
    ] {
        let page = ResponseTemplate::new(status).set_body_raw("<html>", "text/html");
        assert_refused(page, kind, says).await;
    }
}

#[tokio::test]
async fn a_login_page_is_not_an_answer() {
    let page = ResponseTemplate::new(200).set_body_raw("<html>", "text/html; charset=utf-8");
    assert_refused(page, "content_type", "text/html").await;
}

#[tokio::test]
async fn garbage_is_not_an_answer() {
    for body in [
        "{\"status\":",
        "[]",
        "{}",
        r#"{"status":"success"}"#,
        r#"{"status":"maybe"}"#,
        r#"{"status":"success","data":{"resultType":"vector","result":{"a":1}}}"#,
        r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1]}]}}"#,
    ] {
        let garbage = ResponseTemplate::new(200).set_body_raw(body, "application/json");
        assert_refused(garbage, "malformed", "not the Prometheus HTTP API").await;
    }
}

#[tokio::test]
async fn a_huge_answer_is_not_read_to_its_end() {
    let server = MockServer::start().await;
    let huge = ResponseTemplate::new(200).set_body_raw(vec![b' '; 100_000], "application/json");
    Mock::given(method("POST"))
        .respond_with(huge)
        .mount(&server)
        .await;
    let small = PrometheusSettings {
        max_body_bytes: 50_000,
        ..settings(&server.uri())
    };
    let error = client(&small).instant(QUERY, noon()).await.unwrap_err();
    assert_eq!(error.kind(), "too_large");
    assert!(error.to_string().contains("maxBodyBytes"), "{error}");
}

#[tokio::test]
async fn a_small_answer_that_unpacks_to_a_huge_one_is_not_read_either() {
    let server = MockServer::start().await;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&vec![b' '; 5_000_000]).unwrap();
    let packed = gzip.finish().unwrap();
    assert!(packed.len() < 50_000);
    let bomb = ResponseTemplate::new(200)
        .set_body_raw(packed, "application/json")
        .insert_header("content-encoding", "gzip");
    Mock::given(method("POST"))
        .respond_with(bomb)
        .mount(&server)
        .await;
    let small = PrometheusSettings {
        max_body_bytes: 50_000,
        ..settings(&server.uri())
    };
    let error = client(&small).instant(QUERY, noon()).await.unwrap_err();
    assert_eq!(error.kind(), "too_large");
}

#[tokio::test]
async fn secrets_are_read_at_each_call() {
    let server = MockServer::start().await;
    for token in ["first", "second"] {
        Mock::given(header("authorization", format!("Bearer {token}")))
            .respond_with(one("1"))
            .expect(1)
            .mount(&server)
            .await;
    }
    let folder = tempfile::tempdir().unwrap();
    let token_file = folder.path().join("token");
    let settings = PrometheusSettings {
        auth: Auth::Bearer {
            token_file: token_file.clone(),
        },
        ..settings(&server.uri())
    };
    let client = client(&settings);
    for token in ["first", "second"] {
        std::fs::write(&token_file, format!("{token}\n")).unwrap();
        client.instant(QUERY, noon()).await.unwrap();
    }
    std::fs::remove_file(&token_file).unwrap();
    let error = client.instant(QUERY, noon()).await.unwrap_err();
    assert_eq!(error.kind(), "credentials");
    assert!(error.to_string().contains("token"), "{error}");
}

#[tokio::test]
async fn a_user_and_password_are_sent() {
    let server = MockServer::start().await;
    Mock::given(header("authorization", "Basic YW5uOnNlY3JldA=="))
        .respond_with(one("1"))
        .expect(1)
        .mount(&server)
        .await;
    let folder = tempfile::tempdir().unwrap();
    let password_file = folder.path().join("password");
    std::fs::write(&password_file, "secret").unwrap();
    let settings = PrometheusSettings {
        auth: Auth::Basic {
            username: "ann".into(),
            password_file,
        },
        ..settings(&server.uri())
    };
    client(&settings).instant(QUERY, noon()).await.unwrap();
}

#[test]
fn an_authority_file_that_is_none_is_refused() {
    install_tls();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    for content in [None, Some("not a certificate")] {
        if let Some(content) = content {
            std::fs::write(&file, content).unwrap();
        }
        let settings = PrometheusSettings {
            ca_file: Some(file.clone()),
            ..settings("https://prometheus:9090")
        };
        let error = Prometheus::new(&settings).unwrap_err();
        assert_eq!(error.kind(), "setup");
        assert!(error.to_string().contains("prometheus.caFile"), "{error}");
    }
}

/// Answers range queries as Prometheus would: the value at a time is its minute of the day, and
/// more than 11,000 points are refused.
fn minute_of_day(request: &Request) -> ResponseTemplate {
    let form: std::collections::BTreeMap<String, String> =
        url_decode(&String::from_utf8_lossy(&request.body));
    let number = |name: &str| form[name].parse::<f64>().unwrap();
    let (start, end, step) = (number("start"), number("end"), number("step"));
    let points = ((end - start) / step).floor() as u64 + 1;
    if points > 11_000 {
        return ResponseTemplate::new(400).set_body_json(json!({
            "status": "error", "errorType": "bad_data",
            "error": "exceeded maximum resolution of 11,000 points per timeseries",
        }));
    }
    let values: Vec<Value> = (0..points)
        .map(|i| start + i as f64 * step)
        .filter(|time| time.rem_euclid(86_400.0) != 7_200.0)
        .map(|time| json!([time, (time.rem_euclid(86_400.0) / 60.0).to_string()]))
        .collect();
    success("matrix", &json!([{"metric": {}, "values": values}]))
}

fn url_decode(body: &str) -> std::collections::BTreeMap<String, String> {
    reqwest::Url::parse(&format!("http://x/?{body}"))
        .unwrap()
        .query_pairs()
        .into_owned()
        .collect()
}

#[tokio::test]
async fn a_long_history_is_asked_for_in_pieces_and_has_its_gaps() {
    let server = MockServer::start().await;
    Mock::given(path("/api/v1/query_range"))
        .respond_with(minute_of_day)
        .expect(3)
        .mount(&server)
        .await;
    let settings = PrometheusSettings {
        timeout: Duration::from_secs(20),
        ..settings(&server.uri())
    };
    let from = at("2026-08-01T00:00:00Z");
    let to = from + TimeDelta::days(20);
    let series = client(&settings)
        .range(QUERY, from, to, TimeDelta::minutes(1))
        .await
        .unwrap();
    assert_eq!(
        (series.start(), series.end(), series.len()),
        (from, to, 28_800)
    );
    assert_eq!(series.gaps(), 20, "one bin a day is missing");
    for (day, hour, minute) in [(0, 0, 0), (7, 15, 19), (15, 6, 40), (19, 23, 58)] {
        let bin = from + TimeDelta::days(day) + TimeDelta::minutes(hour * 60 + minute);
        let value = series.at(bin).unwrap().as_per_second();
        assert_eq!(
            value,
            (hour * 60 + minute + 1) as f64,
            "the value at the end of {bin}"
        );
    }
    assert_eq!(series.at(from + TimeDelta::minutes(119)), None);
}

#[tokio::test]
async fn what_is_not_a_load_is_a_gap_in_history() {
    let base = noon().timestamp();
    let values = json!([
        [base + 60, "1"],
        [base + 120, "NaN"],
        [base + 180, "+Inf"],
        [base + 240, "-1"],
        [base + 300, "5"],
    ]);
    let matrix = success("matrix", &json!([{"metric": {}, "values": values}]));
    let (_server, client) = answering(matrix).await;
    let to = noon() + TimeDelta::minutes(6);
    let series = client
        .range(QUERY, noon(), to, TimeDelta::minutes(1))
        .await
        .unwrap();
    let values: Vec<_> = series
        .iter()
        .map(|(_, v)| v.map(Rate::as_per_second))
        .collect();
    assert_eq!(values, [Some(1.0), None, None, None, Some(5.0), None]);
}

#[tokio::test]
async fn a_history_without_a_point_is_empty() {
    let (_server, client) = answering(success("matrix", &json!([]))).await;
    let to = noon() + TimeDelta::hours(1);
    let error = client
        .range(QUERY, noon(), to, TimeDelta::minutes(1))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), "empty");
}

#[tokio::test]
async fn a_history_off_its_grid_is_refused() {
    let off = json!([{"metric": {}, "values": [[noon().timestamp() + 61, "1"]]}]);
    let (_server, client) = answering(success("matrix", &off)).await;
    let to = noon() + TimeDelta::hours(1);
    let error = client
        .range(QUERY, noon(), to, TimeDelta::minutes(1))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), "malformed");
}

#[tokio::test]
async fn a_range_that_makes_no_sense_is_not_sent() {
    let client = client(&settings("http://127.0.0.1:9"));
    let year = TimeDelta::days(365);
    for (from, to, step) in [
        (noon(), noon(), TimeDelta::minutes(1)),
        (noon(), noon() - year, TimeDelta::minutes(1)),
        (noon() - year, noon(), TimeDelta::zero()),
        (noon() - year, noon(), TimeDelta::milliseconds(1)),
    ] {
        let error = client.range(QUERY, from, to, step).await.unwrap_err();
        assert_eq!(error.kind(), "range", "{from} {to} {step}");
    }
}

/// A series of a matrix: labels, and values minute by minute from noon on.
fn minutes(labels: &Value, values: &[&str]) -> Value {
    let base = noon().timestamp();
    let values: Vec<Value> = values
        .iter()
        .enumerate()
        .map(|(minute, value)| json!([base + 60 * (minute as i64 + 1), value]))
        .collect();
    json!({"metric": labels, "values": values})
}

/// What a range query by slate makes of an answer, at most three series.
async fn by_slate(
    template: ResponseTemplate,
) -> Result<Vec<(Option<String>, Vec<Option<f64>>)>, SourceError> {
    let (_server, client) = answering(template).await;
    let span = (noon(), noon() + TimeDelta::minutes(3));
    let read = client
        .range_by(QUERY, "slate", 3, span, TimeDelta::minutes(1))
        .await?;
    let values = |series: &tipoff::series::Series| {
        let values = series.iter().map(|(_, v)| v.map(Rate::as_per_second));
        values.collect()
    };
    Ok(read.iter().map(|(s, v)| (s.clone(), values(v))).collect())
}

#[tokio::test]
async fn several_series_are_told_apart_by_a_label() {
    let matrix = json!([
        minutes(
            &json!({"slate": "main", "job": "contests"}),
            &["1", "NaN", "3"]
        ),
        minutes(&json!({"slate": "late"}), &["-1", "+Inf"]),
        minutes(&json!({"job": "contests"}), &["7"]),
    ]);
    let read = by_slate(success("matrix", &matrix)).await.unwrap();
    assert_eq!(
        read,
        [
            (None, vec![Some(7.0), None, None]),
            (Some("late".to_owned()), vec![None; 3]),
            (Some("main".to_owned()), vec![Some(1.0), None, Some(3.0)]),
        ]
    );
    let none = by_slate(success("matrix", &json!([]))).await.unwrap();
    assert_eq!(none, [], "nothing on sale is no failure");
}

#[tokio::test]
async fn what_cannot_be_told_apart_is_refused_with_the_way_out() {
    let twice = json!([
        minutes(&json!({"slate": "main", "pod": "a"}), &["1"]),
        minutes(&json!({"slate": "main", "pod": "b"}), &["1"]),
    ]);
    let error = by_slate(success("matrix", &twice)).await.unwrap_err();
    assert_eq!(error.kind(), "ambiguous");
    insta::assert_snapshot!(error, @r#"the query "sum(rate(http_requests_total[1m]))" gave several series with slate="main", for example {pod="a",slate="main"} and {pod="b",slate="main"}: aggregate them, for example sum by (slate) (sum(rate(http_requests_total[1m])))"#);

    let four: Vec<Value> = ["a", "b", "c", "d"]
        .iter()
        .map(|slate| minutes(&json!({"slate": slate}), &["1"]))
        .collect();
    let error = by_slate(success("matrix", &json!(four))).await.unwrap_err();
    assert_eq!(error.kind(), "too_many_series");
    insta::assert_snapshot!(error, @r#"the query "sum(rate(http_requests_total[1m]))" gave 4 series, and at most 3 are kept apart: aggregate them, for example sum by (slate) (sum(rate(http_requests_total[1m]))), or select fewer"#);

    let word = json!([minutes(&json!({"slate": "main"}), &["many"])]);
    let error = by_slate(success("matrix", &word)).await.unwrap_err();
    assert_eq!(error.kind(), "malformed");
    let text = success("string", &json!([noon().timestamp(), "many"]));
    let error = by_slate(text).await.unwrap_err();
    assert_eq!(error.kind(), "result_type");
    for kind in ["ambiguous", "too_many_series"] {
        assert!(SourceError::KINDS.contains(&kind));
    }
}
