//! Questions with candidate answers: read back, cut, and refused where they make no sense.

use paint_data::{
    Features, MultipleChoice, PixelTable, Question, Row, SkipPolicy, SplitName, Target, Task,
    TaskSource, write_parquet,
};

use crate::fixture::{Corner, check_error, nowhere, png};

fn question(i: usize) -> Question {
    let choices = ["red", "blue", "green"].map(|c| format!("{c} {}", i % 2));
    Question {
        question: "what colour is it".to_owned(),
        choices: choices.to_vec(),
        answer: (i % 3) as u32,
        kind: ["even", "odd"][i % 2].to_owned(),
    }
}

fn row(image: Vec<u8>, question: Question) -> Row {
    Row {
        image,
        file_name: None,
        target: Target::Question(question),
    }
}

fn task(dir: &tempfile::TempDir) -> Task {
    let source = TaskSource::Parquet(dir.path().to_owned());
    Task::new("quiz", vec![], vec!["{}".to_owned()], source).unwrap()
}

#[test]
fn prompts_are_classes_and_each_row_has_its_candidates() {
    let dir = tempfile::tempdir().unwrap();
    let image = |i: usize| {
        if i == 2 {
            b"broken".to_vec()
        } else {
            png(i as u8)
        }
    };
    let rows = (0..50).map(|i| row(image(i), question(i)));
    write_parquet(
        &dir.path().join("train-0.parquet"),
        Features::MultipleChoice,
        rows,
    )
    .unwrap();
    let policy = SkipPolicy { max_rate: 0.2 };
    let mut n_rows = 0;
    for (split, small) in [
        (SplitName::Train, false),
        (SplitName::Validation, false),
        (SplitName::Train, true),
    ] {
        let mut quiz = MultipleChoice::open(&task(&dir), split, &nowhere()).unwrap();
        if small {
            quiz = quiz.subset(9, 1);
        }
        assert_eq!((quiz.n_choices(), quiz.prompts().len()), (3, 6));
        assert_eq!(quiz.prompts()[0], "what colour is it blue 0");
        let table = PixelTable::build(quiz.images(), &Corner, dir.path(), policy, &|_| ()).unwrap();
        let asked = quiz.asked(&table).unwrap();
        for (position, &row) in table.rows().iter().enumerate() {
            let mut out = [0; 6];
            table.read(&[position], &mut out).unwrap();
            let expected = question(usize::from(out[0]));
            let prompts: Vec<&str> = asked.candidates[position]
                .iter()
                .map(|&prompt| quiz.prompts()[prompt as usize].as_str())
                .collect();
            assert_eq!(prompts, expected.prompts().collect::<Vec<_>>());
            assert_eq!(asked.answers[position], expected.answer);
            assert_eq!(asked.kinds[position], expected.kind);
            let right = quiz.images().labels()[row as usize] as usize;
            assert_eq!(quiz.prompts()[right], prompts[expected.answer as usize]);
        }
        n_rows += if small { 0 } else { quiz.images().len() };
        let other = quiz.subset(3, 7);
        check_error(other.asked(&table), &["other images"]);
    }
    assert_eq!(n_rows, 50);
}

#[test]
fn questions_without_sense_are_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let check = |change: fn(&mut Question), column: &str, reason: &str| {
        let mut asked = question(0);
        change(&mut asked);
        let path = dir.path().join("train-0.parquet");
        let rows = [row(png(0), question(0)), row(png(1), asked)];
        let written = write_parquet(&path, Features::MultipleChoice, rows);
        check_error(written, &["row 1", column, reason]);
    };
    check(
        |q| q.question = " ".into(),
        "`question`",
        "needs a question",
    );
    check(|q| q.choices.truncate(1), "`choices`", "at least two");
    check(
        |q| q.choices[1] = String::new(),
        "`choices`",
        "null or empty",
    );
    check(
        |q| q.choices[1] = q.choices[0].clone(),
        "`choices`",
        "twice",
    );
    check(|q| q.answer = 3, "`answer`", "answer 3 is none of the 3");
    let path = dir.path().join("train-0.parquet");
    let label = Row {
        image: png(0),
        file_name: None,
        target: Target::Label(0),
    };
    check_error(
        write_parquet(&path, Features::MultipleChoice, [label]),
        &["a label was given where the file has questions"],
    );
}

#[test]
fn rows_with_other_numbers_of_choices_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut short = question(1);
    short.choices.truncate(2);
    let rows = [question(0), short].map(|asked| row(png(0), asked));
    let path = dir.path().join("test-0.parquet");
    write_parquet(&path, Features::MultipleChoice, rows).unwrap();
    check_error(
        MultipleChoice::open(&task(&dir), SplitName::Test, &nowhere()),
        &[
            "test-0.parquet",
            "row 1",
            "`choices`",
            "has 2 choices, the first row 3",
        ],
    );
    let captioned = Row {
        image: png(0),
        file_name: None,
        target: Target::Caption("a".into()),
    };
    write_parquet(&path, Features::Captioned, [captioned]).unwrap();
    check_error(
        MultipleChoice::open(&task(&dir), SplitName::Test, &nowhere()),
        &["column `question`", "is missing"],
    );
}
