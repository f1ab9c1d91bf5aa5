//! An operation of one's own, all in this file: the Mexican hat, (1 − x²) · exp(−x²/2). It is computed, differentiated,
//! saved, loaded by name, and plotted.
//!
//! `cargo run --release --example custom_op`

#![allow(clippy::print_stdout, reason = "an example prints")]

use std::path::PathBuf;
use std::sync::Arc;

use dormouse::graph::{CustomOp, Differentiated, Fact, register_custom_op};
use dormouse::prelude::*;
use dormouse::value::ValueView;
use plotters::prelude::*;

#[derive(Debug)]
struct MexicanHat;

impl CustomOp for MexicanHat {
    fn name(&self) -> &'static str {
        "MexicanHat"
    }

    fn infer(&self, operands: &[Fact]) -> Result<Vec<Fact>, String> {
        match operands {
            [x] if x.dtype == DType::F32 => Ok(vec![x.clone()]),
            _ => Err("takes one operand, of f32".to_owned()),
        }
    }

    fn compute(&self, operands: &[ValueView<'_>]) -> Result<Vec<Value>, String> {
        let ValueView::F32(x) = &operands[0] else { return Err("takes f32".to_owned()) };
        Ok(vec![x.mapv(|x| (1.0 - x * x) * (-x * x / 2.0).exp()).into()])
    }

    // d/dx (1 − x²) · exp(−x²/2) = (x³ − 3x) · exp(−x²/2)
    fn gradient(&self, node: &Differentiated) -> Option<Vec<Option<Tensor>>> {
        let (x, dy) = (node.operands[0], node.upstream[0]?);
        Some(vec![Some(dy * (x.pow(3.0) - 3.0 * x) * (x.square() * -0.5).exp())])
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F32, shape![?]).named("x");
    let y = graph.apply_custom(MexicanHat, &[x]).named("hat");
    let [slope] = gradients(y, [x]);
    let _ = slope.named("slope");

    // A file holds it by name and version; the program that loads it says what the name means.
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("hat.graph");
    save_graph(&graph, &file)?;
    register_custom_op("MexicanHat", 1, |_| Ok(Arc::new(MexicanHat)));
    let loaded = load_graph(&file)?;

    let points: Vec<f32> = (0..=160).map(|i| i as f32 / 20.0 - 4.0).collect();
    let session = Session::new(&loaded)?;
    let (hat, slope) = session.run(("hat", "slope"), feeds!["x" => &points])?;
    let (hat, slope) = (hat.to_vec::<f32>()?, slope.to_vec::<f32>()?);
    println!("the hat at 0: {}, at 1: {}; its slope at 0: {}", hat[80], hat[100], slope[80]);
    assert_eq!((hat[80], hat[100], slope[80]), (1.0, 0.0, 0.0));

    let picture = std::env::args().nth(1).map_or_else(|| std::env::temp_dir().join("mexican_hat.svg"), PathBuf::from);
    let area = SVGBackend::new(&picture, (800, 480)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area).margin(20).build_cartesian_2d(-4.0_f32..4.0, -1.6_f32..1.6)?;
    for (numbers, color) in [(&hat, &BLUE), (&slope, &RED)] {
        chart.draw_series(LineSeries::new(points.iter().copied().zip(numbers.iter().copied()), color))?;
    }
    area.present()?;
    println!("the hat (blue) and its slope (red) are in {}", picture.display());
    Ok(())
}
