//! How numbers are printed: the one place where fractions become per cent.

use crate::{Alpha, Estimate};

/// `41.3`: a fraction in per cent with one decimal.
pub(crate) fn percent(fraction: f64) -> String {
    fixed(fraction * 100.0, 1)
}

/// `+4.1` or `−0.4`: a difference in points with its sign; zero has none.
pub(crate) fn points(difference: f64) -> String {
    signed(difference * 100.0)
}

/// `+4.1` from a number that is in points already.
pub(crate) fn signed(points: f64) -> String {
    let text = fixed(points, 1);
    if text == "0.0" || text.starts_with('−') {
        text
    } else {
        format!("+{text}")
    }
}

/// `[38.2, 44.4]`.
pub(crate) fn percent_interval(estimate: &Estimate) -> String {
    format!(
        "[{}, {}]",
        percent(estimate.low()),
        percent(estimate.high())
    )
}

/// `[−0.9, +0.1]`.
pub(crate) fn points_interval(estimate: &Estimate) -> String {
    format!("[{}, {}]", points(estimate.low()), points(estimate.high()))
}

/// An accuracy in per cent with its interval: `41.3 [38.2, 44.4]`.
pub fn format_percent(estimate: &Estimate) -> String {
    format!(
        "{} {}",
        percent(estimate.value()),
        percent_interval(estimate)
    )
}

/// A difference in points with its interval: `−0.4 [−0.9, +0.1]`.
pub fn format_points(estimate: &Estimate) -> String {
    format!("{} {}", points(estimate.value()), points_interval(estimate))
}

/// `0.35`; more decimals only where the value has them.
pub(crate) fn alpha(alpha: Alpha) -> String {
    // Six, because a product such as 3 · 0.1 has digits that nobody asked for.
    let text = format!("{:.6}", alpha.get());
    let n_decimals = text.trim_end_matches('0').len().saturating_sub("0.".len());
    format!("{:.*}", n_decimals.max(2), alpha.get())
}

/// `12,345`.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `7 min 32 s`, `1 h 04 min`, `4.2 s`.
pub(crate) fn duration(time: std::time::Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A true minus sign, and no negative zero.
pub(crate) fn fixed(number: f64, decimals: usize) -> String {
    let text = format!("{number:.decimals$}");
    match text.strip_prefix('-') {
        Some(rest) if rest.chars().all(|c| matches!(c, '0' | '.')) => rest.to_owned(),
        Some(rest) => format!("−{rest}"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn estimates() {
        let accuracy = Estimate::new(0.413, 0.382, 0.444, 900).unwrap();
        assert_eq!(format_percent(&accuracy), "41.3 [38.2, 44.4]");
        let change = Estimate::new(-0.004, -0.009, 0.001, 900).unwrap();
        assert_eq!(format_points(&change), "−0.4 [−0.9, +0.1]");
        let none = Estimate::new(-0.0001, -0.0004, 0.0004, 900).unwrap();
        assert_eq!(format_points(&none), "0.0 [0.0, 0.0]");
    }

    #[test]
    fn alphas_counts_and_times() {
        let print = |a| alpha(Alpha::new(a).unwrap());
        assert_eq!(
            [0.0, 0.35, 0.125, 0.3125, 0.0125, 3.0 * 0.1, 1.0].map(print),
            ["0.00", "0.35", "0.125", "0.3125", "0.0125", "0.30", "1.00"]
        );
        assert_eq!(
            [count(0), count(999), count(1000), count(1_234_567)],
            ["0", "999", "1,000", "1,234,567"]
        );
        let time = |s| duration(Duration::from_secs_f64(s));
        assert_eq!(
            [time(4.24), time(59.0), time(452.0), time(3840.0)],
            ["4.2 s", "59 s", "7 min 32 s", "1 h 04 min"]
        );
    }
}
