//! What is saved comes back: every dtype and shape, every kind of node, and the state of a session, to the bit.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "exemplars/graphs.rs"]
mod exemplars;

use dormouse_graph::{Frozen, Graph};
use dormouse_io::{Bundle, Checkpoint, Extras, Saver, Signature, decode_graph, encode_graph, load_graph, save_graph};
use dormouse_session::{Session, feeds};
use dormouse_value::{DType, Value, bf16, f16, shape};
use exemplars::{every_kind, training_step};

fn same(a: &Frozen, b: &Frozen) {
    assert_eq!(a.nodes(), b.nodes());
    assert_eq!(a.variables(), b.variables());
    assert_eq!(a.collections(), b.collections());
    assert_eq!((a.seed(), a.unseeded()), (b.seed(), b.unseeded()));
}

#[test]
fn graphs_of_every_kind_of_node_come_back_equal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.graph");
    for graph in [Graph::new(), every_kind(), training_step().0] {
        save_graph(&*graph, &path).unwrap();
        let back = load_graph(&path).unwrap();
        same(&graph.freeze().unwrap(), &back.freeze().unwrap());
        assert_eq!(encode_graph(&*back).unwrap(), std::fs::read(&path).unwrap());
    }
}

#[test]
fn a_loaded_graph_can_be_built_on() {
    let graph = every_kind();
    let back = decode_graph(&encode_graph(&*graph).unwrap()).unwrap();
    let x = back.tensor("scope/x").unwrap();
    assert_eq!(x.shape(), shape![?, 3]);
    let more = (x + 1.0).named("scope/x");
    assert_eq!(more.name(), "scope/x_1:0", "names of the file are taken");
    assert!(back.variable_named("scope/w").is_some());
    assert_eq!(back.variable_collection("weights"), [back.variable_named("scope/w").unwrap()]);
    back.check().unwrap();
    let session = Session::new(&back).unwrap();
    let value = session.run(more, feeds![x => [[1.0_f32, 2.0, 3.0]]]).unwrap();
    assert_eq!(value.to_vec::<f32>().unwrap(), [2.0, 3.0, 4.0]);
}

#[test]
fn mistakes_are_reported_instead_of_saved() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wrong.graph");
    let graph = Graph::new();
    let _ = graph.constant([1.0_f32, 2.0]) + graph.constant([1.0_f32, 2.0, 3.0]);
    let error = save_graph(&graph, &path).unwrap_err();
    assert_eq!(error.mistakes().unwrap().as_slice().len(), 1);
    assert!(error.to_string().contains("round_trip.rs"), "{error}");
    assert!(!path.exists());
}

#[test]
fn too_many_axes_are_told_when_saving() {
    let graph = Graph::new();
    let _ = graph.placeholder(DType::F32, dormouse_value::Shape::of_rank(65)).named("deep");
    let told = encode_graph(&graph).unwrap_err().to_string();
    assert!(told.contains("\"deep\"") && told.contains("65 axes"), "{told}");
}

#[test]
fn values_of_every_dtype_and_shape_come_back() {
    let shapes: [&[usize]; 8] = [&[], &[0], &[1], &[3], &[2, 0, 5], &[2, 3], &[1, 1, 1, 1, 1, 7], &[65, 33]];
    let graph = Graph::new();
    let mut sum = 0_u8;
    for dtype in DType::ALL {
        for dims in shapes {
            let count: usize = dims.iter().product();
            let bytes: Vec<u8> = (0..count * 8)
                .map(|_| {
                    sum = sum.wrapping_mul(73).wrapping_add(41);
                    sum
                })
                .collect();
            let words = || bytes.chunks_exact(8).map(|c| u64::from_le_bytes(c.try_into().unwrap()));
            // Any bits at all, quiet and signaling NaNs and subnormal numbers among them.
            let value = match dtype {
                DType::F32 => Value::from_elements(dims, words().map(|w| f32::from_bits(w as u32)).collect()),
                DType::F64 => Value::from_elements(dims, words().map(f64::from_bits).collect()),
                DType::I32 => Value::from_elements(dims, words().map(|w| w as i32).collect()),
                DType::I64 => Value::from_elements(dims, words().map(|w| w as i64).collect()),
                DType::U8 => Value::from_elements(dims, words().map(|w| w as u8).collect()),
                DType::Bool => Value::from_elements(dims, words().map(|w| w % 2 == 1).collect()),
                DType::F16 => Value::from_elements(dims, words().map(|w| f16::from_bits(w as u16)).collect()),
                DType::Bf16 => Value::from_elements(dims, words().map(|w| bf16::from_bits(w as u16)).collect()),
                DType::I8 => Value::from_elements(dims, words().map(|w| w as i8).collect()),
                DType::I16 => Value::from_elements(dims, words().map(|w| w as i16).collect()),
                DType::U16 => Value::from_elements(dims, words().map(|w| w as u16).collect()),
                DType::U32 => Value::from_elements(dims, words().map(|w| w as u32).collect()),
                DType::U64 => Value::from_elements(dims, words().collect()),
            };
            let _ = graph.variable(value.unwrap());
        }
    }
    let init = graph.initializer();
    let session = Session::new(&graph).unwrap();
    session.run(init, feeds![]).unwrap();
    let before = session.snapshot();
    assert_eq!(before.variables.len(), DType::ALL.len() * shapes.len());

    let folder = tempfile::tempdir().unwrap();
    let path = Saver::new().save(&session, folder.path().join("all"), None).unwrap();
    let fresh = Session::new(&graph).unwrap();
    let report = Saver::new().restore(&fresh, &path).unwrap();
    assert_eq!(report.restored.len(), before.variables.len());
    let bytes = |s: &dormouse_session::Snapshot| -> Vec<_> {
        let named = |(n, v): (&String, &Value)| (n.clone(), v.dims(), v.as_bytes().unwrap().to_vec());
        s.variables.iter().map(named).collect()
    };
    assert_eq!(bytes(&before), bytes(&fresh.snapshot()));
    assert_eq!(Checkpoint::load(&path).unwrap().step(), None);
}

