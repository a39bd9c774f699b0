//! The colours of charts by what they stand for, and the style sheet that gives them, light and
//! dark. Told apart by people who see fewer colours (after Okabe and Ito, Color universal design,
//! 2008, darkened or lightened for the background).

use std::fmt::Write as _;

/// What a colour stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Background.
    Page,
    /// Text and axes.
    Ink,
    /// Text that steps back.
    Soft,
    /// Grid lines.
    Grid,
    /// What really came.
    Actual,
    /// Replicas the load needs.
    Need,
    /// Forecast median.
    Median,
    /// Forecast band.
    Band,
    /// Spans of fixtures.
    Fixture,
    /// What fell short: demand not served, a bound exceeded.
    Short,
    /// What was believed before any data.
    Prior,
    /// Series number so and so, from 0; they repeat after eight.
    Policy(usize),
}

/// Class and variable, light and dark.
const FIXED: [(Colour, &str, &str, &str); 11] = [
    (Colour::Page, "page", "#fff", "#0d1117"),
    (Colour::Ink, "ink", "#1b1f24", "#e6edf3"),
    (Colour::Soft, "soft", "#57606a", "#9aa4af"),
    (Colour::Grid, "grid", "#e3e6ea", "#2b323b"),
    (Colour::Actual, "actual", "#1b1f24", "#e6edf3"),
    (Colour::Need, "need", "#c3c8ce", "#4b535d"),
    (Colour::Median, "median", "#0072b2", "#58b4e8"),
    (Colour::Band, "band", "#a9cfe6", "#20506d"),
    (Colour::Fixture, "fixture", "#fff3d6", "#2d2714"),
    (Colour::Short, "short", "#d1242f", "#ff7b72"),
    (Colour::Prior, "prior", "#a85b00", "#e0a458"),
];

/// Those of the numbered series, light and dark.
const POLICIES: [(&str, &str); 8] = [
    ("#0072b2", "#58b4e8"),
    ("#d55e00", "#ff9a57"),
    ("#c98500", "#f0b429"),
    ("#a8517f", "#e090bd"),
    ("#00795a", "#3fd0a4"),
    ("#7a4fd1", "#b79cf7"),
    ("#6e7781", "#9aa4af"),
    ("#1b1f24", "#e6edf3"),
];

impl Colour {
    /// Its name in the style sheet: the variable is `--name`, the classes are `f-name` (filled)
    /// and `s-name` (stroked).
    pub fn name(self) -> String {
        match self {
            Self::Policy(index) => format!("policy-{}", index % POLICIES.len()),
            fixed => FIXED
                .iter()
                .find(|(colour, ..)| *colour == fixed)
                .map_or("ink", |(_, name, ..)| name)
                .to_owned(),
        }
    }

    fn all() -> impl Iterator<Item = (Self, &'static str, &'static str)> {
        FIXED
            .iter()
            .map(|&(colour, _, light, dark)| (colour, light, dark))
            .chain(
                POLICIES
                    .iter()
                    .enumerate()
                    .map(|(index, &(light, dark))| (Self::Policy(index), light, dark)),
            )
    }
}

/// The style sheet every chart needs, once in a page or in a file. Paper is always light.
pub fn style() -> String {
    let variables = |dark: bool| {
        Colour::all().fold(String::new(), |mut text, (colour, light, night)| {
            let value = if dark { night } else { light };
            let _ = write!(text, "--{}:{value};", colour.name());
            text
        })
    };
    let mut text = format!(
        ":root{{color-scheme:light dark;{}}}\
         @media screen and (prefers-color-scheme:dark){{:root{{{}}}}}",
        variables(false),
        variables(true)
    );
    for (colour, light, _) in Colour::all() {
        let name = colour.name();
        // viewers of drawings that know no variables take the first of two values
        let _ = write!(
            text,
            ".f-{name}{{fill:{light};fill:var(--{name})}}\
             .s-{name}{{fill:none;stroke:{light};stroke:var(--{name})}}"
        );
    }
    text.push_str(
        "svg text{font:13px system-ui,-apple-system,'Segoe UI',sans-serif;\
         font-variant-numeric:tabular-nums}svg text.b{font-weight:600}svg text.m{font-size:12px}",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_colour_has_a_class_a_light_and_a_dark_value() {
        let sheet = style();
        for (colour, light, dark) in Colour::all() {
            let name = colour.name();
            assert!(sheet.contains(&format!("--{name}:{light};")), "{name}");
            assert!(sheet.contains(&format!("--{name}:{dark};")), "{name}");
            assert!(sheet.contains(&format!(".f-{name}{{")), "{name}");
        }
        assert_eq!(Colour::Policy(9).name(), "policy-1");
    }
}
