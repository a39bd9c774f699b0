//! tbd
#[derive(Debug)]
/// x
pub struct Reloader;
