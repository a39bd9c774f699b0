//! Where load comes from.
