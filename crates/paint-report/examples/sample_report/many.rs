//! Question 3, made up.

use crate::{TASKS, accuracy, change, repetition};
use paint_report::{
    MinusSpecialists, ReportInput, Result, Rq3Findings, Rq3Row, Rq3Task, Verdict, rq3_sections,
    rq3_table,
};

/// Method, what it loses to the specialists with two tasks, and with each further one.
const METHODS: [(&str, f64, f64); 11] = [
    ("specialists", 0.0, 0.0),
    ("joint", -0.002, -0.0006),
    ("sequential", -0.006, -0.004),
    ("parallel", -0.02, -0.015),
    ("shared alpha", -0.03, -0.02),
    ("ties", -0.03, -0.018),
    ("dare", -0.04, -0.021),
    ("slerp", -0.05, -0.024),
    ("uniform soup", -0.08, -0.026),
    ("greedy soup", -0.06, -0.012),
    ("unpatched", -0.3, -0.004),
];

pub(crate) fn input() -> Result<(ReportInput, String)> {
    let mut rows = Vec::new();
    for k in 2..=9 {
        for method in METHODS {
            rows.push(row(k, method, None)?);
            if k == 9 {
                rows.extend([row(k, method, Some(0))?, row(k, method, Some(1))?]);
            }
        }
    }
    let task = |(i, task): (usize, &(&str, f64, f64, f64, f64))| {
        let of = |(name, start, step): (&str, f64, f64)| {
            let accuracy = accuracy(task.2 + start + step * (i as f64 + 2.0), 2000)?;
            Ok((name.to_owned(), accuracy))
        };
        Ok(Rq3Task {
            task: task.0.to_owned(),
            accuracies: METHODS.into_iter().map(of).collect::<Result<_>>()?,
        })
    };
    let tasks = TASKS.iter().enumerate().map(task).collect::<Result<_>>()?;
    let notes = vec![
        "The coefficients of parallel patching were searched with a budget of 50 evaluations."
            .to_owned(),
    ];
    let findings = Rq3Findings { rows, tasks, notes };
    let table = rq3_table(&findings.rows)?.to_text();
    let input = ReportInput {
        title: "RQ3: nine tasks in one model".to_owned(),
        question: "Can one model be patched on several tasks?".to_owned(),
        verdict: Verdict::rq3(&MinusSpecialists {
            joint: change(-0.006, 0.003)?,
            sequential: change(-0.034, 0.004)?,
            parallel: change(-0.125, 0.006)?,
        }),
        sections: rq3_sections(&findings)?,
        repetition: repetition("rq3"),
    };
    Ok((input, table))
}

fn row(k: u64, (method, start, step): (&str, f64, f64), seed: Option<u64>) -> Result<Rq3Row> {
    let shift = seed.map_or(0.0, |seed| 0.004 * (seed as f64 - 0.5));
    let difference = start + step * (k as f64 - 2.0) + shift;
    let n = 2000 * k as u32;
    Ok(Rq3Row {
        k,
        method: method.to_owned(),
        seed,
        patching: accuracy(0.88 + difference, n)?,
        supported: accuracy(0.85 + difference / 10.0, 2000)?,
        combined: accuracy(0.87 + difference * 0.7, n + 2000)?,
        minus_specialists: (method != "specialists")
            .then(|| change(difference * 0.7, 0.003))
            .transpose()?,
    })
}
