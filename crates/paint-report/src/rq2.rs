//! The numbers of question 2, and the tables and sections that show them.

use crate::page::{Block, Section};
use crate::table::{Cell, Table, distinct};
use crate::tradeoff::{size_figure, sizes_figure};
use crate::{Curve, Error, Estimate, Measure, Result, Split, number};

/// What fine-tuning did to the weights of one group of layers.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerChange {
    /// The group, in the order of the data through the model: "embeddings", "layer 0", "projection".
    pub group: String,
    /// ‖θ_ft − θ_zs‖ / ‖θ_zs‖, mean over tasks.
    pub relative_distance: f64,
    /// Cosine of the angle between θ_zs and θ_ft, mean over tasks.
    pub cosine: f64,
}

/// One model size: means over patching tasks, on test images.
#[derive(Clone, Debug, PartialEq)]
pub struct Rq2Size {
    /// The model's name.
    pub name: String,
    /// Number of parameters of both towers.
    pub n_parameters: u64,
    /// Gain on the patching tasks at the chosen alpha, a fraction, paired.
    pub gain: Estimate,
    /// Change on the supported tasks at the chosen alpha, a fraction, paired.
    pub supported_change: Estimate,
    /// Distance to the ideal, a fraction; 0 is as good as the zero-shot model on the supported
    /// tasks and as the fine-tuned one on the patching task.
    pub distance: Estimate,
    /// `distance` minus that of the next smaller size, a fraction, on the same images; none for
    /// the smallest.
    pub step: Option<Estimate>,
    /// What fine-tuning did to the weights.
    pub layers: Vec<LayerChange>,
    /// Linear CKA between the image representations of the zero-shot and the fine-tuned model on
    /// supported images.
    pub cka_supported: Measure,
    /// The same on images of the patching tasks.
    pub cka_patching: Measure,
    /// Mean curve over the patching tasks; the curve's `task` is not shown.
    pub average: Curve,
    /// One curve per patching task over every alpha measured, the chosen one marked.
    pub tasks: Vec<Curve>,
}

/// All that the page says about RQ2 beside verdict and repetition.
#[derive(Clone, Debug, PartialEq)]
pub struct Rq2Findings {
    /// From the smallest to the largest.
    pub sizes: Vec<Rq2Size>,
    /// What the horizontal axis of the curves shows: the supported task, or
    /// "mean of three supported tasks".
    pub supported: String,
    /// Whose images the curves are of.
    pub split: Split,
    /// Remarks on how the numbers came about; sentences.
    pub notes: Vec<String>,
}

/// The table of RQ2: per size its parameters, gain, supported change, distance to the ideal, the
/// distance minus that of the size before, and CKA.
///
/// # Errors
/// Refuses no sizes at all, sizes out of the order of their parameters, and two of one name.
pub fn rq2_table(sizes: &[Rq2Size]) -> Result<Table> {
    check(sizes)?;
    let columns = [
        "model",
        "parameters",
        "gain",
        "supported, change",
        "distance to the ideal",
        "minus the size before",
        "CKA, supported",
        "CKA, patching",
    ];
    let row = |size: &Rq2Size| {
        let step = size.step;
        vec![
            Cell::text(&size.name),
            Cell::number(number::count(size.n_parameters)),
            Cell::points(&size.gain),
            Cell::points(&size.supported_change),
            Cell::percent(&size.distance),
            step.map_or(Cell::number(String::new()), |step| Cell::points(&step)),
            Cell::measure(&size.cka_supported, 3),
            Cell::measure(&size.cka_patching, 3),
        ]
    };
    let caption = "Means over the patching tasks at the chosen α, test images, in points; distance to the ideal: 0 is \
                   as good as zero-shot on the supported tasks and as fine-tuned on the patching task; CKA between \
                   zero-shot and fine-tuned representations; in brackets 95\u{a0}% intervals";
    let rows = sizes.iter().map(row).collect();
    Ok(Table::new(caption, columns.map(str::to_owned).into(), rows))
}

/// The sections of the page that are particular to RQ2.
///
/// # Errors
/// Refuses what [`rq2_table`] and [`crate::tradeoff_figure`] refuse, of any size.
pub fn rq2_sections(findings: &Rq2Findings) -> Result<Vec<Section>> {
    let mut table = rq2_table(&findings.sizes)?;
    table.notes.clone_from(&findings.notes);
    let curves: Vec<Curve> = findings
        .sizes
        .iter()
        .map(|size| Curve {
            task: size.name.clone(),
            ..size.average.clone()
        })
        .collect();
    let figure = sizes_figure(&curves, &findings.supported, findings.split)?;
    let of_size = |(position, size): (usize, &Rq2Size)| {
        let figure = size_figure(
            (position, &size.name),
            &size.tasks,
            &findings.supported,
            findings.split,
        );
        Ok(Block::Figure(figure?))
    };
    let by_task = findings.sizes.iter().enumerate().map(of_size);
    let layers = layers_table(&findings.sizes).map(Block::Table);
    Ok(vec![
        Section::new("Results by model size", vec![Block::Table(table)]),
        Section::new(
            "From zero-shot to fine-tuned, by size",
            vec![Block::Figure(figure)],
        ),
        Section::new(
            "Every patching task, by size",
            by_task.collect::<Result<_>>()?,
        ),
        Section::new(
            "What fine-tuning did to the weights",
            layers.into_iter().collect(),
        ),
    ])
}

/// One row per group of layers, two columns per size; none without any group.
fn layers_table(sizes: &[Rq2Size]) -> Option<Table> {
    let layers = sizes.iter().flat_map(|size| &size.layers);
    let groups = distinct(layers.map(|layer| layer.group.as_str()));
    let cells = |group: &str, size: &Rq2Size| {
        let layer = size.layers.iter().find(|layer| layer.group == group);
        let print = |get: fn(&LayerChange) -> f64| {
            Cell::number(layer.map_or(String::new(), |layer| number::fixed(get(layer), 4)))
        };
        [print(|l| l.relative_distance), print(|l| l.cosine)]
    };
    let row = |group: &&str| {
        let columns = sizes.iter().flat_map(|size| cells(group, size));
        std::iter::once(Cell::text(group)).chain(columns).collect()
    };
    let mut columns = vec!["weights".to_owned()];
    columns.extend(
        sizes
            .iter()
            .flat_map(|size| ["distance", "cosine"].map(|what| format!("{}, {what}", size.name))),
    );
    let caption = "Weights before and after fine-tuning: relative distance ‖θ_ft − θ_zs‖ / ‖θ_zs‖ and cosine, means over \
                   the patching tasks";
    let rows: Vec<Vec<Cell>> = groups.iter().map(row).collect();
    (!rows.is_empty()).then(|| Table::new(caption, columns, rows))
}

fn check(sizes: &[Rq2Size]) -> Result<()> {
    if sizes.is_empty() {
        return Err(Error::Empty);
    }
    for (position, size) in sizes.iter().enumerate() {
        let before = &sizes[..position];
        if before.iter().any(|other| other.name == size.name) {
            return Err(Error::SameName {
                name: size.name.clone(),
            });
        }
        if let Some(larger) = before.last().filter(|b| b.n_parameters > size.n_parameters) {
            return Err(Error::SizeOrder {
                name: size.name.clone(),
                larger: larger.name.clone(),
            });
        }
    }
    Ok(())
}
