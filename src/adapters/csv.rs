//! One line of CSV: fields after RFC 4180, within a line.
//!
//! A field may be quoted, a doubled quote inside is one quote. A line break inside a quoted field is not supported:
//! recorded series have none, and a stray quote must cost one row, not the rest of the file.

use std::ops::Range;

use super::problems::Reason;
use super::recorded::RowText;

/// Where the fields of the current line are.
#[derive(Debug, Default)]
pub(super) struct Fields {
    /// Each field as a range of the line, or of `unquoted`.
    fields: Vec<(Range<usize>, bool)>,
    /// Fields that had doubled quotes, without them.
    unquoted: String,
}

impl Fields {
    /// Splits a line. False where its quotes do not match.
    pub(super) fn split(&mut self, line: &str) -> bool {
        self.fields.clear();
        self.unquoted.clear();
        let bytes = line.as_bytes();
        let mut start = 0;
        loop {
            let rest = bytes.get(start..).unwrap_or_default();
            let end = if rest.first() == Some(&b'"') {
                match self.quoted(line, start) {
                    Some(end) => end,
                    None => return false,
                }
            } else {
                let end = rest.iter().position(|&byte| byte == b',').map_or(bytes.len(), |at| start + at);
                self.fields.push((start..end, false));
                end
            };
            if end >= bytes.len() {
                return true;
            }
            start = end + 1;
        }
    }

    /// Takes the quoted field that begins at `start`; returns the position of the comma behind it, or the line's end.
    fn quoted(&mut self, line: &str, start: usize) -> Option<usize> {
        let bytes = line.as_bytes();
        let copy_start = self.unquoted.len();
        let mut piece = start + 1;
        let mut copied = false;
        loop {
            let quote = piece + bytes.get(piece..)?.iter().position(|&byte| byte == b'"')?;
            match bytes.get(quote + 1) {
                Some(b'"') => {
                    self.unquoted.push_str(line.get(piece..=quote)?);
                    copied = true;
                    piece = quote + 2;
                }
                None | Some(b',') => {
                    if copied {
                        self.unquoted.push_str(line.get(piece..quote)?);
                        self.fields.push((copy_start..self.unquoted.len(), true));
                    } else {
                        self.fields.push((start + 1..quote, false));
                    }
                    return Some(quote + 1);
                }
                Some(_) => return None,
            }
        }
    }

    /// Field `at` of the line that was split, without blanks around it.
    pub(super) fn get<'a>(&'a self, line: &'a str, at: usize) -> Option<&'a str> {
        let (range, unquoted) = self.fields.get(at)?;
        let text = if *unquoted { &self.unquoted } else { line };
        text.get(range.clone()).map(str::trim_ascii)
    }

    pub(super) fn len(&self) -> usize {
        self.fields.len()
    }
}

/// Which fields of a line are read, as the header says.
#[derive(Debug)]
pub(super) struct Csv {
    fields: Fields,
    time: usize,
    values: Vec<usize>,
}

impl Csv {
    pub(super) fn new(time: usize, values: Vec<usize>) -> Csv {
        Csv { fields: Fields::default(), time, values }
    }

    /// Reads one line. `values` receives one number per column; an empty field is NaN where several columns are read.
    pub(super) fn read<'a>(&'a mut self, line: &'a str, values: &mut Vec<f64>) -> Result<RowText<'a>, Reason> {
        if !self.fields.split(line) {
            return Err(Reason::Quotes);
        }
        let fields = &self.fields;
        let time = fields.get(line, self.time).ok_or(Reason::MissingColumn)?;
        let mut value = "";
        for &at in &self.values {
            value = fields.get(line, at).ok_or(Reason::MissingColumn)?;
            if value.is_empty() && self.values.len() > 1 {
                values.push(f64::NAN);
                continue;
            }
            let number: f64 = value.parse().map_err(|_| Reason::NotANumber)?;
            if !number.is_finite() {
                return Err(Reason::NotFinite);
            }
            values.push(number);
        }
        Ok(RowText { time: time.into(), value: value.into() })
    }
}

/// Appends a field, quoted where it has to be.
pub(super) fn write_field(out: &mut Vec<u8>, field: &str) {
    if !field.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
        out.extend_from_slice(field.as_bytes());
        return;
    }
    out.push(b'"');
    for byte in field.bytes() {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(line: &str) -> Option<Vec<String>> {
        let mut fields = Fields::default();
        let ok = fields.split(line);
        ok.then(|| (0..fields.len()).map(|at| fields.get(line, at).unwrap().to_owned()).collect())
    }

    #[test]
    fn fields_are_those_of_the_rfc() {
        assert_eq!(split("").unwrap(), [""]);
        assert_eq!(split("a,b").unwrap(), ["a", "b"]);
        assert_eq!(split("a,,").unwrap(), ["a", "", ""]);
        assert_eq!(split(r#""a,b","c""d",e,"""""#).unwrap(), ["a,b", "c\"d", "e", "\""]);
        assert_eq!(split(r#""x""y","p""q""#).unwrap(), ["x\"y", "p\"q"]);
        assert_eq!(split(" a , b ").unwrap(), ["a", "b"]);
        assert_eq!(split(r#"a"b,c"#).unwrap(), ["a\"b", "c"]);
        for bad in [r#"""#, r#""a"#, r#""a"b,c"#, r#"a,"b"#, r#""""#.get(..1).unwrap()] {
            assert_eq!(split(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(fields in prop::collection::vec("[a-z\",é]{0,6}", 1..6)) {
            let mut line = Vec::new();
            for (at, field) in fields.iter().enumerate() {
                if at > 0 { line.push(b','); }
                write_field(&mut line, field);
            }
            prop_assert_eq!(split(std::str::from_utf8(&line).unwrap()).unwrap(), fields);
        }

        #[test]
        fn nothing_panics(line in "[a,\"é ]{0,30}") {
            let _ = split(&line);
        }
    }
}
