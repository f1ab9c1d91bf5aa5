//! A program that is killed while it saves leaves a checkpoint that loads, and none older than the last one it had
//! finished.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests, and a child that speaks to its parent")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use dormouse_graph::{Graph, OwnedGraph, Tensor};
use dormouse_io::{Bundle, Saver, latest_checkpoint};
use dormouse_session::{Session, feeds};
use dormouse_value::Value;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const FOLDER: &str = "DORMOUSE_TEST_KILL_FOLDER";
const ELEMENTS: usize = 40_000;

fn model() -> (OwnedGraph, Tensor, Session) {
    let graph = Graph::new();
    let w = graph.variable(Value::from(vec![0.0_f32; ELEMENTS])).named("w");
    let ones = graph.constant(vec![1.0_f32; ELEMENTS]);
    let step = graph.variable(0_i64).named("step");
    let update = graph.control_dependencies(w.assign_add(ones), || step.assign_add(1));
    let init = graph.initializer();
    let session = Session::new(&graph).unwrap();
    session.run(init, feeds![]).unwrap();
    (graph, update, session)
}

fn bundle_of(folder: &Path) -> PathBuf {
    folder.join("model.bundle")
}

/// Not a test of itself: what the killed program runs.
#[test]
fn child_that_saves_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let (_graph, update, session) = model();
    if let Some(path) = latest_checkpoint(&folder).unwrap() {
        Saver::new().restore(&session, path).unwrap();
    }
    let saver = Saver::new().max_to_keep(3).recover(&folder).unwrap();
    loop {
        let step = session.run(update, feeds![]).unwrap().scalar::<i64>().unwrap();
        saver.save(&session, folder.join("model.ckpt"), step).unwrap();
        println!("saved {step}");
        Bundle::builder(&session).step(step).unwrap().save(bundle_of(&folder)).unwrap();
    }
}

#[test]
fn a_hundred_kills_always_leave_a_checkpoint_that_loads() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = StdRng::seed_from_u64(1);
    let (_graph, _, session) = model();
    let mut finished = 0;
    for kill in 0..100 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_saves_until_it_is_killed", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let saved = |line: String| line.strip_prefix("saved ").map(|s| s.parse::<u64>().unwrap());
        // One save at least, so that the hundredth kill is not of a program that has only begun.
        let first = lines.by_ref().map(Result::unwrap).find_map(saved).unwrap();
        std::thread::sleep(Duration::from_micros(random.random_range(0..50_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        let last = lines.map_while(Result::ok).filter_map(saved).last().unwrap_or(first);
        assert!(last > finished, "kill {kill}: the child went on from an older step");
        finished = last;

        let path = latest_checkpoint(folder.path()).unwrap().unwrap();
        let report = Saver::new().restore(&session, &path).unwrap();
        let step = report.step.unwrap();
        assert!(step >= finished, "kill {kill}: {} is older than step {finished}", path.display());
        let w = session.run("w", feeds![]).unwrap().to_vec::<f32>().unwrap();
        assert!(w.iter().all(|x| *x == step as f32), "kill {kill}: step {step} is not of one moment");
        if bundle_of(folder.path()).exists() {
            let bundle = Bundle::load(bundle_of(folder.path())).unwrap();
            let w = bundle.session().run("w", feeds![]).unwrap().to_vec::<f32>().unwrap();
            assert!(w.iter().all(|x| Some(*x as u64) == bundle.step()), "kill {kill}: the bundle is not of one moment");
        }
    }
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    // Three checkpoints and one that had not been deleted yet, the state file, the bundle, and what the last kills left.
    assert!(left <= 9, "{left} files are left");
    println!("{finished} checkpoints were finished");
}
