//! A whole run from the Hub: `xtask mirror` in one process, the runner in others; with a cold
//! cache, with nothing but the cache, and without either.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "other tests ask the question itself")]
mod tiny;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use paint_world::Sizes;
use tiny::write_model;

/// `xtask mirror`, until dropped.
struct Mirror {
    process: Child,
    endpoint: String,
}

impl Mirror {
    fn start(directory: &Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_xtask"))
            .args(["mirror", "--port", "0", "--dir"])
            .arg(directory)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let output = process.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        let endpoint = line.trim().strip_prefix("HF_ENDPOINT=").unwrap().to_owned();
        Self { process, endpoint }
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A person's machine: an endpoint, a Hub's home, tasks of the Hub.
struct Machine {
    directory: PathBuf,
    endpoint: String,
}

impl Machine {
    fn patch(&self, out: &str, environment: &[(&str, &str)]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args([
            "patch", "--model", "me/tiny", "--steps", "2", "--batch", "4",
        ]);
        command
            .arg("--task")
            .arg(self.directory.join("digits.toml"));
        command
            .arg("--support")
            .arg(self.directory.join("shapes.toml"));
        command.arg("--out").arg(self.directory.join(out));
        // The tester's own settings are not the test's.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HF_")) {
            command.env_remove(name);
        }
        command.env("PAINT_RUNS", self.directory.join(format!("runs-{out}")));
        command.env("HF_HOME", self.directory.join("home"));
        command.env("HF_ENDPOINT", &self.endpoint);
        command.envs(environment.iter().copied());
        command.output().unwrap()
    }

    /// The run's `run.toml`.
    fn answers(&self, out: &str, environment: &[(&str, &str)]) -> String {
        let output = self.patch(out, environment);
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{message}");
        std::fs::read_to_string(self.directory.join(out).join("run.toml")).unwrap()
    }
}

fn write_task(directory: &Path, hub: &Path, name: &str) {
    let sizes = Sizes {
        train: 24,
        validation: 20,
        test: 20,
    };
    paint_world::write_task(name, hub, sizes, &|_| {}).unwrap();
    let manifest = format!(
        "name = \"my-{name}\"\nhub = \"paint-world/{name}\"\ntemplates = [\"a drawing of {{}}\"]\n"
    );
    std::fs::write(directory.join(format!("{name}.toml")), manifest).unwrap();
}

#[test]
fn model_and_tasks_come_from_the_hub_and_are_used_without_it() {
    let directory = tempfile::tempdir().unwrap();
    let hub = directory.path().join("hub");
    write_model(&directory.path().join("texts"), &hub.join("models/me/tiny"));
    for name in ["digits", "shapes"] {
        write_task(directory.path(), &hub, name);
    }
    let mirror = Mirror::start(&hub);
    let machine = Machine {
        directory: directory.path().to_owned(),
        endpoint: mirror.endpoint.clone(),
    };
    let cold = machine.answers("cold", &[]);
    for line in [
        "[models.revisions]",
        "\"model me/tiny\" = ",
        "\"task my-digits\" = ",
    ] {
        assert!(cold.contains(line), "{line} is not in:\n{cold}");
    }
    drop(mirror);
    let offline = [("HF_HUB_OFFLINE", "1")];
    assert_eq!(machine.answers("offline", &offline), cold);
    let home = directory.path().join("empty");
    let nowhere = [("HF_HUB_OFFLINE", "1"), ("HF_HOME", home.to_str().unwrap())];
    let output = machine.patch("nowhere", &nowhere);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        message.contains("model me/tiny") && message.contains("unset HF_HUB_OFFLINE"),
        "{message}"
    );
    assert!(!directory.path().join("nowhere/run.toml").exists());
}

#[test]
fn a_directory_that_is_no_hub_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["mirror", "--dir"])
        .arg(directory.path())
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        message.contains("neither `models` nor `datasets`"),
        "{message}"
    );
}
