//! Example images for the report: what a model sees, and what it says of it.

use anyhow::{Context, Result};
use paint_data::SplitName;
use paint_eval::Predictions;
use paint_report::{
    Alpha, BeforeAfter, Block, Curve, CurvePoint, Png, Section, Slider, SliderExample, Split,
};

use crate::findings::estimate;
use crate::line::Line;
use crate::patching::Patched;
use crate::prepared::Prepared;
use crate::question::Run;
use crate::subject::Subject;

/// Images of each of the two tasks beside the slider.
const OF_A_TASK: usize = 6;

/// The image as the model sees it.
fn png(task: &Prepared, split: SplitName, row: usize) -> Result<Png> {
    let table = task.table(split)?;
    let mut pixels = vec![0; table.image_bytes()];
    table.read(&[row], &mut pixels)?;
    let (width, height) = (table.width() as u32, table.height() as u32);
    let image = image::RgbImage::from_raw(width, height, pixels).context("pixels of an image")?;
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png)?;
    Ok(Png::new(bytes.into_inner())?)
}

fn first_of(answers: &Predictions) -> Vec<u32> {
    answers.ranked().map(|classes| classes[0]).collect()
}

/// Up to `n` images whose answers differ, those that patching mends first, then the others in the
/// order of the images.
pub(crate) fn before_after(
    task: &Prepared,
    split: SplitName,
    [before, after]: [&Predictions; 2],
    n: usize,
) -> Result<Vec<BeforeAfter>> {
    let name = |class: u32| task.class_names[class as usize].clone();
    let answers: Vec<(u32, u32, u32)> = before
        .labels()
        .iter()
        .zip(first_of(before).into_iter().zip(first_of(after)))
        .map(|(&label, (before, after))| (label, before, after))
        .collect();
    let mut rows: Vec<usize> = (0..answers.len())
        .filter(|&row| answers[row].1 != answers[row].2)
        .collect();
    rows.sort_by_key(|&row| answers[row].0 != answers[row].2);
    rows.truncate(n);
    let example = |row: usize| {
        let (label, before, after) = answers[row];
        Ok(BeforeAfter {
            png: png(task, split, row)?,
            label: name(label),
            before: name(before),
            after: name(after),
        })
    };
    rows.into_iter().map(example).collect()
}

/// The figure with a slider: the patching task that gained most, and the first supported one, on
/// validation. None where a race has not measured the whole curve.
pub(crate) fn slider(
    subject: &Subject,
    results: &[(&Prepared, Patched)],
    run: &Run<'_>,
) -> Result<Option<Section>> {
    if !run.asked.settings.search.is_grid() {
        return Ok(None);
    }
    let gain = |patched: &Patched| {
        let points = &patched.searched.points;
        let at = |alpha: f64| points.iter().find(|(of, _)| *of == alpha);
        let on_task = |alpha| at(alpha).and_then(|(_, on)| on[0]).map_or(0.0, |a| a.value);
        on_task(patched.searched.choice.alpha) - on_task(0.0)
    };
    let best = results
        .iter()
        .max_by(|(_, one), (_, other)| gain(one).total_cmp(&gain(other)));
    let (Some((task, patched)), Some(supported)) = (best, subject.supported.first()) else {
        return Ok(None);
    };
    let line = Line {
        subject,
        from: &subject.zero_shot,
        to: &patched.fine_tuned.load()?,
        name: &task.name,
        run: &run.dir,
    };
    let points = &patched.searched.points;
    let grid: Vec<f64> = points.iter().map(|(alpha, _)| *alpha).collect();
    let along = |on: &Prepared| {
        let at = |&alpha: &f64| line.answers(alpha, on, SplitName::Validation);
        grid.iter().map(at).collect::<Result<Vec<Predictions>>>()
    };
    let (of_patching, of_supported) = (along(task)?, along(supported)?);
    let point = |(i, &alpha): (usize, &f64)| {
        Ok(CurvePoint {
            alpha: Alpha::new(alpha)?,
            supported: estimate(of_supported[i].accuracy())?,
            patching: estimate(of_patching[i].accuracy())?,
        })
    };
    let curve = Curve {
        task: task.name.clone(),
        points: grid.iter().enumerate().map(point).collect::<Result<_>>()?,
        chosen: Some(Alpha::new(patched.searched.choice.alpha)?),
    };
    let mut examples = moving(task, &of_patching)?;
    examples.extend(moving(supported, &of_supported)?);
    let slider = Slider::new(curve, &supported.name, Split::Validation, examples)?;
    Ok(Some(Section::new(
        "Try it: weights between zero-shot and fine-tuned",
        vec![Block::Slider(slider)],
    )))
}

/// Images whose answers change along the line, those that change once first.
fn moving(task: &Prepared, along: &[Predictions]) -> Result<Vec<SliderExample>> {
    let firsts: Vec<Vec<u32>> = along.iter().map(first_of).collect();
    let n_changes = |row: usize| {
        let changes = firsts
            .windows(2)
            .filter(|pair| pair[0][row] != pair[1][row]);
        changes.count()
    };
    let labels = along.first().map_or(&[][..], Predictions::labels);
    let mut rows: Vec<usize> = (0..labels.len())
        .filter(|&row| n_changes(row) > 0)
        .collect();
    // One clean change tells more than a flicker.
    rows.sort_by_key(|&row| n_changes(row));
    rows.truncate(OF_A_TASK);
    let name = |class: u32| task.class_names[class as usize].clone();
    let example = |row: usize| {
        Ok(SliderExample {
            png: png(task, SplitName::Validation, row)?,
            task: task.name.clone(),
            label: name(labels[row]),
            predictions: firsts.iter().map(|first| name(first[row])).collect(),
        })
    };
    rows.into_iter().map(example).collect()
}
