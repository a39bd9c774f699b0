//! Sums of chosen series out of a page in Prometheus's text format, read as its bytes come in.
//!
//! Pure: bytes in, numbers out. The format is version 0.0.4 of the text exposition format, and
//! what of `OpenMetrics` looks the same; timestamps and exemplars are passed over. A page may have
//! thousands of lines of which three matter, so a line is looked into only if it begins with a
//! wanted name, and nothing of it is copied. Series whose name stands in quotes (`{"a.b"}`) are
//! not looked at.

use std::str;

use memchr::{memchr, memrchr};

/// Longest line of which a part is kept while the rest has not come in yet, bytes.
const LONGEST_LINE: usize = 64 << 10;

/// Which series count: those of a metric that carry all of some labels and none of others.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Selector {
    metric: String,
    with: Vec<(String, String)>,
    without: Vec<(String, String)>,
}

impl Selector {
    /// Every series of a metric.
    pub fn new(metric: impl Into<String>) -> Self {
        Self {
            metric: metric.into(),
            with: Vec::new(),
            without: Vec::new(),
        }
    }

    /// Only those with this value of a label.
    #[must_use]
    pub fn with(mut self, label: impl Into<String>, value: impl Into<String>) -> Self {
        self.with.push((label.into(), value.into()));
        self
    }

    /// Only those without this value of a label.
    #[must_use]
    pub fn without(mut self, label: impl Into<String>, value: impl Into<String>) -> Self {
        self.without.push((label.into(), value.into()));
        self
    }

    /// Name of the metric.
    pub fn metric(&self) -> &str {
        &self.metric
    }

    /// What follows the name on a line of this metric.
    fn named<'l>(&self, line: &'l [u8]) -> Option<&'l [u8]> {
        let rest = line.strip_prefix(self.metric.as_bytes())?;
        matches!(rest.first(), Some(b'{' | b' ' | b'\t')).then_some(rest)
    }

    fn judge(&self, labels: Labels<'_>) -> Result<Match, Fault> {
        let (mut missing, mut excluded) = (self.with.len(), false);
        for label in labels {
            let (name, value) = label?;
            let names = |(wanted, _): &&(String, String)| wanted.as_bytes() == name;
            if let Some((_, wanted)) = self.with.iter().find(names) {
                if !same(value, wanted) {
                    return Ok(Match::Another);
                }
                missing -= 1;
            }
            let mut unwanted = self.without.iter().filter(names);
            excluded |= unwanted.any(|(_, unwanted)| same(value, unwanted));
        }
        Ok(match (missing, excluded) {
            (0, false) => Match::Counted,
            (0, true) => Match::LeftOut,
            _ => Match::Another,
        })
    }
}

/// What a series is to a selector.
enum Match {
    /// It counts.
    Counted,
    /// It would count, but for a label that must not be: the metric is there, and this is not it.
    LeftOut,
    /// It is none of its series.
    Another,
}

/// Why a page cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpositionError {
    /// A line of a wanted metric is not one.
    #[error("line {line} is not in Prometheus's text format: {fault}")]
    Line {
        /// Line, from 1.
        line: usize,
        /// What is wrong with it.
        fault: Fault,
    },
    /// The value is NaN, infinite or negative.
    #[error("line {line}: {metric} is {value}, and a count is a finite number, 0 or more")]
    Value {
        /// Line, from 1.
        line: usize,
        /// Name of the metric.
        metric: String,
        /// As it was written.
        value: String,
    },
    /// The page ends within a line, so something of it may be missing.
    #[error("the page ends within line {line}: the last line must end with a line feed")]
    CutOff {
        /// Line, from 1.
        line: usize,
    },
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Braces without a pair, or something else than `name="value"` between them.
    #[error("its labels are not name=\"value\" pairs in braces")]
    Labels,
    /// No number after name and labels.
    #[error("no number follows the name")]
    Number,
    /// Too long to be kept until its end comes.
    #[error("it is longer than 65536 bytes")]
    Length,
}

