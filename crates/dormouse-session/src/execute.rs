//! Executing a plan: pointers for places, kernels one after the other, and at the end results and new variables, all or
//! nothing.

use std::sync::Arc;

use dormouse_graph::Frozen;
use dormouse_kernels::{Args, Spec};
use dormouse_value::{Value, with_dtype};
use smallvec::SmallVec;

use crate::buffer::{Buffer, value_of};
use crate::error::{Kind, Result};
use crate::lower::place;
use crate::plan::{Location, Plan};
use crate::store::{Store, Visit};

/// Runs a plan. `feeds` are the bytes of the fed arrays, in the plan's order, row-major and of the plan's specs; the arena
/// has at least the plan's bytes.
///
/// # Errors
/// An uninitialized variable or what a kernel says; no variable has changed then, and no random number is used up.
pub(crate) fn execute(
    graph: &Frozen,
    plan: &Plan,
    store: &Store,
    feeds: &[*const u8],
    arena: &Buffer,
) -> Result<Vec<Value>> {
    let mut visit = store.enter(&plan.writes);
    if let Some(variable) = plan.reads.iter().find(|v| visit.table()[v.index()].is_none()) {
        let name = graph.variable_name(*variable).unwrap_or("?").to_owned();
        return Err(Kind::Uninitialized { name }.into());
    }
    let reserved: SmallVec<[u64; 8]> =
        plan.draws.iter().map(|(generator, blocks)| store.reserve(*generator, *blocks)).collect();
    let counters: SmallVec<[[u8; 16]; 8]> = reserved.iter().map(|first| u128::from(*first).to_le_bytes()).collect();
    let places = Places { plan, visit: &visit, feeds, arena, counters: &counters };
    let outcome = run_steps(graph, &places).and_then(|()| {
        let results = plan.results.iter().map(|(location, spec)| places.value(*location, spec)).collect();
        let mut buffers = Vec::with_capacity(plan.commits.len());
        for (variable, (location, spec)) in plan.writes.iter().zip(&plan.commits) {
            let buffer = store.spare(*variable, spec.bytes())?;
            // SAFETY: the spare is this run's alone, has as many bytes, and overlaps no buffer that is read.
            unsafe { std::ptr::copy_nonoverlapping(places.pointer(*location), buffer.as_ptr(), spec.bytes()) };
            buffers.push((*variable, buffer));
        }
        Ok((results, buffers))
    });
    match outcome {
        Ok((results, buffers)) => {
            if !buffers.is_empty() {
                visit.commit(buffers.into_iter());
            }
            Ok(results)
        }
        Err(error) => {
            for ((generator, blocks), first) in plan.draws.iter().zip(&reserved) {
                store.give_back(*generator, *first, *blocks);
            }
            Err(error)
        }
    }
}

/// What the places of a plan are in one run.
struct Places<'a> {
    plan: &'a Plan,
    visit: &'a Visit<'a>,
    feeds: &'a [*const u8],
    arena: &'a Buffer,
    counters: &'a [[u8; 16]],
}

impl Places<'_> {
    fn pointer(&self, location: Location) -> *mut u8 {
        match location {
            Location::Arena(offset) => self.arena.as_ptr().wrapping_add(offset),
            Location::Feed(i) => self.feeds[i as usize].cast_mut(),
            Location::Constant(i) => {
                let bytes = self.plan.constants[i as usize].as_bytes();
                bytes.expect("constants are kept in row-major order").as_ptr().cast_mut()
            }
            Location::Variable(v) => {
                let buffer: &Option<Arc<Buffer>> = &self.visit.table()[v.index()];
                buffer.as_ref().expect("variables are initialized, as was checked").as_ptr()
            }
            Location::Counter(i) => self.counters[i as usize].as_ptr().cast_mut(),
            Location::ShapeOnly => std::ptr::NonNull::<u64>::dangling().as_ptr().cast(),
        }
    }

    /// The numbers at a place, copied.
    #[allow(clippy::cast_ptr_alignment, reason = "places are aligned to their elements")]
    fn value(&self, location: Location, spec: &Spec) -> Value {
        let pointer = self.pointer(location);
        with_dtype!(spec.dtype, T => {
            // SAFETY: the place holds the spec's elements, written by now, and is aligned to their type: arenas and
            // variables to a cache line, feeds and constants as arrays of the type.
            let elements = unsafe { std::slice::from_raw_parts(pointer.cast::<T>(), spec.len()) };
            value_of::<T>(&spec.dims, elements.to_vec())
        })
    }
}

/// Runs the kernels. Instructions are in the order of their nodes, so the first failure is that of the lowest node.
fn run_steps(graph: &Frozen, places: &Places<'_>) -> Result<()> {
    for step in &places.plan.steps {
        let inputs: SmallVec<[*const u8; 8]> = step.inputs.iter().map(|l| places.pointer(*l).cast_const()).collect();
        let outputs: SmallVec<[*mut u8; 2]> = step.outputs.iter().map(|l| places.pointer(*l)).collect();
        let args = Args {
            inputs: &inputs,
            outputs: &outputs,
            shared: places.pointer(Location::Arena(step.shared)),
            local: places.pointer(Location::Arena(places.plan.local)),
        };
        for (phase, &tiles) in step.kernel.phases.iter().enumerate() {
            for tile in 0..tiles {
                // SAFETY: the plan compiled the kernel for these specs and gave each live value a place of its own;
                // phases and tiles run one after the other.
                let outcome = unsafe { step.kernel.body.run(&args, phase, tile) };
                outcome.map_err(|e| Kind::Node { place: place(graph, step.node), message: e.to_string() })?;
            }
        }
    }
    Ok(())
}
