//! Text made safe for HTML and SVG.

use std::borrow::Cow;

/// Text made safe for HTML and SVG, in content and in quoted attributes.
///
/// Control characters that neither format may hold are shown as `U+FFFD`.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    let plain = |c: char| !matches!(c, '&' | '<' | '>' | '"' | '\'') && !forbidden(c);
    if text.chars().all(plain) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c if forbidden(c) => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

fn forbidden(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t')) || matches!(c, '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_names_stays_text() {
        assert_eq!(
            escape(r#"</title><script x="1" y='2'>&amp;"#),
            "&lt;/title&gt;&lt;script x=&quot;1&quot; y=&#39;2&#39;&gt;&amp;amp;"
        );
        assert_eq!(
            escape("a\0b\x1b[0m\n\u{85}"),
            "a\u{fffd}b\u{fffd}[0m\n\u{fffd}"
        );
        assert!(matches!(escape("Größe 5 – \u{1f600}"), Cow::Borrowed(_)));
    }
}