/// A page being read: one sum per selector.
#[derive(Debug)]
pub struct Page<'s> {
    selectors: &'s [Selector],
    sums: Vec<Option<f64>>,
    lines: usize,
    /// The beginning of a line whose end has not come in yet.
    begun: Vec<u8>,
    /// Every wanted metric was seen, and the page has gone on to another one.
    over: bool,
}

impl<'s> Page<'s> {
    /// A page of which nothing has been read. A series counts for the first of the selectors that
    /// it matches.
    pub fn new(selectors: &'s [Selector]) -> Self {
        Self {
            selectors,
            sums: vec![None; selectors.len()],
            lines: 0,
            begun: Vec::new(),
            over: false,
        }
    }

    /// Reads the next bytes.
    ///
    /// # Errors
    /// [`ExpositionError`]; the page is of no use then.
    pub fn read(&mut self, bytes: &[u8]) -> Result<(), ExpositionError> {
        if self.over {
            return Ok(());
        }
        let mut rest = bytes;
        if !self.begun.is_empty() {
            let Some(end) = memchr(b'\n', rest) else {
                return self.keep(rest);
            };
            self.keep(&rest[..end])?;
            let line = std::mem::take(&mut self.begun);
            self.line(&line)?;
            rest = &rest[end + 1..];
        }
        let whole = memrchr(b'\n', rest).map_or(0, |end| end + 1);
        let (mut lines, tail) = rest.split_at(whole);
        while let Some(end) = memchr(b'\n', lines) {
            self.line(&lines[..end])?;
            if self.over {
                return Ok(());
            }
            lines = &lines[end + 1..];
        }
        self.keep(tail)
    }

    /// The sums in the order of the selectors; `None` for a metric without a matching series.
    ///
    /// # Errors
    /// [`ExpositionError::CutOff`] when the page ended within a line.
    pub fn end(self) -> Result<Vec<Option<f64>>, ExpositionError> {
        if self.begun.is_empty() || self.over {
            return Ok(self.sums);
        }
        Err(ExpositionError::CutOff {
            line: self.lines + 1,
        })
    }

    fn keep(&mut self, part: &[u8]) -> Result<(), ExpositionError> {
        if self.begun.len() + part.len() > LONGEST_LINE {
            return Err(ExpositionError::Line {
                line: self.lines + 1,
                fault: Fault::Length,
            });
        }
        self.begun.extend_from_slice(part);
        Ok(())
    }

    fn line(&mut self, line: &[u8]) -> Result<(), ExpositionError> {
        self.lines += 1;
        let line = line.trim_ascii_start();
        if line.is_empty() || line[0] == b'#' {
            return Ok(());
        }
        let mut of_a_wanted_metric = false;
        for (place, selector) in self.selectors.iter().enumerate() {
            let Some(rest) = selector.named(line) else {
                continue;
            };
            of_a_wanted_metric = true;
            let refuse = |fault| ExpositionError::Line {
                line: self.lines,
                fault,
            };
            let (labels, value) = split(rest).map_err(refuse)?;
            let found = selector.judge(Labels(labels)).map_err(refuse)?;
            match found {
                Match::Another => {}
                Match::LeftOut => {
                    self.sums[place].get_or_insert(0.0);
                }
                Match::Counted => {
                    let number = self.number(selector, value)?;
                    *self.sums[place].get_or_insert(0.0) += number;
                    break;
                }
            }
        }
        // all lines of a metric stand together, says the format, so the rest is others' business
        self.over = !of_a_wanted_metric && self.sums.iter().all(Option::is_some);
        Ok(())
    }

