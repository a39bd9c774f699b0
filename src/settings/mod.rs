//! What operators set, and the files it is read from.

pub mod calendar_file;
