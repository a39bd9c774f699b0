//! What `config/` holds is what the code prints.

use std::fs;
use std::path::Path;

/// Set it to write the files instead of comparing them.
const REGENERATE: &str = "TIPOFF_REGENERATE";

fn same(path: &str, printed: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os(REGENERATE).is_some() {
        fs::write(&path, printed).unwrap();
    }
    let held = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        held == printed,
        "{} is not what the code prints; regenerate it with: \
         {REGENERATE}=1 cargo test --test cli generated",
        path.display()
    );
}

#[test]
fn the_crd_is_what_the_code_prints() {
    same(
        "config/crd/predictiveautoscalers.yaml",
        &tipoff::api::crd_yaml().unwrap(),
    );
}
