//! Question 5, made up.

use crate::{accuracy, change, made_curve, picture, repetition};
use paint_report::{
    Alpha, BeforeAfter, CaseStudies, Png, ReportInput, Result, Rq5Findings, Rq5Study, StudySet,
    UnseenCount, Verdict, rq5_sections, rq5_table,
};

pub(crate) fn input() -> Result<(ReportInput, String)> {
    let attacked = set("attacked, unseen classes", 0.412, 0.377, 0.03)?;
    let clean = set("clean, unseen classes", 0.861, -0.003, 0.006)?;
    let seven = set("count 7", 0.59, 0.37, 0.03)?;
    let choice = set("multiple choice", 0.43, 0.18, 0.02)?;
    let verdict = Verdict::rq5(&CaseStudies {
        attack_gain: attacked.change,
        clean_change: clean.change,
        unseen_count: Some(UnseenCount {
            accuracy: seven.after,
            gain: seven.change,
        }),
        multiple_choice_gain: Some(choice.change),
        supported_change: change(-0.004, 0.003)?,
    });
    let study = |name: &str, description: &str, sets, examples| {
        Ok(Rq5Study {
            name: name.to_owned(),
            description: description.to_owned(),
            alpha: Alpha::new(0.4)?,
            validation: made_curve(name, 0.42, 0.86, 0.17, 0.4)?,
            sets,
            supported: ["objects", "shapes", "sketches"]
                .map(|task| set(task, 0.9, -0.004, 0.003))
                .into_iter()
                .collect::<Result<_>>()?,
            supported_change: change(-0.004, 0.003)?,
            examples,
        })
    };
    let studies = vec![
        study(
            "Typographic attacks",
            "Trained on images with the name of a wrong class written on them, tested on classes that were not trained on.",
            vec![attacked, clean],
            (0..12).map(example).collect::<Result<_>>()?,
        )?,
        study(
            "Counting",
            "Trained on 4, 5, 6, 8 and 9 things, tested on 7.",
            vec![seven],
            Vec::new(),
        )?,
        study(
            "Multiple choice",
            "Each answer with its question is a class.",
            vec![choice],
            Vec::new(),
        )?,
    ];
    let findings = Rq5Findings {
        studies,
        supported: "mean of 3 supported tasks".to_owned(),
        notes: Vec::new(),
    };
    let input = ReportInput {
        title: "RQ5: case studies".to_owned(),
        question: "Does patching mend what is known to be broken?".to_owned(),
        verdict,
        sections: rq5_sections(&findings)?,
        repetition: repetition("rq5"),
    };
    Ok((input, rq5_table(&findings.studies)?.to_text()))
}

fn set(name: &str, before: f64, gain: f64, half: f64) -> Result<StudySet> {
    Ok(StudySet {
        name: name.to_owned(),
        before: accuracy(before, 2000)?,
        after: accuracy(before + gain, 2000)?,
        change: change(gain, half)?,
        of_errors: false,
    })
}

fn example(i: u32) -> Result<BeforeAfter> {
    let names = [
        "teapot",
        "umbrella",
        "candle",
        "bicycle",
        "a bunch of dried flowers",
    ];
    let name = |i: u32| names[i as usize % names.len()].to_owned();
    Ok(BeforeAfter {
        png: Png::new(picture(i))?,
        label: name(i),
        before: name(i + 1),
        after: if i % 4 == 3 { name(i + 2) } else { name(i) },
    })
}
