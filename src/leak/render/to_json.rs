//! A serializer for JSON, as far as [`json`](super::json) needs it.
//!
//! `serde_json` would become a dependency of every test suite that uses straggler. Its `Value`
//! implements `PartialEq` with numbers and strings, and that alone makes
//! `assert_eq!(3, numbers.iter().sum())` ambiguous in the suite.

use std::fmt::{self, Display, Write as _};

use crate::wording::{TEXT, cut};
use serde::ser::{Impossible, Serialize, SerializeMap, SerializeSeq, SerializeStruct, Serializer};

/// Writes a value as one line of JSON.
///
/// # Errors
///
/// Returns an error if the value has more in it than structs, maps, lists, strings, booleans, unsigned
/// integers and options.
pub(crate) fn to_json(value: &impl Serialize) -> Result<String, fmt::Error> {
    let mut written = String::new();
    value.serialize(Json(&mut written))?;
    Ok(written)
}

/// Appends one value to the text.
struct Json<'a>(&'a mut String);

/// A list or object whose end is not written yet.
struct Open<'a> {
    written: &'a mut String,
    is_empty: bool,
    end: char,
}

type Unsupported = Impossible<(), fmt::Error>;

impl<'a> Json<'a> {
    fn begin(self, begin: char, end: char) -> Open<'a> {
        self.0.push(begin);
        Open {
            written: self.0,
            is_empty: true,
            end,
        }
    }

    fn display(self, value: impl Display) -> fmt::Result {
        write!(self.0, "{value}")
    }
}

impl Open<'_> {
    fn next(&mut self) -> Json<'_> {
        if !self.is_empty {
            self.written.push(',');
        }
        self.is_empty = false;
        Json(self.written)
    }

    fn end(self) {
        self.written.push(self.end);
    }
}

impl<'a> Serializer for Json<'a> {
    type Ok = ();
    type Error = fmt::Error;
    type SerializeSeq = Open<'a>;
    type SerializeMap = Open<'a>;
    type SerializeStruct = Open<'a>;
    type SerializeTuple = Unsupported;
    type SerializeTupleStruct = Unsupported;
    type SerializeTupleVariant = Unsupported;
    type SerializeStructVariant = Unsupported;

    fn serialize_str(self, text: &str) -> fmt::Result {
        self.0.push('"');
        for character in cut(text, TEXT).chars() {
            match character {
                '"' | '\\' => self.0.extend(['\\', character]),
                '\n' => self.0.push_str("\\n"),
                '\0'..' ' => write!(self.0, "\\u{:04x}", u32::from(character))?,
                _ => self.0.push(character),
            }
        }
        self.0.push('"');
        Ok(())
    }

    fn serialize_bool(self, value: bool) -> fmt::Result {
        self.display(value)
    }

    fn serialize_u8(self, value: u8) -> fmt::Result {
        self.display(value)
    }

    fn serialize_u16(self, value: u16) -> fmt::Result {
        self.display(value)
    }

    fn serialize_u32(self, value: u32) -> fmt::Result {
        self.display(value)
    }

    fn serialize_u64(self, value: u64) -> fmt::Result {
        self.display(value)
    }