    fn number(&self, selector: &Selector, value: &[u8]) -> Result<f64, ExpositionError> {
        let word = value
            .split(u8::is_ascii_whitespace)
            .find(|word| !word.is_empty());
        let text = word.and_then(|word| str::from_utf8(word).ok());
        let number = text.and_then(|text| Some((text, text.parse::<f64>().ok()?)));
        let Some((text, number)) = number else {
            return Err(ExpositionError::Line {
                line: self.lines,
                fault: Fault::Number,
            });
        };
        if number.is_finite() && number >= 0.0 {
            return Ok(number);
        }
        Err(ExpositionError::Value {
            line: self.lines,
            metric: selector.metric.clone(),
            value: text.to_owned(),
        })
    }
}

/// What follows a name, as the inside of the braces (empty without any) and the rest.
fn split(rest: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    let Some(inside) = rest.strip_prefix(b"{") else {
        return Ok((&[], rest));
    };
    let mut quoted = false;
    let mut at = 0;
    while let Some(byte) = inside.get(at) {
        match byte {
            b'\\' if quoted => at += 1,
            b'"' => quoted = !quoted,
            b'}' if !quoted => return Ok((&inside[..at], &inside[at + 1..])),
            _ => {}
        }
        at += 1;
    }
    Err(Fault::Labels)
}

/// The pairs between braces: name, and value as it is written.
struct Labels<'l>(&'l [u8]);

impl<'l> Iterator for Labels<'l> {
    type Item = Result<(&'l [u8], &'l [u8]), Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.0.trim_ascii_start();
        let rest = rest.strip_prefix(b",").unwrap_or(rest).trim_ascii_start();
        if rest.is_empty() {
            return None;
        }
        let pair = pair(rest);
        self.0 = pair.map_or(&[], |(_, _, rest)| rest);
        Some(
            pair.map(|(name, value, _)| (name, value))
                .ok_or(Fault::Labels),
        )
    }
}

fn pair(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let equals = memchr(b'=', text)?;
    let name = text[..equals].trim_ascii_end();
    let value = text[equals + 1..].trim_ascii_start().strip_prefix(b"\"")?;
    let mut end = 0;
    loop {
        match value.get(end)? {
            b'\\' => end += 2,
            b'"' => return Some((name, &value[..end], &value[end + 1..])),
            _ => end += 1,
        }
    }
}

/// Whether a value as it is written, with its escapes, is this one.
fn same(written: &[u8], wanted: &str) -> bool {
    if memchr(b'\\', written).is_none() {
        return written == wanted.as_bytes();
    }
    let mut bytes = written.iter();
    let mut plain = Vec::with_capacity(written.len());
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'\\' => match bytes.next() {
                Some(b'n') => b'\n',
                Some(escaped) => *escaped,
                None => b'\\',
            },
            byte => *byte,
        });
    }
    plain == wanted.as_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PAGE: &str = "# HELP http_requests_total All of them.
