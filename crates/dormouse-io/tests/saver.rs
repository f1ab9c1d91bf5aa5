//! Savers as TensorFlow's: names, how many are kept, what is restored, and errors that name every variable.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use dormouse_graph::{Graph, Normal, OwnedGraph, Variable};
use dormouse_io::{Bundle, Checkpoint, Matching, Mismatch, Saver, checkpoint_state, latest_checkpoint, load_graph};
use dormouse_session::{Session, feeds};
use dormouse_value::Value;

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A graph with these variables, and a session where they are initialized.
fn session_of(variables: &[(&str, Value)]) -> (OwnedGraph, Vec<Variable>, Session) {
    let graph = Graph::new();
    let handles: Vec<Variable> = variables.iter().map(|(n, v)| graph.variable(v.clone()).named(n)).collect();
    let init = graph.initializer();
    let session = Session::new(&graph).unwrap();
    session.run(init, feeds![]).unwrap();
    (graph, handles, session)
}

fn value(session: &Session, name: &str) -> Vec<f32> {
    session.run(name, feeds![]).unwrap().to_vec().unwrap()
}

#[test]
fn checkpoints_are_numbered_kept_and_listed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("made/on/demand");
    let (_graph, _, session) = session_of(&[("v", 1.0_f32.into())]);
    let saver = Saver::new().max_to_keep(2);
    assert_eq!(latest_checkpoint(&folder).unwrap(), None);
    for step in [1, 2, 3, 10] {
        let path = saver.save(&session, folder.join("model.ckpt"), step).unwrap();
        assert_eq!(path, folder.join(format!("model.ckpt-{step}")));
        assert_eq!(latest_checkpoint(&folder).unwrap(), Some(path));
    }
    assert_eq!(names(&folder), ["checkpoint", "model.ckpt-10", "model.ckpt-3"]);
    let text = fs::read_to_string(folder.join("checkpoint")).unwrap();
    assert_eq!(
        text,
        "model_checkpoint_path: \"model.ckpt-10\"\nall_model_checkpoint_paths: \"model.ckpt-3\"\n\
         all_model_checkpoint_paths: \"model.ckpt-10\"\n"
    );
    // A bundle in the same folder, and a checkpoint elsewhere that the state file names, are nobody's to delete.
    let bundle = folder.join("model.ckpt-4");
    Bundle::builder(&session).save(&bundle).unwrap();
    let elsewhere = folder.join("../other-1");
    fs::copy(folder.join("model.ckpt-3"), &elsewhere).unwrap();
    let more = format!("{text}all_model_checkpoint_paths: \"../other-1\"\n");
    fs::write(folder.join("checkpoint"), more).unwrap();
    Saver::new().max_to_keep(2).recover(&folder).unwrap().save(&session, folder.join("model.ckpt"), 10).unwrap();
    assert!(bundle.exists() && elsewhere.exists());
    fs::remove_file(bundle).unwrap();
    // The same step again replaces the file and does not count twice.
    saver.save(&session, folder.join("model.ckpt"), 10_i64).unwrap();
    assert_eq!(names(&folder), ["checkpoint", "model.ckpt-10", "model.ckpt-3"]);
    // Another saver deletes nothing of this one's, unless it takes over.
    Saver::new().max_to_keep(1).save(&session, folder.join("model.ckpt"), 11_u64).unwrap();
    assert_eq!(names(&folder), ["checkpoint", "model.ckpt-10", "model.ckpt-11", "model.ckpt-3"]);
    let heir = Saver::new().max_to_keep(1).recover(&folder).unwrap();
    heir.save(&session, folder.join("model.ckpt"), 12).unwrap();
    assert_eq!(names(&folder), ["checkpoint", "model.ckpt-12"]);
    let all = Saver::new().max_to_keep(0);
    for step in 20..30 {
        all.save(&session, folder.join("model.ckpt"), step).unwrap();
    }
    assert_eq!(checkpoint_state(&folder).unwrap().unwrap().all.len(), 10);
}

#[test]
fn steps_come_from_variables_and_not_from_nonsense() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    let (graph, handles, session) =
        session_of(&[("global_step", 42_i64.into()), ("small", 7_i32.into()), ("w", 0.5_f32.into())]);
    let saver = Saver::new();
    assert!(saver.save(&session, &path, handles[0]).unwrap().ends_with("model-42"));
    assert!(saver.save(&session, &path, handles[1]).unwrap().ends_with("model-7"));
    assert_eq!(Checkpoint::load(folder.path().join("model-42")).unwrap().step(), Some(42));
    let told = saver.save(&session, &path, -1).unwrap_err().to_string();
    assert_eq!(told, "the global step -1 is not a count of steps; give a whole number from 0");
    let told = saver.save(&session, &path, handles[2]).unwrap_err().to_string();
    assert!(told.starts_with("the global step w = 0.5 is not"), "{told}");
    drop(graph);
}

