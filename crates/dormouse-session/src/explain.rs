//! Explanations: what a request is compiled to, as text for people.

use std::fmt::Write as _;

use dormouse_graph::Frozen;
use dormouse_kernels::Loop;

use crate::error::Result;
use crate::feed::IntoFeeds;
use crate::fetch::{Fetches, Targets};
use crate::plan::{Location, Plan};
use crate::program::{Action, Instruction, Origin, Program, ValueId};
use crate::session::Session;

impl Session {
    /// What a run with these fetches and feeds is compiled to: the program before and after each pass that changed it,
    /// then the steps of the plan, with where they lie, how many tiles they make, and what they are taken to cost.
    ///
    /// Nothing is run. The text is for people and changes between versions.
    ///
    /// # Errors
    /// As [`Session::run`], but for what only the numbers tell.
    pub fn explain<'a, F: Fetches>(&self, fetches: F, feeds: impl IntoFeeds<'a>) -> Result<String> {
        let mut targets = Targets::default();
        fetches.resolve(&mut targets);
        self.inner.explain(&targets.0, feeds.into_feeds())
    }
}

/// A program, one instruction a line.
pub(crate) fn program(graph: &Frozen, program: &Program) -> String {
    let mut text = String::new();
    for instruction in &program.instructions {
        let operands: Vec<String> = instruction.operands.iter().map(|v| value(graph, program, *v)).collect();
        let results: Vec<String> =
            instruction.results.iter().map(|v| format!("%{} {}", v.0, program.spec(*v))).collect();
        let name = graph.node(instruction.node).map_or("?", |n| &n.name);
        let _ = writeln!(text, "  {} = {}({})  # {name}", results.join(", "), action(instruction), operands.join(", "));
    }
    for (variable, written) in &program.commits {
        let name = graph.variable_name(*variable).unwrap_or("?");
        let _ = writeln!(text, "  {name} ← {}", value(graph, program, *written));
    }
    let results: Vec<String> = program.results.iter().map(|v| value(graph, program, *v)).collect();
    let _ = writeln!(text, "  return {}", results.join(", "));
    text
}

fn action(instruction: &Instruction) -> String {
    match &instruction.action {
        Action::Op(op) => format!("{op:?}"),
        Action::Loop(body) => steps(body),
        Action::LoopReduction(body, reduce) => format!("{} reduced by {reduce:?}", steps(body)),
        Action::LoopColumns(body, columns) => {
            format!("{} columns reduced by {:?}", steps(body), columns.reduces.as_slice())
        }
        Action::Epilogue(both) => format!("{:?} then {}", both.op, steps(&both.body)),
        Action::LossGradient(around) => format!("{around:?}"),
        Action::SumRows { .. } => "SumRows".to_owned(),
        Action::UpdateRows(op) => format!("UpdateRows by {op:?}"),
        Action::Custom(custom) => custom.name().to_owned(),
        Action::Random { distribution, .. } => format!("{distribution:?}"),
    }
}

fn steps(body: &Loop) -> String {
    let steps: Vec<String> = body.steps.iter().map(|s| format!("{:?}", s.op)).collect();
    format!("loop[{}]", steps.join("; "))
}

fn value(graph: &Frozen, program: &Program, id: ValueId) -> String {
    match program.origin(id) {
        Origin::Feed(i) => format!("feed {i}"),
        Origin::Constant(c) => {
            let constant = &program.constants[c as usize];
            if constant.len() == 1 { format!("{constant}") } else { format!("constant {}", program.spec(id)) }
        }
        Origin::Variable(v) => graph.variable_name(v).unwrap_or("?").to_owned(),
        Origin::Computed => format!("%{}", id.0),
        Origin::Alias(of) => format!("{} as {:?}", value(graph, program, of), program.spec(id).dims.as_slice()),
    }
}

/// A plan, one step a line.
pub(crate) fn plan(graph: &Frozen, plan: &Plan) -> String {
    let mut text = String::new();
    let nanos: f64 = plan.steps.iter().map(|s| s.kernel.cost.nanos).sum();
    let flops: f64 = plan.steps.iter().map(|s| s.kernel.cost.flops).sum();
    let _ = writeln!(
        text,
        "{} steps on {} threads, {} of them in the tail; about {:.1} µs on one core, {:.3} GFLOP; an arena of {} bytes, {} of them in use at one time",
        plan.steps.len(),
        plan.threads,
        plan.tail.steps.len(),
        nanos / 1e3,
        flops / 1e9,
        plan.arena,
        plan.most
    );
    for (i, step) in plan.steps.iter().enumerate() {
        let slots = &plan.slots[step.first..step.first + step.inputs + step.outputs];
        let places = |slots: &[Location]| slots.iter().map(|l| place(graph, plan, *l)).collect::<Vec<_>>().join(", ");
        let (inputs, outputs) = slots.split_at(step.inputs);
        let name = graph.node(step.node).map_or("?", |n| &n.name);
        let _ = writeln!(
            text,
            "  {i:4} {:9.1} µs, tiles {:?}: {} → {}  # {name}",
            step.kernel.cost.nanos / 1e3,
            step.kernel.phases.as_slice(),
            places(inputs),
            places(outputs)
        );
    }
    text
}

fn place(graph: &Frozen, plan: &Plan, location: Location) -> String {
    match location {
        Location::Arena(offset) => format!("@{offset}"),
        Location::Feed(i) => format!("feed {i}"),
        Location::Constant(i) => format!("constant {i}"),
        Location::Variable(v) => graph.variable_name(v).unwrap_or("?").to_owned(),
        Location::Next(i) => {
            let commit = &plan.commits[i as usize];
            let how = if commit.in_place { "in place" } else { "anew" };
            format!("{} {how}", graph.variable_name(commit.variable).unwrap_or("?"))
        }
        Location::Result(i) => format!("result {i}"),
        Location::ShapeOnly => "shape".to_owned(),
    }
}
