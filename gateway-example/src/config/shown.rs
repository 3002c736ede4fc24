//! How values of other crates look in a listing.

use serde::Serializer;
use std::fmt::{Debug, Display};
use std::time::Duration;

pub(super) fn debug<T: Debug, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{value:?}"))
}

pub(super) fn text<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

pub(super) fn each<T: Display, S: Serializer>(
    values: &[T],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(values.iter().map(T::to_string))
}

/// A time, or none.
pub(super) fn seconds<T: Copy + Into<Option<Duration>>, S: Serializer>(
    value: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match (*value).into() {
        Some(time) => serializer.serialize_u64(time.as_secs()),
        None => serializer.serialize_none(),
    }
}
