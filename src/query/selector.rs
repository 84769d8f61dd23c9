//! Selectors: `name`, `name{label="value",other!="value"}`, `{label="value"}`, `*`.

use std::fmt;
use std::str::FromStr;

/// Chooses series by name and labels.
///
/// - `*` or `{}` chooses all, `latency` those of one metric.
/// - `latency{agent_id="a1"}` also asks for a label, `{agent_id!="a1"}` for any metric without that value. A label that
///   a series does not have reads as empty.
/// - In quotes, `\"`, `\\` and `\n` stand for a quote, a backslash and a line end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    name: Option<String>,
    matchers: Vec<Matcher>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Matcher {
    label: String,
    equal: bool,
    value: String,
}

impl Selector {
    /// Whether the series with this name and these labels is chosen.
    #[must_use]
    pub fn matches(&self, name: &str, labels: &[(String, String)]) -> bool {
        self.name.as_deref().is_none_or(|wanted| wanted == name)
            && self.matchers.iter().all(|matcher| {
                let value = labels.iter().find(|(key, _)| *key == matcher.label).map_or("", |(_, value)| value);
                (value == matcher.value) == matcher.equal
            })
    }
}

/// The text is no selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectorError {
    text: String,
    /// In characters, from 0.
    position: usize,
    expected: &'static str,
}

impl SelectorError {
    /// Where the text goes wrong, in characters from 0.
    #[must_use]
    pub fn position(&self) -> usize {
        self.position
    }
}

impl fmt::Display for SelectorError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "selector {:?} is wrong at character {}: expected {}; write it like latency{{agent_id=\"a1\"}} or *",
            self.text,
            self.position + 1,
            self.expected
        )
    }
}

impl std::error::Error for SelectorError {}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Selector, SelectorError> {
        Parser { text, chars: text.chars().collect(), at: 0 }.selector()
    }
}

struct Parser<'a> {
    text: &'a str,
    chars: Vec<char>,
    at: usize,
}

impl Parser<'_> {
    fn error(&self, expected: &'static str) -> SelectorError {
        SelectorError { text: self.text.to_owned(), position: self.at, expected }
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn spaces(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    fn word(&mut self, colon: bool) -> String {
        let from = self.at;
        while let Some(c) = self.peek() {
            let digit = c.is_ascii_digit() && self.at > from;
            if !(c.is_ascii_alphabetic() || digit || c == '_' || (colon && c == ':')) {
                break;
            }
            self.at += 1;
        }
        self.chars.get(from..self.at).unwrap_or_default().iter().collect()
    }

    fn selector(mut self) -> Result<Selector, SelectorError> {
        let mut out = Selector::default();
        self.spaces();
        if !self.take('*') {
            let name = self.word(true);
            if name.is_empty() && self.peek() != Some('{') {
                return Err(self.error("a metric name, '*' or '{'"));
            }
            out.name = Some(name).filter(|name| !name.is_empty());
        }
        self.spaces();
        if self.take('{') {
            self.matchers(&mut out.matchers)?;
        }
        self.spaces();
        if self.at < self.chars.len() { Err(self.error("the end, or '{' after the metric name")) } else { Ok(out) }
    }

    fn matchers(&mut self, out: &mut Vec<Matcher>) -> Result<(), SelectorError> {
        loop {
            self.spaces();
            if self.take('}') {
                return Ok(());
            }
            let label = self.word(false);
            if label.is_empty() {
                return Err(self.error("a label name or '}'"));
            }
            self.spaces();
            let equal = !self.take('!');
            if !self.take('=') {
                return Err(self.error("'=' or '!='"));
            }
            self.spaces();
            let value = self.quoted()?;
            out.push(Matcher { label, equal, value });
            self.spaces();
            if !self.take(',') {
                return if self.take('}') { Ok(()) } else { Err(self.error("',' or '}'")) };
            }
        }
    }

    fn quoted(&mut self) -> Result<String, SelectorError> {
        if !self.take('"') {
            return Err(self.error("a value in double quotes"));
        }
        let mut out = String::new();
        loop {
            match self.peek() {
                None => return Err(self.error("a closing quote")),
                Some('"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some('\\') => {
                    self.at += 1;
                    out.push(match self.peek() {
                        Some('n') => '\n',
                        Some(c @ ('"' | '\\')) => c,
                        _ => return Err(self.error("'\"', '\\' or 'n' after a backslash")),
                    });
                    self.at += 1;
                }
                Some(c) => {
                    out.push(c);
                    self.at += 1;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::text;
    use proptest::prelude::*;

    fn chosen(selector: &str, name: &str, labels: &[(&str, &str)]) -> bool {
        let labels: Vec<_> = labels.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        selector.parse::<Selector>().unwrap().matches(name, &labels)
    }

    #[test]
    fn what_is_chosen() {
        for all in ["*", "{}", " * ", "*{}"] {
            assert!(chosen(all, "m", &[("a", "1")]));
        }
        assert!(chosen("m", "m", &[("a", "1")]) && !chosen("m", "n", &[]));
        assert!(chosen("a:b", "a:b", &[]));
        assert!(chosen(r#"m{a="1"}"#, "m", &[("a", "1"), ("b", "2")]) && !chosen(r#"m{a="1"}"#, "m", &[("a", "2")]));
        assert!(chosen(r#" { a = "1" , b != "3" , } "#, "x", &[("a", "1"), ("b", "2")]));
        assert!(!chosen(r#"{b!="2"}"#, "x", &[("b", "2")]));
        // A label that is not there reads as empty.
        assert!(chosen(r#"{a=""}"#, "x", &[]) && chosen(r#"{a!="1"}"#, "x", &[]) && !chosen(r#"{a!=""}"#, "x", &[]));
    }

    #[test]
    fn errors_say_where() {
        for (text, position) in [
            ("", 0),
            ("9m", 0),
            ("m{", 2),
            ("m{a}", 3),
            ("m{a=1}", 4),
            (r#"m{a="1"#, 6),
            (r#"m{a="\x"}"#, 6),
            (r#"m{a="1" b="2"}"#, 8),
            ("m n", 2),
            (r#"m{a="1"}}"#, 8),
            ("m{é=\"\"}", 2),
        ] {
            let error = text.parse::<Selector>().unwrap_err();
            assert_eq!(error.position(), position, "{error}");
        }
    }

    proptest! {
        #[test]
        fn a_series_as_printed_selects_itself(value in any::<String>(), other in any::<String>()) {
            let labels = vec![("a".to_owned(), value.clone())];
            let selector: Selector = text::series("m", &labels).parse().unwrap();
            prop_assert!(selector.matches("m", &labels));
            prop_assert_eq!(selector.matches("m", &[("a".to_owned(), other.clone())]), value == other);
        }

        #[test]
        fn any_text_is_survived(text in any::<String>()) {
            if let Err(error) = text.parse::<Selector>() {
                prop_assert!(error.position() <= text.chars().count());
            }
        }
    }
}
