//! Which tensors of two checkpoints belong together, or how the checkpoints differ.

use crate::{
    Error, Result,
    checkpoint::{Checkpoint, Entry},
    element::Kind,
};

/// How many differences of one kind a message lists.
const SHOWN: usize = 4;

/// Tensors of two checkpoints of one architecture.
pub(crate) struct Pairing<'a> {
    /// Name, zero-shot and fine-tuned entry of each tensor of both, by name.
    pub(crate) shared: Vec<(&'a str, &'a Entry, &'a Entry)>,
    /// `position_ids` buffers that only the zero-shot file has: carried over.
    pub(crate) zero_shot_only: Vec<(&'a str, &'a Entry)>,
    /// `position_ids` buffers that only the fine-tuned file has: left out.
    pub(crate) fine_tuned_only: Vec<&'a str>,
}

/// Compares names, shapes and kinds of dtype.
pub(crate) fn pair<'a>(
    zero_shot: &'a Checkpoint,
    fine_tuned: &'a Checkpoint,
) -> Result<Pairing<'a>> {
    let mut pairing = Pairing {
        shared: Vec::new(),
        zero_shot_only: Vec::new(),
        fine_tuned_only: Vec::new(),
    };
    let mut missing = Group::new("only in zero_shot");
    let mut extra = Group::new("only in fine_tuned");
    let mut shapes = Group::new("different shapes");
    let mut dtypes = Group::new("dtypes that do not mix");
    let mut unsupported = Group::new("unsupported dtypes");
    for (name, entry) in &zero_shot.tensors {
        if entry.kind() == Kind::Unsupported {
            unsupported.add(|| format!("{name} {:?}", entry.dtype));
        }
        match fine_tuned.tensors.get(name) {
            None if is_position_ids(name, entry) => pairing.zero_shot_only.push((name, entry)),
            None => missing.add(|| describe(name, entry)),
            Some(other) if other.shape != entry.shape => {
                shapes.add(|| format!("{name} {:?} and {:?}", entry.shape, other.shape));
            }
            Some(other) if !mixes(entry, other) => {
                dtypes.add(|| format!("{name} {:?} and {:?}", entry.dtype, other.dtype));
            }
            Some(other) => pairing.shared.push((name, entry, other)),
        }
    }
    for (name, entry) in &fine_tuned.tensors {
        if !zero_shot.tensors.contains_key(name) {
            if is_position_ids(name, entry) {
                pairing.fine_tuned_only.push(name);
            } else {
                extra.add(|| describe(name, entry));
            }
        }
    }
    let differences: Vec<_> = [missing, extra, shapes, dtypes, unsupported]
        .into_iter()
        .filter_map(Group::into_text)
        .collect();
    if differences.is_empty() {
        return Ok(pairing);
    }
    Err(Error::Incompatible {
        zero_shot: zero_shot.path.clone(),
        fine_tuned: fine_tuned.path.clone(),
        differences: differences.join("; "),
    })
}

/// Older writers store the constant `arange` buffer, newer ones do not.
fn is_position_ids(name: &str, entry: &Entry) -> bool {
    entry.kind() == Kind::Carried && name.rsplit('.').next() == Some("position_ids")
}

fn mixes(one: &Entry, other: &Entry) -> bool {
    match (one.kind(), other.kind()) {
        (Kind::Float(_), Kind::Float(_)) => true,
        _ => one.dtype == other.dtype,
    }
}

fn describe(name: &str, entry: &Entry) -> String {
    format!("{name} {:?}", entry.shape)
}

/// The first few findings of one kind and the number of all.
pub(crate) struct Group {
    title: &'static str,
    first: Vec<String>,
    n: usize,
}

impl Group {
    pub(crate) fn new(title: &'static str) -> Self {
        Self {
            title,
            first: Vec::new(),
            n: 0,
        }
    }

    pub(crate) fn add(&mut self, finding: impl FnOnce() -> String) {
        self.n += 1;
        if self.first.len() < SHOWN {
            self.first.push(finding());
        }
    }

    pub(crate) fn into_text(self) -> Option<String> {
        if self.n == 0 {
            return None;
        }
        let rest = match self.n - self.first.len() {
            0 => String::new(),
            n => format!(", and {n} more"),
        };
        Some(format!(
            "{} ({}): {}{rest}",
            self.title,
            self.n,
            self.first.join(", ")
        ))
    }
}
