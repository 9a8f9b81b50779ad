//! A table, for the terminal and for the page.

use crate::escape::escape;

/// One cell of a [`Table`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cell {
    /// Words, set flush left.
    Text(String),
    /// A number, its digits aligned with the others of its column, and its
    /// interval, if it has one.
    Number {
        /// As printed: `41.3`.
        value: String,
        /// As printed: `[38.2, 44.4]`.
        interval: Option<String>,
    },
}

/// A table for the terminal and for the page alike.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Table {
    /// What the table shows, in a sentence.
    pub caption: String,
    /// Column headings.
    pub columns: Vec<String>,
    /// Rows, each as long as `columns`.
    pub rows: Vec<Vec<Cell>>,
    /// A last row set apart: a mean or a sum.
    pub summary: Option<Vec<Cell>>,
    /// Remarks below the table.
    pub notes: Vec<String>,
}

/// Widths of a column in characters: of its values, of its intervals, of all.
#[derive(Clone, Copy, Default)]
struct Width {
    value: usize,
    interval: usize,
    whole: usize,
}

impl Table {
    /// A table without summary and notes; add them to the fields.
    pub fn new(caption: &str, columns: Vec<String>, rows: Vec<Vec<Cell>>) -> Self {
        Self {
            caption: caption.to_owned(),
            columns,
            rows,
            summary: None,
            notes: Vec::new(),
        }
    }

    /// The table in characters of one width, every line ended by a newline.
    pub fn to_text(&self) -> String {
        let widths: Vec<Width> = (0..self.columns.len())
            .map(|column| self.width(column))
            .collect();
        let rule: String = "─".repeat(
            widths
                .iter()
                .map(|w| w.whole + 2)
                .sum::<usize>()
                .saturating_sub(2),
        );
        let mut text = line(
            self.columns
                .iter()
                .zip(&widths)
                .map(|(heading, width)| pad_right(heading, width.whole)),
        );
        text.push_str(&rule);
        text.push('\n');
        let row = |cells: &Vec<Cell>| {
            line(
                cells
                    .iter()
                    .zip(&widths)
                    .map(|(cell, &width)| cell.to_text(width)),
            )
        };
        text.extend(self.rows.iter().map(row));
        if let Some(summary) = &self.summary {
            text.push_str(&rule);
            text.push('\n');
            text.push_str(&row(summary));
        }
        text.extend(
            self.notes
                .iter()
                .map(|note| format!("{}\n", one_line(note))),
        );
        text
    }

    /// The table as HTML that scrolls sideways where the page is narrow.
    pub(crate) fn to_html(&self) -> String {
        let heading: String = (0..self.columns.len())
            .map(|column| self.html_heading(column))
            .collect();
        let body: String = self.rows.iter().map(|row| html_row(row)).collect();
        let foot = self.summary.as_ref().map_or(String::new(), |row| {
            format!("<tfoot>\n{}</tfoot>\n", html_row(row))
        });
        let notes: String = self
            .notes
            .iter()
            .map(|note| format!("<p class=\"note\">{}</p>\n", escape(note)))
            .collect();
        // The caption stands outside the table, or it would scroll away with it.
        let caption = escape(&self.caption);
        format!(
            "<div class=\"table\">\n<p class=\"caption\">{caption}</p>\n\
             <div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{caption}\"><table>\n\
             <thead><tr>{heading}</tr></thead>\n<tbody>\n{body}</tbody>\n{foot}</table></div>\n{notes}</div>\n"
        )
    }

    fn html_heading(&self, column: usize) -> String {
        let cell = self.rows.first().and_then(|row| row.get(column));
        let class = if matches!(cell, Some(Cell::Number { .. })) {
            " class=\"number\""
        } else {
            ""
        };
        format!(
            "<th scope=\"col\"{class}>{}</th>",
            escape(&self.columns[column])
        )
    }

    fn width(&self, column: usize) -> Width {
        let cells = self
            .rows
            .iter()
            .chain(&self.summary)
            .filter_map(|row| row.get(column));
        let mut width = Width::default();
        let mut words = chars(&self.columns[column]);
        for cell in cells {
            match cell {
                Cell::Text(text) => words = words.max(chars(&one_line(text))),
                Cell::Number { value, interval } => {
                    width.value = width.value.max(chars(value));
                    width.interval = width
                        .interval
                        .max(interval.as_ref().map_or(0, |i| chars(i) + 1));
                }
            }
        }
        width.whole = words.max(width.value + width.interval);
        width
    }
}

impl Cell {
    fn to_text(&self, width: Width) -> String {
        let text = match self {
            Cell::Text(text) => one_line(text),
            Cell::Number { value, interval } => {
                let indent = " ".repeat(width.value.saturating_sub(chars(value)));
                let interval = interval
                    .as_ref()
                    .map_or(String::new(), |interval| format!(" {interval}"));
                format!("{indent}{value}{interval}")
            }
        };
        pad_right(&text, width.whole)
    }
}

fn html_row(cells: &[Cell]) -> String {
    let cells: String = cells
        .iter()
        .enumerate()
        .map(|(column, cell)| match cell {
            Cell::Text(text) if column == 0 => format!("<th scope=\"row\">{}</th>", escape(text)),
            Cell::Text(text) => format!("<td>{}</td>", escape(text)),
            Cell::Number { value, interval } => {
                let interval = interval.as_ref().map_or(String::new(), |i| {
                    format!(" <span class=\"ci\">{}</span>", escape(i))
                });
                format!("<td class=\"number\">{}{interval}</td>", escape(value))
            }
        })
        .collect();
    format!("<tr>{cells}</tr>\n")
}

fn line(cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<String> = cells.collect();
    format!("{}\n", cells.join("  ").trim_end())
}

fn pad_right(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(chars(text))))
}

/// Names may hold anything; a line break or an escape sequence would tear the table.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn chars(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_tear_the_table() {
        let row = vec![
            Cell::Text("a\nb\x1b[2J".to_owned()),
            Cell::Text("c".to_owned()),
        ];
        let table = Table::new("", vec!["x".to_owned(), "y".to_owned()], vec![row]);
        assert_eq!(table.to_text(), "x        y\n──────────\na b [2J  c\n");
    }

    #[test]
    fn html_is_escaped_and_has_its_parts() {
        let number = Cell::Number {
            value: "1.0".to_owned(),
            interval: Some("[0.5, 1.5]".to_owned()),
        };
        let mut table = Table::new(
            "a < b",
            vec!["<b>".to_owned(), "n".to_owned()],
            vec![vec![Cell::Text("<i>".to_owned()), number.clone()]],
        );
        table.summary = Some(vec![Cell::Text("mean".to_owned()), number]);
        table.notes.push("<u>".to_owned());
        let html = table.to_html();
        roxmltree::Document::parse(&format!("<r>{html}</r>")).unwrap();
        for part in [
            "a &lt; b",
            "&lt;b&gt;",
            "&lt;i&gt;",
            "&lt;u&gt;",
            "<tfoot>",
            "[0.5, 1.5]",
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
        assert!(!html.contains("<i>"));
    }
}
