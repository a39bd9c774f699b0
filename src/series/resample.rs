//! Changes the step of a series.
