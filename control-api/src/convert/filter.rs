//! Filters of lists: `field = "v"`, `>` and `<` on times, a trailing `*`, joined by AND (a part of
//! AIP-160). Each list names its fields; everything else is FILTER_INVALID.

use std::fmt;

use prost_types::Timestamp;

use crate::clock::UnixTime;
use crate::limits::{FILTER_BYTES, FILTER_TERMS};
use crate::status::{Failure, Reason};

/// What an item says of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// Words; none: it has no such key.
    Text(Option<&'a str>),
    /// Words made for the occasion.
    Made(String),
    /// A moment.
    Time(UnixTime),
    /// Yes or no.
    Flag(bool),
}

/// What can be asked of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `=`, with a trailing `*`.
    Text,
    /// A map: `labels.team`, then as text.
    Map,
    /// `=` one of these words.
    Word(&'static [&'static str]),
    /// `<` and `>`, in the form of RFC 3339.
    Time,
    /// `=` "true" or "false".
    Flag,
}

/// A field of a list. The text is the key, where it is a map.
pub(crate) struct Field<T> {
    /// Its name.
    pub(crate) name: &'static str,
    /// What can be asked of it.
    pub(crate) kind: Kind,
    /// What an item says of it.
    pub(crate) get: for<'a> fn(&'a T, &str) -> Value<'a>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    Is(String),
    Begins(String),
    Flag(bool),
    Before(UnixTime),
    After(UnixTime),
}

struct Term<T> {
    field: &'static str,
    key: String,
    get: for<'a> fn(&'a T, &str) -> Value<'a>,
    test: Test,
}

/// A filter that was understood.
pub(crate) struct Filter<T>(Vec<Term<T>>);

impl<T> fmt::Debug for Filter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let terms = self
            .0
            .iter()
            .map(|term| (term.field, &term.key, &term.test));
        f.debug_list().entries(terms).finish()
    }
}

impl<T> Filter<T> {
    /// Reads one. Empty: everything passes.
    pub(crate) fn new(text: &str, fields: &[Field<T>]) -> Result<Self, Failure> {
        if text.len() > FILTER_BYTES {
            return Err(invalid(format!("at most {FILTER_BYTES} bytes")));
        }
        let mut rest = Rest(text.trim());
        let mut terms = Vec::new();
        while !rest.0.is_empty() {
            if !terms.is_empty() && rest.word() != "AND" {
                return Err(invalid("terms are joined by AND"));
            }
            if terms.len() == FILTER_TERMS {
                return Err(invalid(format!("at most {FILTER_TERMS} terms")));
            }
            terms.push(term(&mut rest, fields)?);
        }
        Ok(Self(terms))
    }

    /// Whether an item passes.
    pub(crate) fn passes(&self, item: &T) -> bool {
        self.0.iter().all(|term| term.passes(item))
    }

    /// Whether it asks for `word` of a field: for what is shown only to those who ask.
    pub(crate) fn asks(&self, field: &str, word: &str) -> bool {
        let asked = |term: &Term<T>| match &term.test {
            Test::Is(text) => term.field == field && text == word,
            Test::Flag(flag) => term.field == field && flag.to_string() == word,
            Test::Begins(_) | Test::Before(_) | Test::After(_) => false,
        };
        self.0.iter().any(asked)
    }
}

impl<T> Term<T> {
    fn passes(&self, item: &T) -> bool {
        let text = |text: &str| match &self.test {
            Test::Is(whole) => text == whole,
            Test::Begins(start) => text.starts_with(start),
            Test::Flag(_) | Test::Before(_) | Test::After(_) => false,
        };
        match (self.get)(item, &self.key) {
            Value::Text(said) => said.is_some_and(text),
            Value::Made(said) => text(&said),
            Value::Flag(said) => self.test == Test::Flag(said),
            Value::Time(said) => match self.test {
                Test::Before(moment) => said < moment,
                Test::After(moment) => said > moment,
                Test::Is(_) | Test::Begins(_) | Test::Flag(_) => false,
            },
        }
    }
}

