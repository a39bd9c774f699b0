//! Which version of each calendar is in force.
