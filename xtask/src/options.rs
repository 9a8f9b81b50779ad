//! What every question can be asked with.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use paint_data::Suite;
use paint_mix::Rule;
use paint_tune::FineTuneConfig;

use crate::progress::Console;
use crate::search::{Search, SearchName};
use crate::tasks::find_suite;

/// Options of everything that patches.
#[derive(clap::Args)]
pub(crate) struct Common {
    /// A checkpoint directory in Hugging Face layout, an embedded model, or a Hub id,
    /// ORG/NAME or ORG/NAME@REVISION
    #[arg(long)]
    pub(crate) model: Option<String>,
    /// Look for datasets and models in this directory in Hub layout
    #[arg(long)]
    pub(crate) hub: Option<PathBuf>,
    /// Directory of the run [default: runs/QUESTION-SUITE-…]
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
    /// Seed of order, augmentation and splits
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// One JSON object per line on standard output
    #[arg(long)]
    pub(crate) json: bool,
    /// How alpha is chosen on validation [default: best-patch; rq3: best-mean, as its claim is
    /// about the mean]
    #[arg(long, value_enum)]
    rule: Option<RuleName>,
    /// For best-patch: the largest mean drop on the supported tasks, in points
    #[arg(long, default_value_t = 1.0)]
    max_drop: f64,
    /// For best-patch on the grid: standard errors of the drop that count as lost too, because the
    /// best of many alphas has lost more than its validation images show
    #[arg(long, default_value_t = 1.0)]
    margin: f64,
    /// The alphas to choose from, comma-separated; 0, the model as it is, must be one of them
    /// [default: 0, 0.5, 1; in rq3 0, 0.2, …, 1; in a race 0, 0.1, …, 1; in patch 0, 0.05, …, 1]
    #[arg(long, value_delimiter = ',')]
    alphas: Vec<f64>,
    /// On the grid: how often the alphas halfway from the best one to its neighbours are measured
    /// too [default: 4; 2 with --quick, 1 in patch, 0 in rq3 and with --alphas]
    #[arg(long)]
    halvings: Option<u32>,
    /// How many images the choice looks at
    #[arg(long, value_enum, default_value_t = SearchName::Grid)]
    search: SearchName,
    /// For a race: accuracies that differ by less are equally good, in points
    #[arg(long, default_value_t = 0.5)]
    epsilon: f64,
    /// Fine-tuning steps [default: the suite's, else 2000]
    #[arg(long)]
    steps: Option<u64>,
    /// Images a fine-tuning step [default: the suite's, else 128]
    #[arg(long)]
    batch: Option<usize>,
    /// Peak learning rate of fine-tuning [default: the suite's, else 1e-5]
    #[arg(long)]
    learning_rate: Option<f64>,
    /// At most so many images of every split
    #[arg(long)]
    pub(crate) limit: Option<usize>,
}

/// Options of the questions that are asked of a suite.
#[derive(clap::Args)]
pub(crate) struct SuiteArgs {
    /// A suite of data-manifests/suites, or a .toml file
    #[arg(long, default_value = "embedded")]
    suite: String,
    /// Three patching tasks and less of everything: a look, not a result
    #[arg(long)]
    pub(crate) quick: bool,
    /// Only these patching tasks, comma-separated
    #[arg(long, value_delimiter = ',')]
    tasks: Vec<String>,
    /// Print every step and what it takes, and stop: nothing is downloaded or trained
    #[arg(long)]
    pub(crate) plan: bool,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum RuleName {
    /// Highest patching accuracy that costs at most --max-drop points
    BestPatch,
    /// Highest mean of patching and supported accuracy, as in the paper
    BestMean,
}

/// What is asked, of what.
pub(crate) struct Asked<'a> {
    /// Name of the run: `rq1`, `rq1-quick`.
    pub(crate) name: String,
    pub(crate) suite: Suite,
    /// Those of the suite's patching tasks that are asked for.
    pub(crate) patching: Vec<String>,
    pub(crate) settings: Settings,
    /// At most so many validation images of every task.
    pub(crate) limit_validation: Option<usize>,
    pub(crate) common: &'a Common,
}

/// What a question is asked with unless something else is given.
pub(crate) struct Defaults {
    pub(crate) rule: RuleName,
    /// Alphas beside 0.
    pub(crate) n_alphas: u32,
    pub(crate) halvings: u32,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            rule: RuleName::BestPatch,
            n_alphas: 2,
            halvings: 4,
        }
    }
}

