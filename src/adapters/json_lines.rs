//! One line of JSON: an object with a time and numbers, such as `{"timestamp": "2014-04-01 00:05:00", "value": 20.5}`.

use serde_json::{Map, Value};

use super::problems::Reason;
use super::recorded::RowText;

/// Which members are read.
#[derive(Debug)]
pub(super) struct JsonLines {
    time: String,
    values: Vec<String>,
}

impl JsonLines {
    pub(super) fn new(time: String, values: Vec<String>) -> JsonLines {
        JsonLines { time, values }
    }

    /// Reads one line. `values` receives one number per column; a missing or null member is NaN where several columns
    /// are read.
    pub(super) fn read(&self, line: &str, values: &mut Vec<f64>) -> Result<RowText<'static>, Reason> {
        let object: Map<String, Value> = serde_json::from_str(line).map_err(|_| Reason::Json)?;
        let time = match object.get(&self.time) {
            Some(Value::String(text)) => text.trim_ascii().to_owned(),
            Some(Value::Number(number)) => number.to_string(),
            Some(_) => return Err(Reason::BadTime),
            None => return Err(Reason::MissingColumn),
        };
        let mut text = String::new();
        for name in &self.values {
            match object.get(name) {
                Some(Value::Number(number)) => {
                    text = number.to_string();
                    values.push(number.as_f64().filter(|number| number.is_finite()).ok_or(Reason::NotFinite)?);
                }
                None | Some(Value::Null) if self.values.len() > 1 => values.push(f64::NAN),
                None => return Err(Reason::MissingColumn),
                Some(_) => return Err(Reason::NotANumber),
            }
        }
        Ok(RowText { time: time.into(), value: text.into() })
    }
}

/// The names of an object's members, and of those that are numbers.
pub(super) fn members(line: &str) -> Option<(Vec<String>, Vec<String>)> {
    let object: Map<String, Value> = serde_json::from_str(line).ok()?;
    let numbers = object.iter().filter(|(_, value)| value.is_number() || value.is_null());
    Some((object.keys().cloned().collect(), numbers.map(|(name, _)| name.clone()).collect()))
}