#[test]
fn the_newest_is_found_without_a_state_file_and_past_broken_ones() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (_graph, _, session) = session_of(&[("v", 1.0_f32.into())]);
    let saver = Saver::new();
    for step in [9, 10] {
        saver.save(&session, folder.join("m"), step).unwrap();
    }
    fs::remove_file(folder.join("checkpoint")).unwrap();
    fs::write(folder.join("notes-11"), "text").unwrap();
    fs::write(folder.join(".m-12.1-0.dormouse-tmp"), "left by the dead").unwrap();
    assert_eq!(latest_checkpoint(folder).unwrap(), Some(folder.join("m-10")));
    for broken in ["", "model_checkpoint_path: m-9", "model_checkpoint_path: \"gone-99\"\n", "\u{0}\u{1}"] {
        fs::write(folder.join("checkpoint"), broken).unwrap();
        assert_eq!(latest_checkpoint(folder).unwrap(), Some(folder.join("m-10")), "{broken:?}");
    }
    saver.save(&session, folder.join("m"), 11).unwrap();
    let whole = fs::read(folder.join("m-11")).unwrap();
    fs::write(folder.join("m-11"), &whole[..whole.len() - 1]).unwrap();
    assert_eq!(latest_checkpoint(folder).unwrap(), Some(folder.join("m-10")), "m-11 is cut short");
    assert_eq!(latest_checkpoint(folder.join("nowhere")).unwrap(), None);
}

#[test]
fn a_checkpoint_that_does_not_match_names_everything_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let saved = [
        ("a", Value::from([1.0_f32, 2.0])),
        ("b", Value::from([1.0_f32])),
        ("c", Value::from(3_i64)),
        ("old", Value::from(0.0_f32)),
    ];
    let (_graph, _, session) = session_of(&saved);
    let path = Saver::new().save(&session, folder.path().join("model"), 5).unwrap();

    let wanted = [
        ("a", Value::from([0.0_f32, 0.0])),
        ("b", Value::from([0.0_f32, 0.0])),
        ("c", Value::from(0.0_f32)),
        ("new", Value::from([0.0_f32])),
        ("newer", Value::from([0.0_f32])),
    ];
    let (_graph, _, session) = session_of(&wanted);
    let before = session.snapshot();
    let error = Saver::new().restore(&session, &path).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{}: variables \"new\" and \"newer\" are missing from it; variable \"b\" is f32 [2] in the graph and f32 [1] \
             in the checkpoint; variable \"c\" is f32 [] in the graph and i64 [] in the checkpoint; no variable has \
             changed; rename with Saver::variables, or restore what fits with Matching::Partial",
            path.display()
        )
    );
    assert_eq!(error.missing(), ["new", "newer"]);
    assert_eq!(error.mismatched().len(), 2);
    assert_eq!(error.path(), Some(&*path));
    assert_eq!(session.snapshot(), before);

    let report = Saver::new().matching(Matching::Partial).restore(&session, &path).unwrap();
    assert_eq!(report.restored, ["a"]);
    assert_eq!(report.missing, ["new", "newer"]);
    assert_eq!(report.mismatched.iter().map(|m: &Mismatch| m.name.as_str()).collect::<Vec<_>>(), ["b", "c"]);
    assert_eq!(report.unused, ["old"]);
    assert_eq!(report.step, Some(5));
    assert_eq!(value(&session, "a"), [1.0, 2.0]);
    assert_eq!(value(&session, "b"), [0.0, 0.0]);
}

#[test]
fn what_nobody_asked_for_is_reported_and_refused_when_it_must_match_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let (_graph, _, session) = session_of(&[("a", 1.0_f32.into()), ("b", 2.0_f32.into())]);
    let path = Saver::new().save(&session, folder.path().join("model"), None).unwrap();
    let (_graph, _, session) = session_of(&[("a", 0.0_f32.into())]);
    let error = Saver::new().matching(Matching::Exact).restore(&session, &path).unwrap_err();
    assert_eq!(error.unused(), ["b"]);
    assert!(error.to_string().contains("variable \"b\" in it is not asked for; restore with"), "{error}");
    assert_eq!(value(&session, "a"), [0.0]);
    assert_eq!(Saver::new().restore(&session, &path).unwrap().unused, ["b"]);
    assert_eq!(value(&session, "a"), [1.0]);
}

#[test]
fn names_can_be_mapped_both_ways() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    let (_graph, handles, session) = session_of(&[("v1", 1.0_f32.into()), ("v2", 2.0_f32.into())]);
    let map = HashMap::from([("one".to_owned(), handles[0]), ("two".to_owned(), handles[1])]);
    Saver::new().variables(&map).save(&session, &path, None).unwrap();
    let names: Vec<_> = Checkpoint::load(&path).unwrap().variables().keys().cloned().collect();
    assert_eq!(names, ["one", "two"]);

    let (_graph, handles, session) = session_of(&[("x", 0.0_f32.into()), ("y", 0.0_f32.into())]);
    let swapped = BTreeMap::from([("two", handles[0])]);
    let report = Saver::new().variables(swapped).restore(&session, &path).unwrap();
    assert_eq!((report.restored, report.unused), (vec!["two".to_owned()], vec!["one".to_owned()]));
    assert_eq!((value(&session, "x"), value(&session, "y")), (vec![2.0], vec![0.0]));

    let told = |saver: Saver| saver.restore(&session, &path).unwrap_err().to_string();
    let twice = told(Saver::new().variables([("one", handles[0]), ("one", handles[1])]));
    assert!(twice.contains("the checkpoint's variable \"one\" is named twice"), "{twice}");
    let twice = told(Saver::new().variables([("one", handles[0]), ("two", handles[0])]));
    assert!(twice.contains("variable \"x\" is named twice"), "{twice}");
    let (_other, strangers, _) = session_of(&[("s", 0.0_f32.into())]);
    let stranger = told(Saver::new().variables(strangers));
    assert!(stranger.contains("variable \"s\" is not of the session's graph"), "{stranger}");
}

