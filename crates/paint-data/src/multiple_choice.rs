//! Images with a question each and candidate answers, of which one is right.
//!
//! A candidate is scored as a class is, by its prompt "question answer"; each image has candidates
//! of its own. The distinct prompts are the classes of one head, and an image's candidates say
//! which of its columns are compared for it: text is embedded once, however often it is asked.
//! Source: Ilharco et al. 2022, "Patching open-vocabulary models by interpolating weights",
//! its case studies.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::dataset::Dataset;
use crate::hub::Hub;
use crate::listing::Beside;
use crate::parquet_file::RawLabels;
use crate::pixels::PixelTable;
use crate::store::Store;
use crate::task::{SplitName, Task};
use crate::write::Question;
use crate::{Error, Result};

/// One split of a multiple-choice task.
///
/// Read from Parquet with the columns of
/// [`Features::MultipleChoice`](crate::Features::MultipleChoice). The classes of
/// [`images`](Self::images) are the distinct prompts of the split's files in the order of text,
/// its label is the prompt with the right answer.
#[derive(Clone, Debug)]
pub struct MultipleChoice {
    images: Dataset,
    n_choices: usize,
    /// By row of the store, `n_choices` for each: indices of prompts.
    candidates: Arc<[u32]>,
    /// By row of the store: the right one's position among the candidates.
    answers: Arc<[u32]>,
    /// By row of the store.
    kinds: Arc<[String]>,
}

/// What is asked about each image of a table, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked<'a> {
    /// `[n, n_choices]`: indices of prompts.
    pub candidates: Vec<&'a [u32]>,
    /// `[n]`: position of the right one among the candidates.
    pub answers: Vec<u32>,
    /// `[n]`: what the question is about.
    pub kinds: Vec<&'a str>,
}

impl MultipleChoice {
    /// Opens a split. The task needs no class names; its templates are not used.
    ///
    /// # Errors
    /// As [`Dataset::open`], and if a row lacks a question, has fewer than two choices, another
    /// number of them than the first row, one twice, or an answer that is none of them.
    pub fn open(task: &Task, split: SplitName, hub: &Hub) -> Result<Self> {
        let opened = Dataset::open_beside(task, split, hub, Beside::Caption("question"))?;
        let questions = questions(opened.store())?;
        let n_choices = questions[0].choices.len();
        let prompts: BTreeSet<String> = questions.iter().flat_map(Question::prompts).collect();
        let prompts: Vec<String> = prompts.into_iter().collect();
        let index = |prompt| prompts.binary_search(&prompt).unwrap_or_default() as u32;
        let candidates: Vec<u32> = questions
            .iter()
            .flat_map(|asked| asked.prompts().map(index))
            .collect();
        let answers: Vec<u32> = questions.iter().map(|asked| asked.answer).collect();
        let images = opened.relabelled(prompts, |row| {
            let row = opened.stored_row(row);
            candidates[row * n_choices + answers[row] as usize]
        });
        Ok(Self {
            images,
            n_choices,
            candidates: candidates.into(),
            answers: answers.into(),
            kinds: questions.into_iter().map(|asked| asked.kind).collect(),
        })
    }

    /// The images; their classes are the prompts and their labels the right ones.
    pub fn images(&self) -> &Dataset {
        &self.images
    }

    /// The distinct prompts, which a head is made of.
    pub fn prompts(&self) -> &[String] {
        self.images.class_names()
    }

    /// How many candidates each image has.
    pub fn n_choices(&self) -> usize {
        self.n_choices
    }

    /// `n` rows (or all, if there are fewer); the prompts stay.
    pub fn subset(&self, n: usize, seed: u64) -> Self {
        Self {
            images: self.images.subset(n, seed),
            ..self.clone()
        }
    }

    /// What is asked about each row of the table built from [`images`](Self::images), which
    /// lacks the images that could not be decoded.
    ///
    /// # Errors
    /// If the table was built from another dataset.
    pub fn asked(&self, table: &PixelTable) -> Result<Asked<'_>> {
        if table.content_key() != self.images.content_key() {
            let message = "this table was built from other images than these questions".to_owned();
            return Err(Error::Argument(message));
        }
        let rows = || {
            table
                .rows()
                .iter()
                .map(|&row| self.images.stored_row(row as usize))
        };
        let candidates = |row| &self.candidates[row * self.n_choices..][..self.n_choices];
        Ok(Asked {
            candidates: rows().map(candidates).collect(),
            answers: rows().map(|row| self.answers[row]).collect(),
            kinds: rows().map(|row| self.kinds[row].as_str()).collect(),
        })
    }
}

impl Question {
    /// "question answer" for each choice.
    pub fn prompts(&self) -> impl Iterator<Item = String> {
        let prompt = |choice: &String| format!("{} {choice}", self.question);
        self.choices.iter().map(prompt)
    }

    /// Says which column is wrong, and what of it.
    pub(crate) fn check(&self) -> std::result::Result<(), (&'static str, String)> {
        if self.question.trim().is_empty() {
            return Err((
                "question",
                "is empty; every image needs a question".to_owned(),
            ));
        }
        let n = self.choices.len();
        if n < 2 {
            return Err(("choices", format!("has {n} choices; give at least two")));
        }
        if self.choices.iter().any(|choice| choice.trim().is_empty()) {
            return Err((
                "choices",
                "a choice is null or empty; write it out".to_owned(),
            ));
        }
        let distinct: BTreeSet<&String> = self.choices.iter().collect();
        if distinct.len() < n {
            return Err(("choices", "has a choice twice; remove one".to_owned()));
        }
        if self.answer as usize >= n {
            let answer = self.answer;
            return Err((
                "answer",
                format!("answer {answer} is none of the {n} choices, counted from 0"),
            ));
        }
        Ok(())
    }
}

/// The question of each row, all with as many choices.
fn questions(store: &Store) -> Result<Vec<Question>> {
    let mut all: Vec<Question> = Vec::new();
    for file in store.tables()? {
        let RawLabels::Integers(answers) = file.labels("answer")? else {
            let message = "is text; write the position of the right choice, from 0";
            return Err(Error::column(file.path(), "answer", message));
        };
        let (texts, kinds) = (file.text("question")?, file.text("kind")?);
        let rows = texts
            .into_iter()
            .zip(file.text_lists("choices")?)
            .zip(kinds)
            .zip(answers);
        for (row, (((question, choices), kind), answer)) in rows.enumerate() {
            let answer = u32::try_from(answer).unwrap_or(u32::MAX);
            let asked = Question {
                question,
                choices,
                answer,
                kind,
            };
            let fail = |(column, message)| Error::row(file.path(), row, column, message);
            asked.check().map_err(fail)?;
            let n = asked.choices.len();
            if let Some(first) = all.first().map(|first| first.choices.len())
                && first != n
            {
                let message = format!("has {n} choices, the first row {first}; give all as many");
                return Err(fail(("choices", message)));
            }
            all.push(asked);
        }
    }
    Ok(all)
}
