//! Files that were changed, made up, or made to hurt: an error or a verified graph, never a panic, never an allocation
//! that the file does not back. Most changes put the check sums right again, so that the readers behind them are tried.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "hostile/allocator.rs"]
mod allocator;
#[path = "exemplars/graphs.rs"]
mod exemplars;
#[path = "hostile/mutate.rs"]
mod mutate;

use allocator::peak_of;
use dormouse_graph::{Array, Frozen, Graph, Normal, OwnedGraph};
use dormouse_io::{Bundle, Checkpoint, Extras, Matching, Result, Saver, Signature, decode_graph, encode_graph};
use dormouse_session::{Session, feeds};
use dormouse_value::{DType, Shape, Value, shape};
use exemplars::{every_kind, training_step};
use mutate::{Parts, mutated};
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

const MUTATIONS: u64 = 10_000;

/// What reading may allocate at once: a multiple of the file, and what the process keeps of every graph it ever had.
fn allowed(bytes: &[u8]) -> usize {
    (bytes.len() + 1024) * 64
}

/// Reads, and says whether it worked; of every error the message is made.
fn tried<T>(bytes: &[u8], read: impl FnOnce(&[u8]) -> Result<T>) -> Option<T> {
    let (peak, outcome) = peak_of(|| read(bytes));
    assert!(peak <= allowed(bytes), "{peak} bytes at once for a file of {}", bytes.len());
    outcome.map_err(|error| assert!(!error.to_string().is_empty())).ok()
}

fn trained() -> (OwnedGraph, exemplars::Step, Session) {
    let (graph, step) = training_step();
    let session = Session::new(&graph).unwrap();
    session.run(step.init, feeds![]).unwrap();
    session.run(step.train, feeds![step.x => [[1.0_f32, 2.0, 3.0]]]).unwrap();
    (graph, step, session)
}

fn graph_files() -> Vec<Vec<u8>> {
    vec![
        encode_graph(&every_kind()).unwrap(),
        encode_graph(&training_step().0).unwrap(),
        encode_graph(&operations()).unwrap(),
    ]
}

/// Operations with every sort of attribute.
fn operations() -> OwnedGraph {
    use dormouse_graph::{Conv2d, Elementwise, Nn, Reduction, keep_dims};
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![2, 3, 4]).named("x");
    let i = graph.placeholder(DType::I64, shape![5]);
    let image = graph.placeholder(DType::F32, shape![1, 8, 8, 2]);
    let filter = graph.variable(graph.random(&[3, 3, 2, 4], Normal::new(0.1)));
    let _ = x.reshape([-1, 6]).transpose();
    let _ = x.sum_over(keep_dims([0, -1]));
    let _ = x.gather(i).check_numerics("gathered");
    let _ = x.expand_dims(1).squeeze();
    let _ = image.conv2d(filter, Conv2d::default()).relu();
    let _ = x.softmax();
    graph.check().unwrap_or_else(|mistakes| panic!("{mistakes}"));
    graph
}

fn checkpoint_file() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let (_graph, step, session) = trained();
    std::fs::read(Saver::new().save(&session, folder.path().join("m"), step.count).unwrap()).unwrap()
}

fn bundle_file() -> Vec<u8> {
    let (_graph, step, session) = trained();
    let signature = Signature::new().input("x", step.x).output("loss", step.loss).operation("train", step.train);
    let mut extras = Extras::new();
    extras.put("place", &(1_u64, vec![2_u32, 3])).unwrap();
    Bundle::builder(&session).signature("train", signature).extras(extras).step(step.count).unwrap().encode().unwrap()
}

/// A graph that came out of a reader is whole: it can be checked, run, saved, and built on.
fn check_graph(graph: &Graph) -> Frozen {
    graph.check().unwrap();
    let frozen = graph.freeze().unwrap();
    frozen.verify().unwrap();
    Session::new(graph).unwrap();
    encode_graph(graph).unwrap();
    let _ = graph.constant(1.0_f32) + 1.0;
    frozen
}

#[test]
fn ten_thousand_changed_graphs() {
    let files = graph_files();
    let others = [checkpoint_file(), bundle_file()];
    let mut random = StdRng::seed_from_u64(1);
    let (mut whole, mut deep) = (0, 0);
    for i in 0..MUTATIONS {
        let base = &files[(i % files.len() as u64) as usize];
        let bytes = mutated(base, &others, &mut random);
        deep += u64::from(Parts::of(&bytes).is_some_and(|parts| parts.to_bytes() == bytes));
        if let Some(graph) = tried(&bytes, decode_graph) {
            whole += 1;
            check_graph(&graph);
        }
    }
    assert!(deep > MUTATIONS / 2 && whole > 100, "{deep} reached the records, {whole} could be read");
}

#[test]
fn ten_thousand_changed_checkpoints() {
    let base = checkpoint_file();
    let others = [bundle_file()];
    let (_graph, _, session) = trained();
    let saver = Saver::new().matching(Matching::Partial);
    let mut random = StdRng::seed_from_u64(2);
    let (mut whole, mut deep) = (0, 0);
    for _ in 0..MUTATIONS {
        let bytes = mutated(&base, &others, &mut random);
        deep += u64::from(Parts::of(&bytes).is_some_and(|parts| parts.to_bytes() == bytes));
        if let Some(checkpoint) = tried(&bytes, Checkpoint::decode) {
            whole += 1;
            saver.restore_from(&session, checkpoint).unwrap();
        }
    }
    assert!(deep > MUTATIONS / 2 && whole > 100, "{deep} reached the records, {whole} could be read");
}

