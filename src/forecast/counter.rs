//! Tells a counter from a rate.
//!
//! `http_requests_total` only grows until its process ends; whoever gives it as load means its rate.
//! Load of people falls every night.

/// Rises without which nothing is said: two days of hourly rows.
const LEAST: usize = 48;

/// Largest share of all moves that are falls in a counter: a restart, now and then.
const FALLS: f64 = 0.005;

/// What to say of values that look like those of a counter, NaN for gaps. Neighbours that are alike
/// say nothing: they are of one wide row.
pub(super) fn note(values: &[f64]) -> Option<String> {
    let (mut falls, mut rises) = (0, 0);
    for pair in values.windows(2) {
        falls += usize::from(pair[1] < pair[0]);
        rises += usize::from(pair[1] > pair[0]);
    }
    let few = falls as f64 <= FALLS * (falls + rises) as f64;
    (rises >= LEAST && few).then(|| {
        format!(
            "load rose {rises} times and fell {falls} times: a counter? give its rate, in PromQL \
             rate(...[5m])"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_told_from_load() {
        let requests =
            |bin: usize| 50.0 + 40.0 * (bin as f64 * std::f64::consts::TAU / 288.0).sin();
        let load: Vec<f64> = (0..600).map(requests).collect();
        assert_eq!(note(&load), None);
        let mut total = 0.0;
        let mut counter: Vec<f64> = load
            .iter()
            .map(|requests| {
                total += requests;
                total
            })
            .collect();
        assert!(note(&counter).is_some_and(|note| note.contains("fell 0 times")));
        // the same by the hour
        let hourly: Vec<f64> = (0..600).map(|bin| counter[bin / 12 * 12]).collect();
        assert!(note(&hourly).is_some());
        // its process is restarted, and some of it is not known
        for value in &mut counter[400..] {
            *value -= 15_000.0;
        }
        counter[100..120].fill(f64::NAN);
        assert!(note(&counter).is_some_and(|note| note.contains("fell 1 times")));
        // hours of a morning's rise, and a flat line, are none
        assert_eq!(note(&counter[..48]), None);
        assert_eq!(note(&[7.0; 600]), None);
    }
}