    fn serialize_none(self) -> fmt::Result {
        self.display("null")
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> fmt::Result {
        value.serialize(self)
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<Open<'a>, fmt::Error> {
        Ok(self.begin('[', ']'))
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Open<'a>, fmt::Error> {
        Ok(self.begin('{', '}'))
    }

    fn serialize_struct(self, _: &'static str, _len: usize) -> Result<Open<'a>, fmt::Error> {
        Ok(self.begin('{', '}'))
    }

    // The schema uses none of the types below.

    fn serialize_i8(self, _: i8) -> fmt::Result {
        Err(fmt::Error)
    }

    fn serialize_i16(self, _: i16) -> fmt::Result {
        Err(fmt::Error)
    }

    fn serialize_i32(self, _: i32) -> fmt::Result {
        Err(fmt::Error)
    }

    fn serialize_i64(self, _: i64) -> fmt::Result {
        Err(fmt::Error)
    }

    fn serialize_f32(self, _: f32) -> fmt::Result {
        Err(fmt::Error)
    }

    fn serialize_f64(self, _: f64) -> fmt::Result {
        Err(fmt::Error)
    }

    fn serialize_char(self, _: char) -> fmt::Result {
        Err(fmt::Error)
    }

    fn serialize_bytes(self, _: &[u8]) -> fmt::Result {
        Err(fmt::Error)
    }

    fn serialize_unit(self) -> fmt::Result {
        Err(fmt::Error)
    }

    fn serialize_unit_struct(self, _: &'static str) -> fmt::Result {
        Err(fmt::Error)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> fmt::Result {
        Err(fmt::Error)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: &T,
    ) -> fmt::Result {
        Err(fmt::Error)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> fmt::Result {
        Err(fmt::Error)
    }

    fn serialize_tuple(self, _: usize) -> Result<Unsupported, fmt::Error> {
        Err(fmt::Error)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Unsupported, fmt::Error> {
        Err(fmt::Error)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Unsupported, fmt::Error> {
        Err(fmt::Error)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Unsupported, fmt::Error> {
        Err(fmt::Error)
    }
}

impl SerializeSeq for Open<'_> {
    type Ok = ();
    type Error = fmt::Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> fmt::Result {
        value.serialize(self.next())
    }

    fn end(self) -> fmt::Result {
        self.end();
        Ok(())
    }
}

impl SerializeMap for Open<'_> {
    type Ok = ();
    type Error = fmt::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> fmt::Result {
        key.serialize(self.next())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> fmt::Result {
        self.written.push(':');
        value.serialize(Json(self.written))
    }

    fn end(self) -> fmt::Result {
        self.end();
        Ok(())
    }
}

impl SerializeStruct for Open<'_> {
    type Ok = ();
    type Error = fmt::Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        field: &'static str,
        value: &T,
    ) -> fmt::Result {
        SerializeMap::serialize_entry(self, field, value)
    }

    fn end(self) -> fmt::Result {
        self.end();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::Serialize;

    use super::to_json;

    #[derive(Debug, Serialize)]
    struct Everything {
        text: String,
        number: u64,
        #[serde(flatten)]
        inside: Inside,
        list: Vec<Inside>,
        map: BTreeMap<String, bool>,
    }

    #[derive(Clone, Debug, Serialize)]
    #[serde(tag = "kind", rename_all = "snake_case")]
    enum Inside {
        Nothing,
        Something { count: Option<u32>, text: String },
    }

    fn inside() -> impl Strategy<Value = Inside> {
        let something = any::<(Option<u32>, String)>();
        prop_oneof![
            Just(Inside::Nothing),
            something.prop_map(|(count, text)| Inside::Something { count, text }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn output_equals_that_of_serde_json(
            (text, number, map) in any::<(String, u64, BTreeMap<String, bool>)>(),
            inside in inside(),
            list in prop::collection::vec(inside(), 0..4),
        ) {
            let everything = Everything { text, number, inside, list, map };
            let written = to_json(&everything).unwrap();
            prop_assert!(!written.contains('\n'));
            let read: serde_json::Value = serde_json::from_str(&written).unwrap();
            prop_assert_eq!(read, serde_json::to_value(&everything).unwrap());
        }
    }

    #[test]
    fn string_escapes_quotes_and_line_ends() {
        let written = to_json(&"a \"b\" \\ c\n\r\0\u{1f}\u{7f}\u{2028}é").unwrap();
        assert_eq!(
            written,
            "\"a \\\"b\\\" \\\\ c\\n\\u000d\\u0000\\u001f\u{7f}\u{2028}é\""
        );
    }

    #[test]
    fn long_string_is_cut() {
        let written = to_json(&"é".repeat(1_000_000)).unwrap();
        let expected = format!("\"{}.. (996000 more characters)\"", "é".repeat(4_000));
        assert_eq!(written, expected);
    }

    #[test]
    fn unsupported_type_is_error() {
        assert!(to_json(&-1).is_err() && to_json(&(1, 2)).is_err());
    }
}