#[test]
fn transposed_constants_are_saved_in_order() {
    let graph = Graph::new();
    let array = transposed();
    let _ = graph.constant(array.clone()).named("c");
    let back = decode_graph(&encode_graph(&graph).unwrap()).unwrap();
    let value = Session::new(&back).unwrap().run(back.tensor("c").unwrap(), feeds![]).unwrap();
    assert_eq!(value.to_vec::<i32>().unwrap(), array.to_vec::<i32>().unwrap());
    assert_eq!(value.shape(), [3, 2]);
}

fn transposed() -> Value {
    let array = Value::from([[1, 2, 3], [4, 5, 6]]);
    let array = array.array::<i32>().unwrap().clone();
    Value::I32(array.reversed_axes())
}

#[test]
fn a_bundle_goes_on_to_the_same_bits() {
    let (graph, step) = training_step();
    let session = Session::new(&graph).unwrap();
    session.run(step.init, feeds![]).unwrap();
    let batch = |i: usize| Value::from([[i as f32, 1.0, -0.5], [0.25, i as f32 * 0.5, 2.0]]);
    for i in 0..10 {
        session.run(step.train, feeds![step.x => batch(i)]).unwrap();
    }
    let signature = Signature::new().input("x", step.x).output("loss", step.loss).operation("train", step.train);
    let bytes = Bundle::builder(&session).signature("train", signature).step(step.count).unwrap().encode().unwrap();

    let bundle = Bundle::decode(&bytes).unwrap();
    assert_eq!(bundle.step(), Some(10));
    assert_eq!(bundle.session().snapshot(), session.snapshot());
    for i in 10..20 {
        let (loss, ()) = session.run((step.loss, step.train), feeds![step.x => batch(i)]).unwrap();
        let outputs = bundle.run("train", feeds!["x" => batch(i)]).unwrap();
        assert_eq!(outputs["loss"].as_bytes(), loss.as_bytes());
    }
    assert_eq!(bundle.session().snapshot(), session.snapshot(), "variables and random counters");

    let told = bundle.run("predict", ()).unwrap_err().to_string();
    assert_eq!(told, "there is no signature \"predict\"; there is \"train\"");
    let told = bundle.run("train", feeds!["y" => 1.0]).unwrap_err().to_string();
    assert_eq!(told, "there is no input \"y\" in signature \"train\"; there is \"x\"");
    let again = Bundle::builder(bundle.session()).step(None).unwrap().encode().unwrap();
    assert!(Bundle::decode(&again).unwrap().signatures().is_empty());
}

#[test]
fn extras_come_back_as_the_types_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let (graph, step) = training_step();
    let session = Session::new(&graph).unwrap();
    session.run(step.init, feeds![]).unwrap();
    let mut extras = Extras::new();
    extras.put("place", &(3_u64, "shuffled".to_owned(), [0.5_f32; 3])).unwrap();
    extras.put("nothing", &()).unwrap();
    let saver = Saver::new();
    let path = saver.save_with(&session, folder.path().join("m"), None, &extras).unwrap();
    let back = saver.restore(&session, &path).unwrap().extras;
    assert_eq!(back, extras);
    assert_eq!(back.get::<(u64, String, [f32; 3])>("place").unwrap(), (3, "shuffled".to_owned(), [0.5; 3]));
    back.get::<()>("nothing").unwrap();
    assert_eq!(back.names().collect::<Vec<_>>(), ["nothing", "place"]);
    let told = back.get::<u64>("places").unwrap_err().to_string();
    assert_eq!(told, "there is no extra \"places\"; there is \"nothing\" and \"place\"");
    let told = back.get::<u64>("place").unwrap_err().to_string();
    assert!(told.starts_with("extra \"place\" is of another type than asked for: "), "{told}");

    let bundle_path = folder.path().join("b");
    Bundle::builder(&session).extras(extras.clone()).save(&bundle_path).unwrap();
    let mut bundle = Bundle::load(&bundle_path).unwrap();
    assert_eq!(*bundle.extras(), extras);
    bundle.extras_mut().put("place", &4_u64).unwrap();
    bundle.save(&bundle_path, None).unwrap();
    assert_eq!(Checkpoint::load(&bundle_path).unwrap().extras().get::<u64>("place").unwrap(), 4);
}