#[test]
fn ten_thousand_changed_bundles() {
    let base = bundle_file();
    let others = [checkpoint_file(), graph_files().swap_remove(0)];
    let mut random = StdRng::seed_from_u64(3);
    let (mut whole, mut deep) = (0, 0);
    for _ in 0..MUTATIONS {
        let bytes = mutated(&base, &others, &mut random);
        deep += u64::from(Parts::of(&bytes).is_some_and(|parts| parts.to_bytes() == bytes));
        if let Some(bundle) = tried(&bytes, Bundle::decode) {
            whole += 1;
            check_graph(bundle.graph());
            for name in bundle.extras().names() {
                let _ = bundle.extras().get::<(u64, Vec<u32>)>(name);
            }
            Bundle::builder(bundle.session()).encode().unwrap();
        }
    }
    assert!(deep > MUTATIONS / 2 && whole > 100, "{deep} reached the records, {whole} could be read");
}

#[test]
fn every_truncation_is_told() {
    for bytes in [graph_files().swap_remove(0), checkpoint_file(), bundle_file()] {
        for len in 0..bytes.len() {
            let told = Bundle::decode(&bytes[..len]).unwrap_err();
            assert!(told.is_damaged(), "{len} bytes: {told}");
        }
    }
}

#[test]
fn operands_without_end_take_a_multiple_of_their_bytes() {
    let graph = Graph::new();
    let deep = graph.placeholder(DType::F32, Shape::of_rank(64));
    let many = vec![deep; 20_000];
    let _ = graph.apply(dormouse_value::Op::AddN, &many);
    graph.check().unwrap();
    let bytes = encode_graph(&graph).unwrap();
    let (peak, graph) = peak_of(|| decode_graph(&bytes).unwrap());
    assert_eq!(graph.len(), 2);
    // Each operand is two bytes, and its 64 extents are 16 bytes each, cloned for inference twice at the most.
    assert!(peak <= bytes.len() * 1200, "{peak} bytes at once for a file of {}", bytes.len());
}

#[test]
fn shapes_that_double_are_stopped() {
    let graph = Graph::new();
    let mut x = graph.placeholder(DType::I64, shape![1, 1]);
    for _ in 0..8 {
        x = x.gather(x);
    }
    graph.check().unwrap();
    let told = encode_graph(&graph).unwrap_err().to_string();
    assert!(told.contains("files hold 64 at most"), "{told}");
}

#[test]
fn arrays_without_elements_may_have_any_extents() {
    let graph = Graph::new();
    let _ = graph.constant(Value::zeros(DType::F64, &[1 << 40, 0, 3])).named("c");
    let back = decode_graph(&encode_graph(&graph).unwrap()).unwrap();
    assert_eq!(back.tensor("c").unwrap().shape(), shape![1_usize << 40, 0, 3]);
}

#[test]
fn claims_of_2_to_the_60_are_told() {
    // A variable's extents, as a checkpoint has them: the record is replaced by one with a length of eight bytes.
    let bytes = checkpoint_file();
    let mut parts = Parts::of(&bytes).unwrap();
    let variables = parts.payload(*b"VARS").unwrap();
    let at = variables.windows(4).position(|w| w == [b'w', 0, 2, 3]).unwrap() + 3;
    variables.splice(at..=at, [253, 0, 0, 0, 0, 0, 0, 0, 0x10]);
    let told = Checkpoint::decode(&parts.to_bytes()).unwrap_err().to_string();
    assert!(told.contains("\"w\": f32 [1152921504606846976, 4]"), "{told}");

    for (tag, at) in [(*b"GRPH", 0), (*b"VARS", 0), (*b"VARS", 1), (*b"RAND", 0), (*b"SIGN", 0), (*b"GRPH", 1)] {
        let bytes = bundle_file();
        let mut parts = Parts::of(&bytes).unwrap();
        parts.payload(tag).unwrap().splice(at..=at, [253, 0, 0, 0, 0, 0, 0, 0, 0x10]);
        let bytes = parts.to_bytes();
        assert!(tried(&bytes, Bundle::decode).is_none(), "{tag:?} {at}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_at_all(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert!(tried(&bytes, decode_graph).is_none());
        prop_assert!(tried(&bytes, Checkpoint::decode).is_none());
        prop_assert!(tried(&bytes, Bundle::decode).is_none());
    }

    #[test]
    fn any_payloads_with_right_sums(payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 7)) {
        let tags = [*b"GRPH", *b"CNST", *b"VARS", *b"VALS", *b"RAND", *b"STEP", *b"SIGN"];
        let bytes = Parts(tags.into_iter().zip(payloads).collect()).to_bytes();
        if let Some(graph) = tried(&bytes, decode_graph) {
            check_graph(&graph);
        }
        tried(&bytes, Checkpoint::decode);
        tried(&bytes, Bundle::decode);
    }
}
