//! Options that are at odds with each other: which of two was meant is not guessed.

use super::WhatIfArgs;
use crate::cli::forecast::InputError;
use crate::fixture::Fixture;

/// Refuses options of which one leaves another without meaning.
///
/// # Errors
/// Names both, and says what to do.
pub(super) fn check(args: &WhatIfArgs) -> Result<(), InputError> {
    let twice = |id: &&String| args.cancel.iter().filter(|other| other == id).count() > 1;
    if let Some(id) = args.cancel.iter().find(twice) {
        return Err(InputError(format!(
            "--cancel {id} is given twice: leave one of them out"
        )));
    }
    let Some(id) = &args.fixture else {
        return Ok(());
    };
    // in the order of the help
    let changes = [
        ("--multiplier", args.multiplier.is_some()),
        ("--extra-time", args.extra_time.is_some()),
        ("--delay", args.delay.is_some()),
    ];
    let change = changes
        .into_iter()
        .find_map(|(name, given)| given.then_some(name));
    if args.cancel.contains(id) {
        return Err(InputError(match change {
            Some(change) => format!(
                "{change} and --cancel are both for {id}: what is off is no larger, longer or later; \
                 leave one of them out"
            ),
            None => format!(
                "--fixture {id} and --cancel {id}: --cancel says alone that it is off; leave \
                 --fixture out"
            ),
        }));
    }
    let others = [
        ("--cancel", !args.cancel.is_empty()),
        ("--add", !args.add.is_empty()),
        ("--entries-pace", args.entries_pace.is_some()),
    ];
    let other = others
        .into_iter()
        .find_map(|(name, given)| given.then_some(name));
    match (change, other) {
        (None, Some(other)) => Err(InputError(format!(
            "--fixture {id} and {other}: --fixture says whose --multiplier, --extra-time or --delay \
             it is, and none is given; give one, or leave --fixture out"
        ))),
        _ => Ok(()),
    }
}

/// Refuses to add what is called off in the same breath.
///
/// # Errors
/// Names both options.
pub(super) fn check_added(
    args: &WhatIfArgs,
    fields: &str,
    fixture: &Fixture,
) -> Result<(), InputError> {
    if args.cancel.contains(&fixture.id.0) {
        return Err(InputError(format!(
            "--add {fields:?} and --cancel {}: what is added is not off; leave one of them out",
            fixture.id
        )));
    }
    Ok(())
}
