//! Tells a counter from a rate.
//!
//! `http_requests_total` only grows until its process ends; whoever gives it as load means its rate.
//! Load of people falls every night.

/// Pairs of neighbouring bins without which nothing is said: a day of them.
const LEAST: usize = super::grid::DAY;

/// Largest share of them that fall in a counter: a restart, now and then.
const FALLS: f64 = 0.005;

/// Least share of them that rise.
const RISES: f64 = 0.5;

/// What to say of values that look like those of a counter, NaN for gaps.
pub(super) fn note(values: &[f64]) -> Option<String> {
    let mut pairs = 0_usize;
    let (mut falls, mut rises) = (0.0, 0.0);
    for pair in values.windows(2) {
        let moved = pair[1] - pair[0];
        if moved.is_finite() {
            pairs += 1;
            falls += f64::from(u8::from(moved < 0.0));
            rises += f64::from(u8::from(moved > 0.0));
        }
    }
    let all = pairs as f64;
    (pairs >= LEAST && falls <= FALLS * all && rises >= RISES * all).then(|| {
        format!(
            "of {pairs} five minutes of load only {falls} were below those before them: a counter? \
             give its rate, in PromQL rate(...[1m])"
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
        assert!(note(&counter).is_some_and(|note| note.contains("only 0 were below")));
        // its process is restarted, and some of it is not known
        for value in &mut counter[400..] {
            *value -= 15_000.0;
        }
        counter[100..120].fill(f64::NAN);
        assert!(note(&counter).is_some_and(|note| note.contains("only 1 were below")));
        // half a day of a morning's rise, and a flat line, are none
        assert_eq!(note(&counter[..200]), None);
        assert_eq!(note(&[7.0; 600]), None);
    }
}