# TYPE http_requests_total counter
http_requests_total{code=\"200\",path=\"/a,}\\\"b\"} 100
http_requests_total{code=\"200\",path=\"/c\"} 23.5 1757786400000
http_requests_total{ code = \"503\" , path=\"/c\", } 7
http_requests_total_other 9e9
# TYPE in_flight gauge
in_flight 4 # {trace=\"x\"} 1
up 1
";

    fn read(selectors: &[Selector], page: &str) -> Result<Vec<Option<f64>>, ExpositionError> {
        let mut reading = Page::new(selectors);
        reading.read(page.as_bytes())?;
        reading.end()
    }

    fn one(selector: Selector) -> Option<f64> {
        read(&[selector], PAGE).unwrap()[0]
    }

    #[test]
    fn series_are_summed_by_name_and_labels() {
        let requests = || Selector::new("http_requests_total");
        assert_eq!(one(requests()), Some(130.5));
        assert_eq!(one(requests().with("code", "200")), Some(123.5));
        assert_eq!(one(requests().without("code", "503")), Some(123.5));
        assert_eq!(one(requests().with("path", "/a,}\"b")), Some(100.0));
        assert_eq!(one(requests().with("code", "404")), None);
        assert_eq!(one(Selector::new("in_flight")), Some(4.0));
        assert_eq!(one(Selector::new("http_requests")), None);
    }

    #[test]
    fn what_is_left_out_is_zero_and_not_missing() {
        let served = Selector::new("busy").without("code", "503");
        let page = "busy{code=\"503\"} 8\n";
        assert_eq!(
            read(std::slice::from_ref(&served), page).unwrap(),
            [Some(0.0)]
        );
        assert_eq!(read(&[served], "idle 8\n").unwrap(), [None]);
    }

    #[test]
    fn a_series_counts_for_the_first_that_takes_it() {
        let shed = Selector::new("http_requests_total").with("code", "503");
        let served = Selector::new("http_requests_total");
        let sums = read(&[shed, served], PAGE).unwrap();
        assert_eq!(sums, [Some(7.0), Some(123.5)]);
    }

    #[test]
    fn reading_ends_once_all_is_found() {
        let wanted = [Selector::new("a")];
        // what follows the group is not looked at, so not refused either
        assert_eq!(read(&wanted, "a 1\nb 2\na NaN\n").unwrap(), [Some(1.0)]);
        assert!(read(&wanted, "b 2\na NaN\n").is_err());
    }

    #[test]
    fn what_is_no_count_is_refused_with_its_line() {
        let refused = |page: &str| {
            let wanted = [Selector::new("a")];
            read(&wanted, page).unwrap_err().to_string()
        };
        insta::assert_snapshot!(
            [
                "# HELP a\na NaN\n",
                "a +Inf\n",
                "\n\na{b=\"c\"} -1\n",
                "a{b=\"c\" 1\n",
                "a{b=c} 1\n",
                "a\tmany\n",
                "a \n",
                "b 1\na 12",
            ]
            .map(refused)
            .join("\n"),
            @r#"
        line 2: a is NaN, and a count is a finite number, 0 or more
        line 1: a is +Inf, and a count is a finite number, 0 or more
        line 3: a is -1, and a count is a finite number, 0 or more
        line 1 is not in Prometheus's text format: its labels are not name="value" pairs in braces
        line 1 is not in Prometheus's text format: its labels are not name="value" pairs in braces
        line 1 is not in Prometheus's text format: no number follows the name
        line 1 is not in Prometheus's text format: no number follows the name
        the page ends within line 2: the last line must end with a line feed
        "#
        );
        let endless = "x".repeat(LONGEST_LINE + 1);
        assert!(refused(&endless).contains("longer than 65536 bytes"));
    }

    proptest! {
        /// Wherever the network cuts a page, it says the same.
        #[test]
        fn cuts_change_nothing(cuts in prop::collection::vec(0..PAGE.len(), 0..6)) {
            let wanted = [
                Selector::new("http_requests_total").with("code", "200"),
                Selector::new("in_flight"),
            ];
            let mut cuts = cuts;
            cuts.extend([0, PAGE.len()]);
            cuts.sort_unstable();
            let mut reading = Page::new(&wanted);
            for pair in cuts.windows(2) {
                reading.read(&PAGE.as_bytes()[pair[0]..pair[1]]).unwrap();
            }
            prop_assert_eq!(reading.end().unwrap(), [Some(123.5), Some(4.0)]);
        }

        /// No bytes whatever make it panic.
        #[test]
        fn noise_is_refused_or_ignored(noise in prop::collection::vec(any::<u8>(), 0..200)) {
            let wanted = [Selector::new("a").with("b", "c")];
            for beginning in ["", "a", "a{", "a{b=\"", "a{b=\"c\\"] {
                let mut reading = Page::new(&wanted);
                let text = [beginning.as_bytes(), &noise].concat();
                let _ = reading.read(&text).and_then(|()| reading.end());
            }
        }
    }
}