#[test]
fn variables_without_a_value_are_named_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let graph = Graph::new();
    let a = graph.variable(1.0_f32).named("a");
    let _ = graph.variable(1.0_f32).named("b");
    let _ = graph.variable(1.0_f32).named("c");
    let session = Session::new(&graph).unwrap();
    session.run(a.initializer(), feeds![]).unwrap();
    let error = Saver::new().save(&session, folder.path().join("model"), 1).unwrap_err();
    assert!(
        error.to_string().ends_with(
            "variables \"b\" and \"c\" are not initialized; run the initializer first, or choose others with \
             Saver::variables"
        ),
        "{error}"
    );
    assert!(names(folder.path()).is_empty());
    Saver::new().variables(a).save(&session, folder.path().join("model"), 1).unwrap();
}

#[test]
fn a_resumed_run_draws_what_the_unbroken_run_draws() {
    let folder = tempfile::tempdir().unwrap();
    let graph = Graph::new();
    let noise = graph.random(&[3], Normal::new(1.0).seed(1)).named("noise");
    let w = graph.variable([0.0_f32; 3]).named("w");
    let walk = w.assign_add(noise);
    let session = Session::new(&graph).unwrap();
    session.run(w.initializer(), feeds![]).unwrap();
    for _ in 0..7 {
        session.run(walk, feeds![]).unwrap();
    }
    let path = Saver::new().save(&session, folder.path().join("model"), 7).unwrap();
    let unbroken: Vec<Value> = (0..5).map(|_| session.run(walk, feeds![]).unwrap()).collect();

    let resumed = Session::new(&graph).unwrap();
    assert!(!Saver::new().restore(&resumed, &path).unwrap().counters.is_empty());
    let again: Vec<Value> = (0..5).map(|_| resumed.run(walk, feeds![]).unwrap()).collect();
    assert_eq!(again, unbroken);

    // A saver of chosen variables leaves the counters alone.
    let restarted = Session::new(&graph).unwrap();
    assert!(Saver::new().variables(w).restore(&restarted, &path).unwrap().counters.is_empty());
}

#[test]
fn each_bad_file_gets_its_own_message() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| -> PathBuf { folder.path().join(name) };
    let (_graph, _, session) = session_of(&[("v", Value::from(vec![1.0_f32; 100]))]);
    let path = Saver::new().save(&session, at("good"), None).unwrap();
    let good = fs::read(&path).unwrap();
    let told = |name: &str, bytes: &[u8]| {
        fs::write(at(name), bytes).unwrap();
        let error = Saver::new().restore(&session, at(name)).unwrap_err().to_string();
        let prefix = format!("{}: ", at(name).display());
        error.strip_prefix(&prefix).unwrap_or_else(|| panic!("{error} does not name the file")).to_owned()
    };
    let absent = Saver::new().restore(&session, at("absent")).unwrap_err();
    assert!(absent.is_not_found() && absent.to_string().contains("absent: cannot read it: "), "{absent}");
    assert!(told("empty", b"").starts_with("this is not a dormouse file: it is empty;"));
    assert!(told("text", b"hello, this is text").starts_with("this is not a dormouse file;"));
    let short = told("short", &good[..300]);
    assert!(short.starts_with(&format!("it is cut short: 300 of its {} bytes are there;", good.len())), "{short}");
    let mut changed = good.clone();
    let last = changed.len() - 600;
    changed[last] ^= 1;
    assert!(told("changed", &changed).contains("is damaged: its check sum is wrong; copy the file again"));
    let mut newer = good.clone();
    newer[8] = 9;
    let newer = told("newer", &newer);
    assert!(newer.starts_with("it has format version 9, and this dormouse reads up to 1;"), "{newer}");
    let graph = load_graph(&path).unwrap_err().to_string();
    assert!(graph.contains("it holds no graph; it holds variables, values and random counters;"), "{graph}");
    assert_eq!(value(&session, "v"), [1.0; 100]);
}

#[test]
fn many_may_save_to_one_path_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    let (_graph, _, session) = session_of(&[("v", Value::from(vec![1.0_f32; 5000]))]);
    Saver::new().save(&session, &path, None).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    Saver::new().save(&session, &path, None).unwrap();
                    assert_eq!(Checkpoint::load(&path).unwrap().variables().len(), 1);
                }
            });
        }
    });
    assert_eq!(names(folder.path()), ["checkpoint", "model"]);
}
