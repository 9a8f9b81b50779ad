//! Question 4, made up.

use crate::{TASKS, accuracy, average, change, repetition};
use paint_report::{
    Estimate, ReportInput, Result, Rq4Findings, Rq4Row, Transfer, Verdict, rq4_sections, rq4_table,
};

pub(crate) fn input() -> Result<(ReportInput, String)> {
    let numbered = || TASKS.iter().enumerate();
    let rows: Vec<Rq4Row> = numbered()
        .map(|(i, task)| row(i, task.0, task.1))
        .collect::<Result<_>>()?;
    let mean = mean(&rows)?;
    let transfer = |i: usize, j: usize| {
        let size = 0.32 * (1.0 - (i + 2 * j) as f64 / 7.0);
        Ok(Transfer {
            patched_on: TASKS[i].0.to_owned(),
            tested_on: TASKS[j].0.to_owned(),
            change: change(size * size * size.signum(), 0.012)?,
        })
    };
    let pairs = (0..6).flat_map(|i| (0..6).map(move |j| (i, j)));
    let transfers = pairs
        .filter(|(i, j)| i != j)
        .map(|(i, j)| transfer(i, j))
        .collect::<Result<_>>()?;
    let changes: Vec<Estimate> = rows.iter().map(|row| row.b_change).collect();
    let findings = Rq4Findings {
        mean,
        rows,
        transfers,
        notes: vec!["The paper's numbers are of ViT-L/14.".to_owned()],
    };
    let table = rq4_table(&findings.rows, &findings.mean)?.to_text();
    let input = ReportInput {
        title: "RQ4: classes never patched on".to_owned(),
        question: "Does patching on some classes improve others?".to_owned(),
        verdict: Verdict::rq4(&changes, &findings.mean.b_change),
        sections: rq4_sections(&findings)?,
        repetition: repetition("rq4"),
    };
    Ok((input, table))
}

fn row(i: usize, task: &str, before: f64) -> Result<Rq4Row> {
    let gain = 0.03 * i as f64 - 0.02;
    Ok(Rq4Row {
        task: task.to_owned(),
        a_before: accuracy(before + 0.1, 1000)?,
        a_after: accuracy(0.94, 1000)?,
        b_before: accuracy(before + 0.12, 1000)?,
        b_after: accuracy(before + 0.12 + gain, 1000)?,
        b_change: change(gain, 0.014)?,
        n_draws: 3,
        paper: i.is_multiple_of(2).then_some([0.728, 0.889]),
    })
}

fn mean(rows: &[Rq4Row]) -> Result<Rq4Row> {
    let of = |get: fn(&Rq4Row) -> Estimate| average(rows.iter().map(get));
    Ok(Rq4Row {
        task: "mean".to_owned(),
        a_before: of(|row| row.a_before)?,
        a_after: of(|row| row.a_after)?,
        b_before: of(|row| row.b_before)?,
        b_after: of(|row| row.b_after)?,
        b_change: of(|row| row.b_change)?,
        n_draws: 3,
        paper: None,
    })
}
