//! Every format version's files load forever. Golden files are written once, by the release that introduces a version
//! (`DORMOUSE_WRITE_GOLDEN=1 cargo test -p dormouse-io --test golden` writes those that are missing), and never again.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "exemplars/graphs.rs"]
mod exemplars;

use std::fs;
use std::path::{Path, PathBuf};

use dormouse_graph::{NodeKind, OwnedGraph};
use dormouse_io::{Bundle, Checkpoint, Saver, Signature, encode_graph, load_graph};
use dormouse_session::{Session, feeds};
use dormouse_value::{DType, Value, shape};
use exemplars::{Step, every_kind, training_step};

fn golden(name: &str, write: impl FnOnce() -> Vec<u8>) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if !path.exists() && std::env::var_os("DORMOUSE_WRITE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, write()).unwrap();
    }
    path
}

fn batch() -> Value {
    Value::from([[1.0_f32, -2.0, 0.5], [0.25, 4.0, 2.0]])
}

/// The same number by number but for what a later release may round otherwise.
fn close(a: &Value, b: &Value) {
    assert_eq!((a.dtype(), a.shape()), (b.dtype(), b.shape()));
    if a.dtype() == DType::F32 {
        let pairs = a.to_vec::<f32>().unwrap().into_iter().zip(b.to_vec::<f32>().unwrap());
        pairs.for_each(|(a, b)| assert!((a - b).abs() <= 1e-4 * (1.0 + b.abs()), "{a} and {b}"));
    } else {
        assert_eq!(a, b);
    }
}

/// The training step after five runs.
fn trained() -> (OwnedGraph, Step, Session) {
    let (graph, step) = training_step();
    let session = Session::new(&graph).unwrap();
    session.run(step.init, feeds![]).unwrap();
    for _ in 0..5 {
        session.run(step.train, feeds![step.x => batch()]).unwrap();
    }
    (graph, step, session)
}

#[test]
fn graphs_of_version_1() {
    let graph = load_graph(golden("1.graph", || encode_graph(&every_kind()).unwrap())).unwrap();
    let frozen = graph.freeze().unwrap();
    frozen.verify().unwrap();
    let kinds: std::collections::HashSet<_> = frozen.nodes().iter().map(|n| std::mem::discriminant(&n.kind)).collect();
    assert_eq!(kinds.len(), 10, "every kind of node but a mistake");
    assert!(frozen.nodes().iter().any(|n| n.kind == NodeKind::Group && &*n.name == "scope/all"));
    let x = graph.tensor("scope/x").unwrap();
    assert_eq!((x.dtype(), x.shape()), (DType::F32, shape![?, 3]));
    assert_eq!(graph.variables().len(), 2);
    assert_eq!(graph.collection("outputs").len(), 2);
    assert_eq!(frozen.seed(), Some(7));
    assert!(frozen.nodes().iter().any(|n| n.source.file.ends_with("graphs.rs") && n.source.line > 0));
}

#[test]
fn checkpoints_of_version_1() {
    let path = golden("1.checkpoint", || {
        let folder = tempfile::tempdir().unwrap();
        let (_graph, step, session) = trained();
        fs::read(Saver::new().save(&session, folder.path().join("m"), step.count).unwrap()).unwrap()
    });
    let checkpoint = Checkpoint::load(&path).unwrap();
    assert_eq!(checkpoint.step(), Some(5));
    assert_eq!(checkpoint.variables().keys().collect::<Vec<_>>(), ["global_step", "w", "w/Momentum"]);
    assert_eq!(checkpoint.counters().len(), 2);
    let (_graph, _, session) = trained();
    for (name, value) in session.snapshot().variables {
        close(&checkpoint.variables()[&name], &value);
    }
}

#[test]
fn bundles_of_version_1() {
    let path = golden("1.bundle", || {
        let (_graph, step, session) = trained();
        let signature = Signature::new().input("x", step.x).output("loss", step.loss).operation("train", step.train);
        Bundle::builder(&session).signature("train", signature).step(step.count).unwrap().encode().unwrap()
    });
    let bundle = Bundle::load(path).unwrap();
    assert_eq!(bundle.step(), Some(5));
    let (_graph, step, session) = trained();
    let (loss, ()) = session.run((step.loss, step.train), feeds![step.x => batch()]).unwrap();
    let outputs = bundle.run("train", feeds!["x" => batch()]).unwrap();
    close(&outputs["loss"], &loss);
    assert_eq!(bundle.session().snapshot().counters, session.snapshot().counters);
}
