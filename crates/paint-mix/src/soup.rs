//! Model soups: the mean of several fine-tuned models, of all or of those that help.
//!
//! Wortsman et al. 2022, "Model soups", arXiv:2203.05482.

use crate::{
    Error, Result, ValidationAccuracy,
    merge::{check_lengths, fill},
};
use serde::{Deserialize, Serialize};

/// `out` = the mean of `members`, summed in f64 in the order given and rounded once; a value that
/// all share stays bit for bit.
///
/// # Errors
/// [`Error::Nothing`] without members, [`Error::Length`] if the slices differ in length.
pub fn uniform_soup(members: &[&[f32]], out: &mut [f32]) -> Result<()> {
    let Some((&first, rest)) = members.split_first() else {
        return Err(Error::Nothing("a soup needs at least one model"));
    };
    check_lengths(first, members, out)?;
    fill(out, |i| {
        if rest.iter().all(|values| values[i] == first[i]) {
            return first[i];
        }
        let sum: f64 = members.iter().map(|values| f64::from(values[i])).sum();
        (sum / members.len() as f64) as f32
    });
    Ok(())
}

/// What [`greedy_soup`] found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GreedySoup {
    /// The soup's members, in the order in which they were added.
    pub members: Vec<usize>,
    /// The soup's score.
    pub score: ValidationAccuracy,
    /// All soups that were scored.
    pub tried: Vec<TriedSoup>,
}

/// A soup that was scored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TriedSoup {
    /// Its members; the last one is the one in question.
    pub members: Vec<usize>,
    /// Its score.
    pub score: ValidationAccuracy,
    /// Whether the last member stayed.
    pub kept: bool,
}

/// Chooses the members of a soup: the models in the order of their own validation scores, best
/// first and equal ones as given; each stays if the soup with it is not worse than without
/// (arXiv:2203.05482, recipe 1).
///
/// `scores` are those of the models alone. `score` scores the soup of a set of them, on validation
/// data; it is asked once for every model but the best.
///
/// # Errors
/// [`Error::Nothing`] without models; what `score` returns.
pub fn greedy_soup<E: From<Error>>(
    scores: &[ValidationAccuracy],
    mut score: impl FnMut(&[usize]) -> Result<ValidationAccuracy, E>,
) -> Result<GreedySoup, E> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].get().total_cmp(&scores[a].get()));
    let Some((&best, others)) = order.split_first() else {
        return Err(Error::Nothing("a soup needs at least one model").into());
    };
    let mut soup = GreedySoup {
        members: vec![best],
        score: scores[best],
        tried: Vec::new(),
    };
    for &model in others {
        let members = [&soup.members[..], &[model]].concat();
        let found = score(&members)?;
        let kept = found >= soup.score;
        soup.tried.push(TriedSoup {
            members: members.clone(),
            score: found,
            kept,
        });
        if kept {
            (soup.members, soup.score) = (members, found);
        }
    }
    Ok(soup)
}
