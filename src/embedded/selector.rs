//! Label and field selectors.
//!
//! Decides whether an object is selected. The grammar is that of `kubectl -l` and
//! `--field-selector`. It must not decide which fields a resource can be selected by: the resource
//! says so.

use serde_json::Value;

use super::error::ApiError;

/// A conjunction of requirements on labels; empty selects everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct LabelSelector(Vec<Requirement>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
    Greater(String, i64),
    Less(String, i64),
}

impl LabelSelector {
    /// Reads the text of `labelSelector=`.
    pub(super) fn parse(text: &str) -> Result<Self, ApiError> {
        let mut requirements = Vec::new();
        for term in split_outside_parentheses(text) {
            let term = term.trim();
            if term.is_empty() {
                continue;
            }
            let requirement = parse_term(term).ok_or_else(|| {
                ApiError::bad_request(format!(
                    "unable to parse label selector {text:?}: {term:?} is not a requirement; \
                     write for example app=a, app!=a, app in (a,b), app notin (a), app or !app"
                ))
            })?;
            requirements.push(requirement);
        }
        Ok(Self(requirements))
    }

    /// Reads a `metav1.LabelSelector` object; an empty one selects everything.
    pub(super) fn from_object(selector: &Value) -> Self {
        let mut requirements = Vec::new();
        for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
            let value = value.as_str().unwrap_or_default().to_owned();
            requirements.push(Requirement::In(key.clone(), vec![value]));
        }
        for expression in selector["matchExpressions"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let key = expression["key"].as_str().unwrap_or_default().to_owned();
            let values: Vec<String> = expression["values"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|value| value.as_str().map(str::to_owned))
                .collect();
            requirements.push(match expression["operator"].as_str() {
                Some("NotIn") => Requirement::NotIn(key, values),
                Some("Exists") => Requirement::Exists(key),
                Some("DoesNotExist") => Requirement::Absent(key),
                _ => Requirement::In(key, values),
            });
        }
        Self(requirements)
    }

    /// True when nothing is required.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True when the labels of `object` meet every requirement.
    pub(super) fn matches(&self, object: &Value) -> bool {
        self.matches_labels(&object["metadata"]["labels"])
    }

    /// True when `labels` (an object or null) meet every requirement.
    pub(super) fn matches_labels(&self, labels: &Value) -> bool {
        self.0.iter().all(|requirement| {
            let label = |key: &str| labels.get(key).and_then(Value::as_str);
            let number = |key: &str| label(key).and_then(|text| text.parse::<i64>().ok());
            match requirement {
                Requirement::In(key, values) => {
                    label(key).is_some_and(|label| values.iter().any(|value| value == label))
                }
                Requirement::NotIn(key, values) => {
                    label(key).is_none_or(|label| values.iter().all(|value| value != label))
                }
                Requirement::Exists(key) => label(key).is_some(),
                Requirement::Absent(key) => label(key).is_none(),
                Requirement::Greater(key, bound) => number(key).is_some_and(|n| n > *bound),
                Requirement::Less(key, bound) => number(key).is_some_and(|n| n < *bound),
            }
        })
    }

    /// The selector as text, as `status.selector` of a Scale shows it.
    pub(super) fn to_text(&self) -> String {
        let terms: Vec<String> = self
            .0
            .iter()
            .map(|requirement| match requirement {
                Requirement::In(key, values) if values.len() == 1 => format!("{key}={}", values[0]),
                Requirement::In(key, values) => format!("{key} in ({})", values.join(",")),
                Requirement::NotIn(key, values) => format!("{key} notin ({})", values.join(",")),
                Requirement::Exists(key) => key.clone(),
                Requirement::Absent(key) => format!("!{key}"),
                Requirement::Greater(key, bound) => format!("{key}>{bound}"),
                Requirement::Less(key, bound) => format!("{key}<{bound}"),
            })
            .collect();
        terms.join(",")
    }
}

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_i32, 0);
    for (at, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn parse_term(term: &str) -> Option<Requirement> {
    if let Some(key) = term.strip_prefix('!') {
        return is_key(key.trim()).then(|| Requirement::Absent(key.trim().to_owned()));
    }
    if let Some((key, value)) = term.split_once("!=") {
        return keyed(key, value, |key, value| {
            Requirement::NotIn(key, vec![value])
        });
    }
    if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        return keyed(key, value, |key, value| Requirement::In(key, vec![value]));
    }
    if let Some((key, bound)) = term.split_once('>') {
        let bound = bound.trim().parse().ok()?;
        return is_key(key.trim()).then(|| Requirement::Greater(key.trim().to_owned(), bound));
    }
    if let Some((key, bound)) = term.split_once('<') {
        let bound = bound.trim().parse().ok()?;
        return is_key(key.trim()).then(|| Requirement::Less(key.trim().to_owned(), bound));
    }
    let Some((head, list)) = term.split_once('(') else {
        return is_key(term).then(|| Requirement::Exists(term.to_owned()));
    };
    let values: Vec<String> = list
        .strip_suffix(')')?
        .split(',')
        .map(|value| value.trim().to_owned())
        .collect();
    let (key, operator) = head.trim().split_once(char::is_whitespace)?;
    match operator.trim() {
        "in" if is_key(key) => Some(Requirement::In(key.to_owned(), values)),
        "notin" if is_key(key) => Some(Requirement::NotIn(key.to_owned(), values)),
        _ => None,
    }
}

