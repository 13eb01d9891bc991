//! Optional numbers of a request, before anyone knows that they are numbers.

/// A field of a request body that should hold an integer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Field {
    /// Not given.
    #[default]
    Missing,
    /// An integer; Zaqar takes `true` and `false` as 1 and 0.
    Integer(i64),
    /// Anything else: a float, a string, an explicit null.
    Other,
}
