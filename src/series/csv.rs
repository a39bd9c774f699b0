//! Reads load history from CSV, plain or gzipped.
