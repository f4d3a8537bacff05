//! Parameter data: what a unit tells of itself, and what initiators may change.

pub mod mode;
