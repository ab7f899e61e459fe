//! Takes the comments out of what browsers load.
//!
//! They are written for readers of the source, and are a quarter of what a page would weigh. Only
//! whole lines of comment go, and each leaves an empty line, so that a browser's error names the
//! line it has in the source. A comment behind code on its line stays.

/// The text without lines of comment; `extension` is `js` or `css`, others stay as they are.
pub(crate) fn strip(text: &str, extension: &str) -> String {
    let has_line_comments = extension == "js";
    if !has_line_comments && extension != "css" {
        return text.to_owned();
    }
    let mut stripped = String::with_capacity(text.len());
    let mut is_block = false;
    // What looks like a comment inside a literal of several lines is text.
    let mut is_literal = false;
    for line in text.lines() {
        let trimmed = line.trim();
        let opens = !is_block && !is_literal && trimmed.starts_with("/*");
        let is_line = !is_block && !is_literal && has_line_comments && trimmed.starts_with("//");
        if is_block || opens {
            let rest = if opens {
                trimmed.get(2..)
            } else {
                Some(trimmed)
            };
            match rest.and_then(|rest| rest.split_once("*/")) {
                None => is_block = true,
                Some((_, code)) => {
                    is_block = false;
                    stripped.push_str(code.trim_start());
                    is_literal ^= code.matches('`').count() % 2 == 1;
                }
            }
        } else if !is_line {
            stripped.push_str(line);
            is_literal ^= has_line_comments && line.matches('`').count() % 2 == 1;
        }
        stripped.push('\n');
    }
    stripped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_comment_go_and_all_else_keeps_its_line() {
        for (extension, source, expected) in [
            ("js", "// one\na(); // two\n", "\na(); // two\n"),
            ("js", "  /** @type {A} */\n  x = 1;\n", "\n  x = 1;\n"),
            ("js", "/**\n * a `b\n */\nf();\n", "\n\n\nf();\n"),
            ("js", "/* a */ f(`\n// text\n`);\n", "f(`\n// text\n`);\n"),
            (
                "js",
                "u = `\n/* text\n`;\n// gone\n",
                "u = `\n/* text\n`;\n\n",
            ),
            (
                "js",
                "const a = \"/* no */\";\n",
                "const a = \"/* no */\";\n",
            ),
            ("css", "/* a\n b */\na { b: c; }\n", "\n\na { b: c; }\n"),
            ("css", "//a\n", "//a\n"),
            ("html", "<!-- a -->\n// b\n", "<!-- a -->\n// b\n"),
        ] {
            assert_eq!(strip(source, extension), expected, "{source:?}");
        }
    }
}