fn term<T>(rest: &mut Rest<'_>, fields: &[Field<T>]) -> Result<Term<T>, Failure> {
    let path = rest.word();
    let (name, key) = path.split_once('.').unwrap_or((path, ""));
    let field = fields
        .iter()
        .find(|field| field.name == name && (field.kind == Kind::Map) != key.is_empty());
    let field = field.ok_or_else(|| {
        let dotted = |field: &Field<T>| match field.kind {
            Kind::Map => format!("{}.KEY", field.name),
            Kind::Text | Kind::Word(_) | Kind::Time | Kind::Flag => field.name.to_owned(),
        };
        let known: Vec<_> = fields.iter().map(dotted).collect();
        invalid(format!(
            "{path:?} is no field; what can be asked: {}",
            known.join(", ")
        ))
    })?;
    let operator = rest.operator();
    let value = rest
        .quoted()
        .ok_or_else(|| invalid(format!("after {path} write an operator and \"a value\"")))?;
    let allowed = match field.kind {
        Kind::Time => ['<', '>'].as_slice(),
        Kind::Text | Kind::Map | Kind::Word(_) | Kind::Flag => &['='],
    };
    let operator = operator.filter(|operator| allowed.contains(operator));
    let operator = operator.ok_or_else(|| {
        let allowed: Vec<_> = allowed.iter().map(char::to_string).collect();
        invalid(format!("{path} is asked with {}", allowed.join(" or ")))
    })?;
    Ok(Term {
        field: field.name,
        key: key.to_owned(),
        get: field.get,
        test: test(path, field.kind, operator, value)?,
    })
}

fn test(path: &str, kind: Kind, operator: char, value: String) -> Result<Test, Failure> {
    match kind {
        Kind::Text | Kind::Map => Ok(match value.strip_suffix('*') {
            Some(start) => Test::Begins(start.to_owned()),
            None => Test::Is(value),
        }),
        Kind::Word(words) if words.contains(&value.as_str()) => Ok(Test::Is(value)),
        Kind::Word(words) => Err(invalid(format!("{path} is one of {}", words.join(", ")))),
        Kind::Flag => match value.as_str() {
            "true" => Ok(Test::Flag(true)),
            "false" => Ok(Test::Flag(false)),
            _ => Err(invalid(format!("{path} is \"true\" or \"false\""))),
        },
        Kind::Time => {
            let why = || invalid(format!("{path}: write a time as 2030-01-31T12:00:00Z"));
            let time: Timestamp = value.parse().map_err(|_| why())?;
            let seconds = u64::try_from(time.seconds).map_err(|_| why())?;
            let millis = u64::try_from(time.nanos).map_err(|_| why())? / 1_000_000;
            let moment = UnixTime::from_millis(seconds.saturating_mul(1_000) + millis);
            Ok(match operator {
                '<' => Test::Before(moment),
                _ => Test::After(moment),
            })
        }
    }
}

/// What is left of a filter, spaces in front of it left out.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.0.split_at_checked(bytes).unwrap_or((self.0, ""));
        self.0 = rest.trim_start();
        taken
    }

    /// Up to a space, an operator or a quotation mark.
    fn word(&mut self) -> &'a str {
        let ends = |letter: char| letter.is_whitespace() || "=<>\"".contains(letter);
        let end = self.0.find(ends).unwrap_or(self.0.len());
        self.take(end)
    }

    fn operator(&mut self) -> Option<char> {
        let operator = self.0.chars().next().filter(|it| "=<>".contains(*it));
        if operator.is_some() {
            self.take(1);
        }
        operator
    }

    /// `"…"`, with \" and \\ inside.
    fn quoted(&mut self) -> Option<String> {
        let (mut value, mut escaped) = (String::new(), false);
        let inside = self.0.strip_prefix('"')?;
        for (at, letter) in inside.char_indices() {
            match letter {
                '"' if !escaped => {
                    self.take(at + 2);
                    return Some(value);
                }
                '\\' if !escaped => escaped = true,
                '"' | '\\' => {
                    value.push(letter);
                    escaped = false;
                }
                _ if escaped => return None,
                _ => value.push(letter),
            }
        }
        None
    }
}

