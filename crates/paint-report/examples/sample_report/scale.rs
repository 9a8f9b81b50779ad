//! Question 2, made up.

use crate::{accuracy, change, made_curve};
use paint_report::{
    Block, LayerChange, Measure, ReportInput, Result, Rq2Findings, Rq2Size, Section, Split,
    Verdict, rq2_sections, rq2_table,
};

/// Name, parameters, loss at alpha = 1, distance to the ideal, CKA.
const SIZES: [(&str, u64, f64, f64, f64); 3] = [
    ("world-s", 2_412_032, 0.31, 0.062, 0.71),
    ("world-m", 8_904_704, 0.22, 0.041, 0.79),
    ("world-l", 27_611_136, 0.12, 0.036, 0.88),
];

pub(crate) fn input() -> Result<(ReportInput, String)> {
    let sizes: Vec<Rq2Size> = (0..SIZES.len()).map(size).collect::<Result<_>>()?;
    let findings = Rq2Findings {
        sizes,
        supported: "objects".to_owned(),
        split: Split::Validation,
        notes: vec!["CKA on 2,000 images of each task.".to_owned()],
    };
    let table = rq2_table(&findings.sizes)?.to_text();
    let sections: Vec<Section> = rq2_sections(&findings)?
        .into_iter()
        .chain([Section::new(
            "A remark",
            vec![Block::Paragraph("No number here was measured.".to_owned())],
        )])
        .collect();
    let input = ReportInput {
        title: "RQ2: three sizes".to_owned(),
        question: "Do larger models patch better?".to_owned(),
        verdict: Verdict::rq2(&findings.sizes),
        sections,
        repetition: crate::repetition("rq2"),
    };
    Ok((input, table))
}

fn size(position: usize) -> Result<Rq2Size> {
    let (name, n_parameters, loss, distance, cka) = SIZES[position];
    let before = position.checked_sub(1).map(|i| SIZES[i].3);
    let step = before.map(|before| change(distance - before, 0.008));
    let depth = 2 * position + 4;
    let layer = |(i, group): (usize, String)| LayerChange {
        group,
        relative_distance: loss * 0.04 * (1.0 + 0.2 * i as f64),
        cosine: 1.0 - loss * 0.01 * (1.0 + 0.2 * i as f64),
    };
    let groups = std::iter::once("embeddings".to_owned())
        .chain((0..depth).map(|i| format!("layer {i}")))
        .chain(["projection".to_owned()]);
    Ok(Rq2Size {
        name: name.to_owned(),
        n_parameters,
        gain: change(0.41 - loss / 3.0, 0.006)?,
        supported_change: change(-0.006 + 0.001 * position as f64, 0.002)?,
        distance: accuracy(distance, 9000)?,
        step: step.transpose()?,
        layers: groups.enumerate().map(layer).collect(),
        cka_supported: Measure::exact(cka + 0.09, 2000)?,
        cka_patching: Measure::new(cka, cka - 0.03, cka + 0.02, 9)?,
        average: made_curve("", 0.38 + 0.02 * position as f64, 0.9, loss, 0.35)?,
        tasks: [("digits", 0.3), ("flags", 0.0), ("signs", -0.1)]
            .map(|(task, more)| made_curve(task, 0.38 + more, 0.9 + more / 4.0, loss, 0.35 + more))
            .into_iter()
            .collect::<Result<_>>()?,
    })
}
