//! The vocabulary that two neighbours of felio use to speak.
#![forbid(unsafe_code)]
