//! Optional numbers of a request, before anyone knows that they are numbers.

use super::{Error, Result};

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

impl Field {
    /// The integer, or `default` where there is none.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidBody`] with Zaqar's sentence, which calls the field `name`.
    pub(super) fn or(self, default: i64, name: &str) -> Result<i64> {
        match self {
            Self::Missing => Ok(default),
            Self::Integer(value) => Ok(value),
            Self::Other => {
                Err(Error::InvalidBody(format!("The value of the \"{name}\" field must be a int.")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, Field};

    #[test]
    fn only_integers_count() {
        assert_eq!(Field::Missing.or(7, "ttl"), Ok(7));
        assert_eq!(Field::Integer(-1).or(7, "ttl"), Ok(-1));
        assert_eq!(
            Field::Other.or(7, "grace"),
            Err(Error::InvalidBody("The value of the \"grace\" field must be a int.".into()))
        );
    }
}