fn invalid(why: impl fmt::Display) -> Failure {
    Failure {
        reason: Reason::FilterInvalid,
        ..Failure::field("filter", why)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    struct Item {
        name: &'static str,
        labels: BTreeMap<&'static str, &'static str>,
        locked: bool,
    }

    const FIELDS: &[Field<Item>] = &[
        Field {
            name: "name",
            kind: Kind::Text,
            get: |item, _| Value::Text(Some(item.name)),
        },
        Field {
            name: "labels",
            kind: Kind::Map,
            get: |item, key| Value::Text(item.labels.get(key).copied()),
        },
        Field {
            name: "locked",
            kind: Kind::Flag,
            get: |item, _| Value::Flag(item.locked),
        },
        Field {
            name: "state",
            kind: Kind::Word(&["OPEN", "CLOSING"]),
            get: |_, _| Value::Made("OPEN".to_owned()),
        },
        Field {
            name: "create_time",
            kind: Kind::Time,
            get: |_, _| Value::Time(UnixTime::from_millis(1_700_000_000_500)),
        },
    ];

    fn check(text: &str, expected: Option<bool>) {
        let item = Item {
            name: "rooms/stand \"up\"",
            labels: [("team", "blue"), ("a/b", "")].into(),
            locked: true,
        };
        let filter = Filter::new(text, FIELDS);
        let passes = filter.as_ref().map(|filter| filter.passes(&item));
        assert_eq!(passes.ok(), expected, "{text}: {filter:?}");
        if let Err(failure) = filter {
            assert_eq!(failure.reason, Reason::FilterInvalid, "{text}");
            assert_eq!(failure.field.as_deref(), Some("filter"), "{text}");
        }
    }

    #[test]
    fn a_filter_lets_through_what_it_says() {
        for (text, passes) in [
            ("", true),
            ("  ", true),
            (r#"name = "rooms/*""#, true),
            (r#"name="rooms/stand \"up\"""#, true),
            (r#"name = "rooms/other""#, false),
            (r#"name = "*""#, true),
            (r#"name = "rooms/stand*up""#, false),
            (r#"labels.team = "blue""#, true),
            (r#"labels.team = "b*" AND locked = "true""#, true),
            (r#"labels.team = "b*"   AND   locked="false""#, false),
            (r#"labels.a/b = """#, true),
            (r#"labels.none = """#, false),
            (r#"labels.none = "*""#, false),
            (r#"state = "OPEN""#, true),
            (r#"state = "CLOSING""#, false),
            (r#"create_time > "2023-11-14T22:13:20Z""#, true),
            (r#"create_time > "2023-11-14T22:13:20.500Z""#, false),
            (r#"create_time < "2023-11-14T22:13:20.501Z""#, true),
            (r#"create_time < "2023-11-14T23:13:21+01:00""#, true),
        ] {
            check(text, Some(passes));
        }
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for text in [
            "name",
            "name =",
            "name = rooms",
            r#"= "x""#,
            r#""x""#,
            r#"name = "x"#,
            r#"name = "\x""#,
            r#"name = "x" name = "y""#,
            r#"name = "x" OR name = "y""#,
            r#"name = "x" AND"#,
            r#"AND name = "x""#,
            r#"name > "x""#,
            r#"name == "x""#,
            r#"name != "x""#,
            r#"name.part = "x""#,
            r#"labels = "x""#,
            r#"locked = "yes""#,
            r#"state = "open""#,
            r#"state = "O*""#,
            r#"create_time = "2023-11-14T22:13:20Z""#,
            r#"create_time > "yesterday""#,
            r#"create_time > "1950-01-01T00:00:00Z""#,
            r#"nonsense = "x""#,
            r#"näme = "x""#,
        ] {
            check(text, None);
        }
        check(
            &vec![r#"name = "x""#; FILTER_TERMS].join(" AND "),
            Some(false),
        );
        check(&vec![r#"name = "x""#; FILTER_TERMS + 1].join(" AND "), None);
        check(&format!(r#"name = "{}""#, "x".repeat(FILTER_BYTES)), None);
    }

    #[test]
    fn what_is_asked_for_is_known() {
        let filter = Filter::new(r#"locked = "true" AND state = "OPEN""#, FIELDS).unwrap();
        assert!(filter.asks("locked", "true") && filter.asks("state", "OPEN"));
        assert!(!filter.asks("locked", "false") && !filter.asks("name", "OPEN"));
    }
}
