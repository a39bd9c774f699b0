//! `tipoff crds`: the custom resource definition, for `kubectl apply --server-side -f -`.

use clap::Args;

use super::CliError;
use super::output;

/// Print the custom resource definition as YAML.
#[derive(Debug, Args)]
pub struct CrdsArgs {}

/// Prints it.
///
/// # Errors
/// When standard output fails.
pub fn run(_: &CrdsArgs) -> Result<(), CliError> {
    output::print(&crate::api::crd_yaml().map_err(CliError::failed)?)
}
