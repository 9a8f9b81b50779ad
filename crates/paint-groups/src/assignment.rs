//! The best one-to-one assignment.

/// For every row of `costs` [n, n] a column of its own so that the sum of costs is smallest: the
/// Hungarian method with potentials, row by row (Kuhn 1955; Jonker & Volgenant 1987).
pub(crate) fn assign(costs: &[f64], n: usize) -> Vec<usize> {
    // Column n stands for "not yet assigned".
    let (mut row_potential, mut column_potential) = (vec![0.0; n + 1], vec![0.0; n + 1]);
    let mut row_of = vec![n; n + 1];
    for row in 0..n {
        row_of[n] = row;
        let mut column = n;
        let mut slack = vec![f64::INFINITY; n];
        let mut before = vec![n; n];
        let mut visited = vec![false; n + 1];
        while row_of[column] != n {
            visited[column] = true;
            let this = row_of[column];
            let (mut least, mut next) = (f64::INFINITY, n);
            for j in (0..n).filter(|&j| !visited[j]) {
                let reduced = costs[this * n + j] - row_potential[this] - column_potential[j];
                if reduced < slack[j] {
                    (slack[j], before[j]) = (reduced, column);
                }
                if slack[j] < least {
                    (least, next) = (slack[j], j);
                }
            }
            for j in 0..=n {
                match visited[j] {
                    true => {
                        row_potential[row_of[j]] += least;
                        column_potential[j] -= least;
                    }
                    false if j < n => slack[j] -= least,
                    false => {}
                }
            }
            column = next;
        }
        while column != n {
            row_of[column] = row_of[before[column]];
            column = before[column];
        }
    }
    let mut column_of = vec![0; n];
    (0..n).for_each(|column| column_of[row_of[column]] = column);
    column_of
}

#[cfg(test)]
mod tests {
    use super::*;
    use paint_data::Rng;

    fn cheapest(costs: &[f64], n: usize, row: usize, used: &mut Vec<bool>) -> f64 {
        if row == n {
            return 0.0;
        }
        let mut best = f64::INFINITY;
        for column in 0..n {
            if !used[column] {
                used[column] = true;
                let rest = cheapest(costs, n, row + 1, used);
                best = best.min(costs[row * n + column] + rest);
                used[column] = false;
            }
        }
        best
    }

    #[test]
    fn is_as_cheap_as_the_best_of_all_orders() {
        assert_eq!(assign(&[1.0, 2.0, 0.5, 9.0], 2), [1, 0]);
        let mut rng = Rng::new(4);
        for n in 1..7 {
            for _ in 0..30 {
                let costs: Vec<f64> = (0..n * n).map(|_| f64::from(rng.normal())).collect();
                let columns = assign(&costs, n);
                let mut distinct = columns.clone();
                distinct.sort_unstable();
                assert!(distinct.into_iter().eq(0..n));
                let sum: f64 = columns
                    .iter()
                    .enumerate()
                    .map(|(i, j)| costs[i * n + j])
                    .sum();
                assert!((sum - cheapest(&costs, n, 0, &mut vec![false; n])).abs() < 1e-9);
            }
        }
    }
}
