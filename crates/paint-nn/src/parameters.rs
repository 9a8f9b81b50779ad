//! Operations with more parameters than the three inputs that candle's custom operations take.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, CustomOp3, Device, Layout, Result, Shape, Tensor};

use crate::slices::Values;

thread_local! {
    /// Where gradients of variables go during [`backward`].
    static COLLECTED: RefCell<Option<Vec<(Tensor, Tensor)>>> = const { RefCell::new(None) };
}

/// The gradients of every variable `loss` depends on, as `loss.backward()` gives them.
///
/// candle adds each gradient to zeros that it first makes; here the gradients of a
/// [`TransformerLayer`](crate::TransformerLayer)'s parameters go into the store as they are, unless
/// it was asked for one token.
///
/// # Errors
/// If an operation fails.
pub fn backward(loss: &Tensor) -> Result<GradStore> {
    /// Puts back what was collected outside, also if candle panics: otherwise an ordinary
    /// `backward` on this thread would lose its gradients to nobody.
    struct Restore(Option<Vec<(Tensor, Tensor)>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            COLLECTED.set(self.0.take());
        }
    }
    let restore = Restore(COLLECTED.replace(Some(Vec::new())));
    let mut grads = loss.backward()?;
    let collected = COLLECTED.take().unwrap_or_default();
    drop(restore);
    for (variable, grad) in collected {
        let sum = match grads.remove(&variable) {
            Some(other) => (other + grad)?,
            None => grad,
        };
        grads.insert(&variable, sum);
    }
    Ok(grads)
}

/// Puts a variable's gradient aside; false if nobody collects them.
fn collect(variable: &Tensor, grad: &Tensor) -> bool {
    COLLECTED.with_borrow_mut(|collected| match collected {
        Some(collected) => {
            collected.push((variable.clone(), grad.clone()));
            true
        }
        None => false,
    })
}

/// The way back for the gradients of many parameters.
///
/// candle sees the parameters as the inputs of [`Parameters::joined`], on which the operation
/// depends. The operation's backward pass comes first and leaves their gradients here, and the
/// backward passes of the joints hand them to candle.
#[derive(Clone)]
pub(crate) struct Parameters {
    tensors: Vec<Tensor>,
    grads: Arc<Mutex<Vec<Option<Tensor>>>>,
}

impl Parameters {
    pub(crate) fn new(tensors: Vec<Tensor>) -> Self {
        let grads = Arc::new(Mutex::new(vec![None; tensors.len()]));
        Self { tensors, grads }
    }

    /// Whether a gradient may be asked for.
    pub(crate) fn tracked(&self) -> bool {
        self.tensors.iter().any(Tensor::track_op)
    }

    pub(crate) fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// The values of every parameter.
    pub(crate) fn values(&self) -> Result<Vec<Values<'_>>> {
        self.tensors.iter().map(Values::of).collect()
    }

    /// A scalar that depends on all parameters.
    pub(crate) fn joined(&self) -> Result<Tensor> {
        let start = Tensor::new(0f32, &Device::Cpu)?;
        (0..self.tensors.len())
            .step_by(2)
            .try_fold(start, |joined, first| {
                let second = self.tensors.get(first + 1).unwrap_or(&joined);
                let joint = Joint {
                    first,
                    parameters: self.clone(),
                };
                joined.apply_op3(&self.tensors[first], second, joint)
            })
    }

    /// Leaves the gradient of parameter number `i`.
    pub(crate) fn leave(&self, i: usize, grad: Tensor) {
        let variable = &self.tensors[i];
        if !(variable.is_variable() && collect(variable, &grad)) {
            self.grads.lock().unwrap_or_else(PoisonError::into_inner)[i] = Some(grad);
        }
    }

    fn take(&self, i: usize) -> Option<Tensor> {
        let mut grads = self.grads.lock().unwrap_or_else(PoisonError::into_inner);
        grads.get_mut(i)?.take()
    }
}

/// Joins two more parameters to what is joined already.
struct Joint {
    first: usize,
    parameters: Parameters,
}

impl CustomOp3 for Joint {
    fn name(&self) -> &'static str {
        "paint-parameters"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(vec![0.0]), Shape::from(())))
    }

    fn bwd(
        &self,
        joined: &Tensor,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        // candle wants a gradient for everything between the result and a variable.
        let earlier = joined.track_op().then(|| grad.clone());
        let (first, second) = (
            self.parameters.take(self.first),
            self.parameters.take(self.first + 1),
        );
        Ok((earlier, first, second))
    }
}
