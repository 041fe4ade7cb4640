//! A JSON value that can be written, for [`json`](super::json).
//!
//! `serde` with its derive was a fifth of what straggler added to the build of a suite. `serde_json`
//! would do more: its `Value` implements `PartialEq` with numbers and strings, and that alone makes
//! `assert_eq!(3, numbers.iter().sum())` ambiguous in the suite.

use std::fmt::{self, Write as _};

use crate::wording::{TEXT, cut};

/// A value. `Display` writes it without spaces or line ends.
#[derive(Debug)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    Number(u64),
    /// It ends after [`TEXT`] characters, with the number of those cut.
    Text(&'a str),
    /// A text that is never cut.
    Whole(&'a str),
    List(Vec<Value<'a>>),
    Object(Object<'a>),
}

/// An object, which keeps the order of its fields.
#[derive(Debug, Default)]
pub(crate) struct Object<'a>(Vec<(&'static str, Value<'a>)>);

impl<'a> Object<'a> {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a field, which is `null` for `None`.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Value<'a>>) -> Self {
        self.0.push((name, value.into()));
        self
    }

    /// Adds a field only if it has a value.
    pub(crate) fn with_some(self, name: &'static str, value: Option<impl Into<Value<'a>>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Adds the fields of another object.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }
}

impl fmt::Display for Object<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('{')?;
        for (index, (name, value)) in self.0.iter().enumerate() {
            separate(f, index)?;
            write_text(f, name)?;
            write!(f, ":{value}")?;
        }
        f.write_char('}')
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => write_text(f, &cut(text, TEXT)),
            Self::Whole(text) => write_text(f, text),
            Self::Object(object) => write!(f, "{object}"),
            Self::List(values) => {
                f.write_char('[')?;
                for (index, value) in values.iter().enumerate() {
                    separate(f, index)?;
                    write!(f, "{value}")?;
                }
                f.write_char(']')
            }
        }
    }
}

fn separate(f: &mut fmt::Formatter<'_>, index: usize) -> fmt::Result {
    if index == 0 {
        return Ok(());
    }
    f.write_char(',')
}

fn write_text(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for character in text.chars() {
        match character {
            '"' | '\\' => write!(f, "\\{character}")?,
            '\n' => f.write_str("\\n")?,
            '\0'..' ' => write!(f, "\\u{:04x}", u32::from(character))?,
            _ => f.write_char(character)?,
        }
    }
    f.write_char('"')
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<u64> for Value<'_> {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<usize> for Value<'_> {
    fn from(number: usize) -> Self {
        Self::Number(u64::try_from(number).unwrap_or(u64::MAX))
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<Object<'a>> for Value<'a> {
    fn from(object: Object<'a>) -> Self {
        Self::Object(object)
    }
}

impl<T: Into<Self>> From<Vec<T>> for Value<'_> {
    fn from(values: Vec<T>) -> Self {
        Self::List(values.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value<'_> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::{Object, Value};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn output_is_read_by_serde_json(
            (text, number, flag, count) in any::<(String, u64, bool, Option<u32>)>(),
            list in prop::collection::vec(any::<String>(), 0..4),
        ) {
            let texts: Vec<_> = list.iter().map(String::as_str).collect();
            let inside = Object::new().with("count", count).with_some("absent", count);
            let written = Object::new()
                .with("text", &*text)
                .with("list", texts)
                .and(Object::new().with("number", number).with("flag", flag))
                .with("inside", vec![inside])
                .to_string();
            prop_assert!(!written.contains('\n'));
            let mut inside = json!({"count": count});
            if let Some(count) = count {
                inside["absent"] = count.into();
            }
            let expected = json!({
                "text": text, "list": list, "number": number, "flag": flag, "inside": [inside],
            });
            let read: serde_json::Value = serde_json::from_str(&written).unwrap();
            prop_assert_eq!(read, expected);
        }
    }

    #[test]
    fn string_escapes_quotes_and_line_ends() {
        let written = Value::from("a \"b\" \\ c\n\r\0\u{1f}\u{7f}\u{2028}é").to_string();
        assert_eq!(
            written,
            "\"a \\\"b\\\" \\\\ c\\n\\u000d\\u0000\\u001f\u{7f}\u{2028}é\""
        );
    }

    #[test]
    fn long_string_is_cut() {
        let written = Value::from(&*"é".repeat(1_000_000)).to_string();
        let expected = format!("\"{}.. (996000 more characters)\"", "é".repeat(4_000));
        assert_eq!(written, expected);
        let whole = "é".repeat(4_001);
        assert_eq!(Value::Whole(&whole).to_string(), format!("\"{whole}\""));
    }
}