/// How it is patched.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) fine_tune: FineTuneConfig,
    /// The alphas to choose from.
    pub(crate) grid: Vec<f64>,
    pub(crate) rule: Rule,
    pub(crate) search: Search,
}

impl SuiteArgs {
    /// Whether the patching tasks were chosen.
    pub(crate) fn names_tasks(&self) -> bool {
        !self.tasks.is_empty()
    }
}

impl<'a> Asked<'a> {
    /// A question to a suite.
    pub(crate) fn of_suite(
        question: &str,
        args: &'a SuiteArgs,
        defaults: Defaults,
        console: &Console,
    ) -> Result<Self> {
        let mut suite = find_suite(&args.suite)?;
        let mut patching = suite.patching.clone();
        if let Some(unknown) = args.tasks.iter().find(|task| !patching.contains(task)) {
            bail!(
                "--tasks {unknown}: the suite patches on {}",
                patching.join(", ")
            );
        }
        let twice = |i: usize| args.tasks[..i].contains(&args.tasks[i]);
        if let Some(i) = (0..args.tasks.len()).find(|&i| twice(i)) {
            bail!("--tasks: {} twice", args.tasks[i]);
        }
        if !args.tasks.is_empty() {
            patching.retain(|task| args.tasks.contains(task));
        }
        if args.quick && args.tasks.is_empty() {
            // Three kinds of task: strokes, colours, a whole scene.
            let quick = ["digits", "flags", "land-use"].map(str::to_owned);
            match patching.iter().any(|task| quick.contains(task)) {
                true => patching.retain(|task| quick.contains(task)),
                false => patching.truncate(3),
            }
        }
        if patching.len() < suite.patching.len() {
            console.say(format!(
                "{} of the suite's {} patching tasks: a look, not the suite's result",
                patching.len(),
                suite.patching.len()
            ));
        }
        let defaults = Defaults {
            halvings: match args.quick {
                true => defaults.halvings.min(QUICK_HALVINGS),
                false => defaults.halvings,
            },
            ..defaults
        };
        let mut settings = args.common.settings(&suite, &defaults)?;
        if args.quick {
            suite.case_studies.clear();
            if args.common.steps.is_none() {
                settings.fine_tune.steps = settings.fine_tune.steps.div_ceil(QUICK_STEPS);
            }
        }
        let of_suite = suite.validation.map(NonZeroUsize::get);
        Ok(Self {
            name: format!("{question}{}", if args.quick { "-quick" } else { "" }),
            settings,
            patching,
            suite,
            limit_validation: args.common.limit.into_iter().chain(of_suite).min(),
            common: &args.common,
        })
    }

    /// The settings of a case study: those of its own that the suite gives it.
    pub(crate) fn settings_of(&self, study: &str) -> Result<Settings> {
        let Some(own) = self.suite.case_studies.get(study) else {
            return Ok(self.settings.clone());
        };
        let mut table = self.suite.fine_tune.clone().unwrap_or_default();
        replace_keys(&mut table, own);
        let key = format!("case_studies.{study}");
        Ok(Settings {
            fine_tune: self.common.fine_tune(table, &self.suite, &key)?,
            ..self.settings.clone()
        })
    }

    /// The model that the case studies patch.
    pub(crate) fn case_model(&self) -> Result<&str> {
        match (&self.common.model, &self.suite.case_model) {
            (None, Some(model)) => Ok(model),
            _ => self.model(),
        }
    }

    /// The model that is asked.
    pub(crate) fn model(&self) -> Result<&str> {
        let model = self.common.model.as_ref().or(self.suite.model.as_ref());
        let model = model.with_context(|| {
            format!(
                "suite {} comes with no model; give one with --model DIR",
                self.suite.name
            )
        })?;
        Ok(model)
    }
}

/// Puts `own` in the place of what `table` has at the same keys, of tables within likewise.
fn replace_keys(table: &mut toml::Table, own: &toml::Table) {
    for (key, value) in own {
        match (table.get_mut(key), value) {
            (Some(toml::Value::Table(inner)), toml::Value::Table(own)) => replace_keys(inner, own),
            _ => {
                table.insert(key.clone(), value.clone());
            }
        }
    }
}

