//! A table, for the terminal and for the page.

use crate::escape::escape;
use crate::{Estimate, Measure, number};

/// One cell of a [`Table`].
#[derive(Clone, Debug, PartialEq)]
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
    /// A difference of accuracies, a fraction, shown in points and marked with
    /// ▲ or ▼ where its interval leaves 0 out.
    Change(Estimate),
}

/// A table for the terminal and for the page alike.
#[derive(Clone, Debug, PartialEq)]
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
                .map(|(heading, width)| pad_right(&one_line(heading), width.whole)),
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
        let class = match cell {
            Some(Cell::Number { .. }) => " class=\"number\"",
            Some(Cell::Change(_)) => " class=\"number change\"",
            Some(Cell::Text(_)) | None => "",
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
            if let Cell::Text(text) = cell {
                words = words.max(chars(&one_line(text)));
            } else if let Some((value, interval)) = cell.printed() {
                width.value = width.value.max(chars(&value));
                let interval = interval.map_or(0, |interval| chars(&interval) + 1);
                width.interval = width.interval.max(interval);
            }
        }
        width.whole = words.max(width.value + width.interval);
        width
    }
}

impl Cell {
    /// Words.
    pub(crate) fn text(text: &str) -> Self {
        Cell::Text(text.to_owned())
    }

    /// An accuracy in per cent with its interval.
    pub(crate) fn percent(accuracy: &Estimate) -> Self {
        Cell::Number {
            value: number::percent(accuracy.value()),
            interval: Some(number::percent_interval(accuracy)),
        }
    }

    /// A difference in points with its interval.
    pub(crate) fn points(difference: &Estimate) -> Self {
        Cell::Number {
            value: number::points(difference.value()),
            interval: Some(number::points_interval(difference)),
        }
    }

    /// A measure in its own unit, with its interval if it has one.
    pub(crate) fn measure(measure: &Measure, decimals: usize) -> Self {
        let print = |number| number::fixed(number, decimals);
        Cell::Number {
            value: print(measure.value),
            interval: (!measure.is_exact())
                .then(|| format!("[{}, {}]", print(measure.low), print(measure.high))),
        }
    }

    /// A number as it is printed, or an empty cell.
    pub(crate) fn number(printed: String) -> Self {
        Cell::Number {
            value: printed,
            interval: None,
        }
    }

    /// Value and interval as printed, if the cell holds a number.
    fn printed(&self) -> Option<(String, Option<String>)> {
        match self {
            Cell::Text(_) => None,
            Cell::Number { value, interval } => Some((value.clone(), interval.clone())),
            Cell::Change(change) => Some((
                format!("{}{}", sign(change), number::points(change.value())),
                Some(number::points_interval(change)),
            )),
        }
    }

    fn to_text(&self, width: Width) -> String {
        let text = match (self, self.printed()) {
            (Cell::Text(text), _) => one_line(text),
            (_, Some((value, interval))) => {
                let indent = " ".repeat(width.value.saturating_sub(chars(&value)));
                let interval = interval.map_or(String::new(), |interval| format!(" {interval}"));
                format!("{indent}{value}{interval}")
            }
            (_, None) => String::new(),
        };
        pad_right(&text, width.whole)
    }
}

/// The mark of a difference whose interval leaves 0 out.
fn sign(change: &Estimate) -> &'static str {
    match (change.low() > 0.0, change.high() < 0.0) {
        (true, _) => "▲ ",
        (_, true) => "▼ ",
        _ => "",
    }
}

/// The class that tints a difference: its direction and, in four steps, its size; none where the
/// interval holds 0.
fn tint(change: &Estimate) -> String {
    let points = change.value().abs() * 100.0;
    let step = match points {
        ..2.0 => 1,
        2.0..10.0 => 2,
        10.0..25.0 => 3,
        _ => 4,
    };
    match sign(change) {
        "" => String::new(),
        "▲ " => format!(" up{step}"),
        _ => format!(" down{step}"),
    }
}

fn html_row(cells: &[Cell]) -> String {
    let cells: String = cells
        .iter()
        .enumerate()
        .map(|(column, cell)| match cell {
            Cell::Text(text) if column == 0 => format!("<th scope=\"row\">{}</th>", escape(text)),
            Cell::Text(text) => format!("<td>{}</td>", escape(text)),
            Cell::Number { .. } => html_number(cell, ""),
            Cell::Change(change) => html_number(cell, &format!(" change{}", tint(change))),
        })
        .collect();
    format!("<tr>{cells}</tr>\n")
}

fn html_number(cell: &Cell, classes: &str) -> String {
    let (value, interval) = cell.printed().unwrap_or_default();
    let interval = interval.map_or(String::new(), |interval| {
        format!(" <span class=\"ci\">{}</span>", escape(&interval))
    });
    format!(
        "<td class=\"number{classes}\">{}{interval}</td>",
        escape(&value)
    )
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

/// The names of rows or columns in the order of their first appearance.
pub(crate) fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut distinct = Vec::new();
    for name in names {
        if !distinct.contains(&name) {
            distinct.push(name);
        }
    }
    distinct
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
