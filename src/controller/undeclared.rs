//! Leaves out of an object what the definition in the cluster does not declare.
//!
//! An API server refuses a whole server-side apply for one field that the definition does not
//! know, as where the controller was upgraded and the definition was not: Helm, for one, installs
//! definitions and never upgrades them. What can be said is said all the same.

use serde_json::Value;

/// One step of a path as an API server writes it: `.status.conditions[type="Ready"].reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step<'p> {
    Field(&'p str),
    /// Some item of a list: what one may not hold, none may.
    Items,
}

/// The steps of a path; `None` when it is none.
fn steps(path: &str) -> Option<Vec<Step<'_>>> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        rest = if let Some(field) = rest.strip_prefix('.') {
            let (name, rest) = field.split_at(field.find(['.', '[']).unwrap_or(field.len()));
            steps.push(Step::Field(name));
            rest
        } else {
            // keys are written as JSON, and may hold a bracket
            let mut quoted = false;
            let end = rest.strip_prefix('[')?.find(|c: char| {
                quoted ^= c == '"';
                c == ']' && !quoted
            })?;
            steps.push(Step::Items);
            &rest[end + 2..]
        };
    }
    Some(steps)
}

/// Removes what lies at a path. True when something did.
pub(super) fn leave_out(object: &mut Value, path: &str) -> bool {
    steps(path).is_some_and(|steps| remove(object, &steps))
}

fn remove(value: &mut Value, steps: &[Step<'_>]) -> bool {
    match steps {
        [] | [Step::Items] => false,
        [Step::Field(name)] => value
            .as_object_mut()
            .is_some_and(|fields| fields.remove(*name).is_some()),
        [Step::Field(name), rest @ ..] => value
            .get_mut(*name)
            .is_some_and(|field| remove(field, rest)),
        [Step::Items, rest @ ..] => value.as_array_mut().is_some_and(|items| {
            // of all of them, not of the first alone
            (items.iter_mut()).fold(false, |removed, item| remove(item, rest) | removed)
        }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_named_is_left_out_and_nothing_else() {
        let status = || {
            json!({"status": {
                "capacity": {"perReplica": 90.0, "largestMaximum": {"replicas": 400}},
                "conditions": [
                    {"type": "Ready", "reason": "Complete", "since": 1},
                    {"type": "Enforcing", "reason": "Enforce", "since": 2},
                ],
            }})
        };
        let mut without = status();
        assert!(leave_out(&mut without, ".status.capacity.largestMaximum"));
        assert_eq!(
            without["status"]["capacity"],
            json!({"perReplica": 90.0}),
            "{without}"
        );
        assert!(!leave_out(&mut without, ".status.capacity.largestMaximum"));

        let mut without = status();
        assert!(leave_out(
            &mut without,
            r#".status.conditions[type="Ready]."].since"#
        ));
        let conditions = &without["status"]["conditions"];
        assert_eq!(
            conditions,
            &json!([
                {"type": "Ready", "reason": "Complete"},
                {"type": "Enforcing", "reason": "Enforce"},
            ])
        );
        for nothing in [
            "",
            ".",
            "status",
            ".status.conditions[0]",
            ".status.conditions[0",
            ".spec.mode",
            ".status.conditions.since",
        ] {
            let mut whole = status();
            assert!(!leave_out(&mut whole, nothing), "{nothing}");
            assert_eq!(whole, status(), "{nothing}");
        }
    }

    proptest! {
        #[test]
        fn no_path_is_a_panic(path in r#"[.\[\]"a=é]{0,12}"#) {
            let mut object = json!({"a": [{"a": {"a": 1}}, {"é": 2}]});
            leave_out(&mut object, &path);
        }
    }
}
