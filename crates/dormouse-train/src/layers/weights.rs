//! Weights: what layers with a kernel have in common.

use std::fmt;
use std::sync::Arc;

use dormouse_graph::{Elementwise, GlorotUniform, Graph, Initializer, Nn, Tensor, Variable, Zeros};
use dormouse_value::DType;

use crate::layers::{Conv2d, Dense};
use crate::losses::REGULARIZATION_LOSSES;
use crate::regularizer::Regularizer;

/// What layers with a kernel have in common: how its variables start, what they cost, and what follows.
#[derive(Clone)]
pub(super) struct Weights {
    name: Option<String>,
    kernel: Option<Arc<dyn Initializer + Send + Sync>>,
    bias: Option<Arc<dyn Initializer + Send + Sync>>,
    biased: bool,
    regularizer: Option<Arc<dyn Regularizer + Send + Sync>>,
    activation: Option<fn(Tensor) -> Tensor>,
}

impl Weights {
    pub(super) fn new() -> Self {
        Weights { name: None, kernel: None, bias: None, biased: true, regularizer: None, activation: None }
    }

    /// Runs `f` in the layer's scope.
    #[track_caller]
    pub(super) fn scoped(&self, graph: &Graph, default: &str, f: impl FnOnce() -> Tensor) -> Tensor {
        graph.located(|| match &self.name {
            Some(name) => graph.scope(name, f),
            None => graph.default_scope(default, f),
        })
    }

    pub(super) fn kernel(&self, graph: &Graph, dims: &[usize], dtype: DType) -> Variable {
        let usual = GlorotUniform::default().dtype(dtype);
        let initializer = self.kernel.as_deref().map_or(Chosen(&usual), |i| Chosen(i));
        let kernel = graph.get_variable("kernel", dims, initializer);
        if let Some(penalty) = self.regularizer.as_ref().and_then(|r| r.penalty_of(kernel.value())) {
            graph.collect(REGULARIZATION_LOSSES, penalty);
        }
        kernel
    }

    /// What a layer gives of its product with the kernel: the bias added, the activation applied.
    pub(super) fn finish(&self, product: Tensor, channels: usize, dtype: DType) -> Tensor {
        let zeros = Zeros(dtype);
        let biased = if self.biased {
            let initializer = self.bias.as_deref().map_or(Chosen(&zeros), |i| Chosen(i));
            product.bias_add(product.graph().get_variable("bias", [channels], initializer))
        } else {
            product
        };
        self.activation.map_or(biased, |activation| activation(biased))
    }
}

impl fmt::Debug for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Weights")
            .field("name", &self.name)
            .field("biased", &self.biased)
            .field("regularizer", &self.regularizer.is_some())
            .field("activation", &self.activation.is_some())
            .finish_non_exhaustive()
    }
}

/// An initializer by reference.
struct Chosen<'a>(&'a dyn Initializer);

impl Initializer for Chosen<'_> {
    fn dtype(&self) -> DType {
        self.0.dtype()
    }

    #[track_caller]
    fn initial(&self, graph: &Graph, dims: &[usize]) -> Tensor {
        self.0.initial(graph, dims)
    }
}

/// The options that layers with a kernel share.
macro_rules! weights {
    ($($layer:ident),*) => { $(
        impl $layer {
            /// With variables in the scope `name`.
            #[must_use]
            pub fn named(mut self, name: &str) -> Self {
                self.weights.name = Some(name.to_owned());
                self
            }

            /// With a kernel that starts otherwise than by [`GlorotUniform`](dormouse_graph::GlorotUniform).
            #[must_use]
            pub fn kernel_initializer(mut self, initializer: impl Initializer + Send + Sync + 'static) -> Self {
                self.weights.kernel = Some(Arc::new(initializer));
                self
            }

            /// With a bias that starts otherwise than from 0.
            #[must_use]
            pub fn bias_initializer(mut self, initializer: impl Initializer + Send + Sync + 'static) -> Self {
                self.weights.bias = Some(Arc::new(initializer));
                self
            }

            /// Without a bias.
            #[must_use]
            pub fn without_bias(mut self) -> Self {
                self.weights.biased = false;
                self
            }

            /// With a kernel whose penalty is put into the collection `"regularization_losses"`.
            #[must_use]
            pub fn regularizer(mut self, regularizer: impl Regularizer + Send + Sync + 'static) -> Self {
                self.weights.regularizer = Some(Arc::new(regularizer));
                self
            }

            /// With a function of the result: `Tensor::tanh`.
            #[must_use]
            pub fn activation(mut self, activation: fn(Tensor) -> Tensor) -> Self {
                self.weights.activation = Some(activation);
                self
            }

            /// With max(x, 0) of the result.
            #[must_use]
            pub fn relu(self) -> Self {
                self.activation(|x| x.relu())
            }
        }
    )* };
}
weights!(Dense, Conv2d);