/// With `--quick`, one in so many of the suite's fine-tuning steps.
const QUICK_STEPS: u64 = 3;

/// With `--quick`, at most so many halvings.
const QUICK_HALVINGS: u32 = 2;

/// Alphas beside 0 among which a race chooses, which halves none.
const N_RACED: u32 = 10;

impl Common {
    /// Hyperparameters as the suite's `table` has them where no option is given, checked.
    fn fine_tune(&self, table: toml::Table, suite: &Suite, key: &str) -> Result<FineTuneConfig> {
        let of_suite: FineTuneConfig = table.try_into().map_err(|e: toml::de::Error| {
            anyhow!("suite {}: [{key}]: {}", suite.name, e.message())
        })?;
        let fine_tune = FineTuneConfig {
            seed: self.seed,
            steps: self.steps.unwrap_or(of_suite.steps),
            batch: self.batch.unwrap_or(of_suite.batch),
            learning_rate: self.learning_rate.unwrap_or(of_suite.learning_rate),
            ..of_suite
        };
        fine_tune
            .check()
            .with_context(|| format!("suite {}: [{key}], with the options given", suite.name))?;
        Ok(fine_tune)
    }

    /// Hyperparameters and rule, checked.
    pub(crate) fn settings(&self, suite: &Suite, defaults: &Defaults) -> Result<Settings> {
        let fine_tune = suite.fine_tune.clone().unwrap_or_default();
        let fine_tune = self.fine_tune(fine_tune, suite, "fine_tune")?;
        let number = |option: &str, value: f64, largest: f64, unit: &str| match (0.0..=largest)
            .contains(&value)
        {
            true => Ok(()),
            false => Err(anyhow!(
                "--{option} {value}: a number of {unit} from 0 to {largest}"
            )),
        };
        number("max-drop", self.max_drop, 100.0, "points")?;
        number("margin", self.margin, 10.0, "standard errors")?;
        number("epsilon", self.epsilon, 100.0, "points")?;
        let halvings = self.halvings.unwrap_or(match self.alphas.is_empty() {
            true => defaults.halvings,
            false => 0,
        });
        number("halvings", f64::from(halvings), 10.0, "halvings")?;
        let grid = match self.alphas.as_slice() {
            [] => grid(match self.search {
                SearchName::Grid => defaults.n_alphas,
                SearchName::Race | SearchName::RaceStrict => defaults.n_alphas.max(N_RACED),
            }),
            given => checked_grid(given)?,
        };
        let rule = match self.rule.unwrap_or(defaults.rule) {
            RuleName::BestMean => Rule::BestMean,
            RuleName::BestPatch => Rule::BestPatch {
                max_drop: self.max_drop / 100.0,
            },
        };
        let epsilon = self.epsilon / 100.0;
        Ok(Settings {
            fine_tune,
            grid,
            rule,
            search: Search::new(
                self.search,
                rule,
                (self.margin, halvings),
                epsilon,
                self.seed,
            ),
        })
    }
}

/// The alphas in rising order.
fn checked_grid(given: &[f64]) -> Result<Vec<f64>> {
    if let Some(alpha) = given.iter().find(|alpha| !(0.0..=1.0).contains(*alpha)) {
        bail!("--alphas {alpha}: a number from 0 to 1");
    }
    let mut grid = given.to_vec();
    grid.sort_by(f64::total_cmp);
    if let Some(pair) = grid.windows(2).find(|pair| pair[0] == pair[1]) {
        bail!("--alphas {}: is there twice", pair[0]);
    }
    if grid[0] != 0.0 {
        bail!(
            "--alphas: 0 is not among them, the model as it is, which every other alpha is \
             compared with"
        );
    }
    Ok(grid)
}

/// 0, 1/n, …, 1.
fn grid(n: u32) -> Vec<f64> {
    (0..=n).map(|i| f64::from(i) / f64::from(n)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_study_keeps_the_keys_that_it_does_not_give() {
        let mut table = toml::toml! {
            steps = 150
            batch = 64
            augment = { min_area = 0.5, mirror = true }
        };
        let own = toml::toml! {
            steps = 300
            augment = { mirror = false }
        };
        replace_keys(&mut table, &own);
        let expected = toml::toml! {
            steps = 300
            batch = 64
            augment = { min_area = 0.5, mirror = false }
        };
        assert_eq!(table, expected);
    }
}
