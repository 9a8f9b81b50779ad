//! The real fine-tuning, a step at a time.

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Instant;

use anyhow::{Result, bail};
use paint_clip::{Clip, ClipConfig, Preprocessor, Tensors, Tokenizer, ZeroShotHead};
use paint_data::{
    Dataset, Features, Hub, PixelTable, Rng, Row, SkipPolicy, SplitName, Target, Task, TaskSource,
    write_parquet,
};
use paint_eval::SeenBy;
use paint_tune::{FineTuneConfig, FineTuneInput, TrainingSet, fine_tune};

/// What a training step needs, on noise.
pub(crate) struct Training {
    config: ClipConfig,
    tensors: Tensors,
    head: ZeroShotHead,
    images: PixelTable,
    preprocessor: Preprocessor,
    directory: tempfile::TempDir,
}

const N_CLASSES: usize = 100;

impl Training {
    /// `batch` images of noise, and a head of a hundred classes.
    pub(crate) fn new(config: ClipConfig, tensors: Tensors, batch: usize) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let texts = directory.path().join("tokenizer");
        paint_world::write_tokenizer(&texts, config.vision.image_size)?;
        std::fs::write(texts.join("config.json"), config.to_json())?;
        let preprocessor = Preprocessor::load(&texts)?;
        let names: Vec<String> = (0..N_CLASSES).map(|i| format!("number {i}")).collect();
        let clip = Clip::from_tensors(&config, &tensors)?;
        let head = ZeroShotHead::build(
            &clip,
            &Tokenizer::load(&texts)?,
            &names,
            &["a photo of a {}.".to_owned()],
        )?;
        let images = noise(&preprocessor, directory.path(), names, batch)?;
        Ok(Self {
            config,
            tensors,
            head,
            images,
            preprocessor,
            directory,
        })
    }

    fn train(&self, batch: usize, steps: u64, progress: &mut dyn FnMut()) -> Result<()> {
        let input = FineTuneInput {
            config: &self.config,
            theta: &self.tensors,
            tasks: &[TrainingSet {
                head: &self.head,
                images: &self.images,
                asked: None,
            }],
            preprocessor: &self.preprocessor,
        };
        let settings = FineTuneConfig {
            steps,
            batch,
            save_every: u64::MAX,
            learning_rate: 1e-6,
            ..Default::default()
        };
        let state: &Path = &self.directory.path().join("state.safetensors");
        fine_tune(input, &settings, state, &mut |_| progress())?;
        Ok(())
    }

    /// So many steps at once.
    pub(crate) fn run(&self, batch: usize, steps: u64) -> Result<()> {
        self.train(batch, steps, &mut || {})
    }
}

fn noise(
    preprocessor: &Preprocessor,
    directory: &Path,
    class_names: Vec<String>,
    n: usize,
) -> Result<PixelTable> {
    let (height, width) = (preprocessor.height() as u32, preprocessor.width() as u32);
    let rng = &mut Rng::new(1);
    let rows = (0..n as u32).map(|i| {
        let image = image::RgbImage::from_fn(width, height, |_, _| {
            image::Rgb([0; 3].map(|_: u8| rng.range(0.0, 256.0) as u8))
        });
        let mut bytes = std::io::Cursor::new(Vec::new());
        image
            .write_to(&mut bytes, image::ImageFormat::Png)
            .map(|()| Row {
                image: bytes.into_inner(),
                file_name: None,
                target: Target::Label(i % N_CLASSES as u32),
            })
    });
    let rows: Vec<Row> = rows.collect::<Result<_, _>>()?;
    let parquet = directory.join("data/train-00000-of-00001.parquet");
    write_parquet(&parquet, Features::Labelled(class_names.clone()), rows)?;
    let source = TaskSource::Parquet(directory.join("data"));
    let mut task = Task::new("noise", class_names, vec!["{}".to_owned()], source)?;
    task.files.train = Some("train-*.parquet".to_owned());
    let images = Dataset::open(
        &task,
        SplitName::Train,
        &Hub::Directory(directory.to_owned()),
    )?;
    Ok(PixelTable::build(
        &images,
        &SeenBy(preprocessor),
        directory,
        SkipPolicy::default(),
        &|_| {},
    )?)
}

/// Fine-tuning on a thread of its own that waits before every step but the first.
pub(crate) struct Stepper {
    go: Sender<()>,
    done: Receiver<()>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Stepper {
    /// Starts a training of `steps` steps and lets it make the first.
    pub(crate) fn start(training: Training, batch: usize, steps: u64) -> Result<Self> {
        let (go, wait) = channel();
        let (tell, done) = channel();
        let thread = std::thread::spawn(move || {
            training.train(batch, steps, &mut || {
                // Where nobody listens any more, the rest is done without waiting.
                if tell.send(()).is_ok() {
                    let _ = wait.recv();
                }
            })
        });
        let mut stepper = Self {
            go,
            done,
            thread: Some(thread),
        };
        stepper.finish_step()?;
        Ok(stepper)
    }

    /// Seconds of the next step.
    pub(crate) fn step(&mut self) -> Result<f64> {
        let start = Instant::now();
        // A training that has ended says why below.
        let _ = self.go.send(());
        self.finish_step()?;
        Ok(start.elapsed().as_secs_f64())
    }

    fn finish_step(&mut self) -> Result<()> {
        if self.done.recv().is_ok() {
            return Ok(());
        }
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(Err(error))) => Err(error),
            _ => bail!("the training has ended"),
        }
    }
}