fn keyed(
    key: &str,
    value: &str,
    make: impl FnOnce(String, String) -> Requirement,
) -> Option<Requirement> {
    let (key, value) = (key.trim(), value.trim());
    let simple = value
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    (is_key(key) && simple).then(|| make(key.to_owned(), value.to_owned()))
}

fn is_key(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'))
}

/// A conjunction of equalities on fields; empty selects everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FieldSelector(Vec<(String, bool, String)>);

impl FieldSelector {
    /// Reads the text of `fieldSelector=`. `selectable` names the fields the resource has besides
    /// `metadata.name` and `metadata.namespace`; any other is refused as a real server does.
    pub(super) fn parse(text: &str, selectable: &[String]) -> Result<Self, ApiError> {
        let mut terms = Vec::new();
        for term in text.split(',').filter(|term| !term.is_empty()) {
            let (field, equal, value) = if let Some((field, value)) = term.split_once("!=") {
                (field, false, value)
            } else if let Some((field, value)) =
                term.split_once("==").or_else(|| term.split_once('='))
            {
                (field, true, value)
            } else {
                return Err(ApiError::bad_request(format!(
                    "invalid field selector {text:?}: {term:?} must be field=value or field!=value"
                )));
            };
            let known = matches!(field, "metadata.name" | "metadata.namespace")
                || selectable.iter().any(|name| name == field);
            if !known {
                return Err(ApiError::bad_request(format!(
                    "field label not supported: {field}"
                )));
            }
            terms.push((field.to_owned(), equal, value.to_owned()));
        }
        Ok(Self(terms))
    }

    /// True when every equality holds; a missing field equals the empty text.
    pub(super) fn matches(&self, object: &Value) -> bool {
        self.0.iter().all(|(field, equal, wanted)| {
            let found = field.split('.').fold(object, |value, part| &value[part]);
            let text = match found {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            (text == *wanted) == *equal
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn label_requirements_select_as_kubectl_does() {
        let pod = json!({"metadata": {"labels": {"app": "entry", "tier": "2"}}});
        for (text, selected) in [
            ("", true),
            ("app=entry", true),
            ("app==entry,tier=2", true),
            ("app!=entry", false),
            ("zone!=a", true),
            ("app in (lobby, entry)", true),
            ("app notin (lobby,entry)", false),
            ("zone notin (a)", true),
            ("app", true),
            ("zone", false),
            ("!zone", true),
            ("!app", false),
            ("tier>1", true),
            ("tier<2", false),
        ] {
            assert_eq!(
                LabelSelector::parse(text).unwrap().matches(&pod),
                selected,
                "{text}"
            );
        }
    }

    #[test]
    fn malformed_selectors_are_refused() {
        for text in ["=a", "app in a,b", "app like (a)", "a b", "app=(x)", "!"] {
            assert!(LabelSelector::parse(text).is_err(), "{text}");
        }
        assert!(FieldSelector::parse("metadata.name", &[]).is_err());
        assert!(FieldSelector::parse("spec.replicas=3", &[]).is_err());
    }

    #[test]
    fn field_equalities_read_nested_fields() {
        let selectable = vec!["status.phase".to_owned()];
        let pod = json!({"metadata": {"name": "a"}, "status": {"phase": "Running"}});
        let select = |text| {
            FieldSelector::parse(text, &selectable)
                .unwrap()
                .matches(&pod)
        };
        assert!(select("metadata.name=a,status.phase=Running"));
        assert!(!select("status.phase!=Running"));
        assert!(select("metadata.namespace="));
    }

    #[test]
    fn object_selectors_survive_as_text() {
        let object = json!({
            "matchLabels": {"app": "entry"},
            "matchExpressions": [{"key": "tier", "operator": "In", "values": ["1", "2"]},
                                 {"key": "old", "operator": "DoesNotExist"}],
        });
        let selector = LabelSelector::from_object(&object);
        assert_eq!(selector.to_text(), "app=entry,tier in (1,2),!old");
        assert_eq!(LabelSelector::parse(&selector.to_text()).unwrap(), selector);
    }
}
