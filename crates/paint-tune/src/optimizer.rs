//! AdamW over named variables, with clipping of the global gradient norm.

use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use paint_nn::{AdamW, AdamWState};

use crate::{Error, Result};

/// The variables that learn, with their moments.
pub(crate) struct Optimizer {
    pub(crate) parameters: BTreeMap<String, Parameter>,
    weight_decay: f64,
    clip_norm: f64,
}

pub(crate) struct Parameter {
    pub(crate) theta: Var,
    pub(crate) moments: AdamWState,
}

impl Optimizer {
    /// Variables with the values of `tensors`, none of which is changed.
    pub(crate) fn new<'a>(
        tensors: impl IntoIterator<Item = (&'a String, &'a Tensor)>,
        weight_decay: f64,
        clip_norm: f64,
    ) -> Result<Self> {
        let parameters = tensors
            .into_iter()
            .map(|(name, tensor)| {
                let theta = Var::from_tensor(tensor)?;
                let moments = AdamWState::zeros(tensor.elem_count());
                Ok((name.clone(), Parameter { theta, moments }))
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            parameters,
            weight_decay,
            clip_norm,
        })
    }

    /// The gradient of every variable.
    pub(crate) fn gradients(&self, store: &GradStore, step: u64) -> Result<Gradients> {
        let gradients =
            self.parameters
                .iter()
                .map(|(name, parameter)| match store.get(&parameter.theta) {
                    Some(gradient) => Ok((name.clone(), gradient.clone())),
                    None => Err(Error::NoGradient {
                        tensor: name.clone(),
                        step,
                    }),
                });
        gradients.collect()
    }

    /// One step along `gradients / n_parts`, clipped.
    pub(crate) fn step(
        &mut self,
        gradients: &Gradients,
        n_parts: usize,
        learning_rate: f64,
        step: u64,
    ) -> Result<()> {
        let mean = 1.0 / n_parts as f64;
        let norm = global_norm(gradients)? * mean;
        if !norm.is_finite() {
            return Err(Error::NotFinite {
                what: "the gradient's norm",
                value: norm,
                step,
            });
        }
        let scale = mean * (self.clip_norm / (norm + 1e-6)).min(1.0);
        for (name, parameter) in &mut self.parameters {
            // Biases, norms, the class token and the temperature are vectors or scalars:
            // shrinking them has no meaning.
            let decays = parameter.theta.rank() >= 2;
            let adamw = AdamW {
                learning_rate,
                beta1: 0.9,
                beta2: 0.98,
                eps: 1e-6,
                weight_decay: if decays { self.weight_decay } else { 0.0 },
            };
            let gradient = &gradients[name];
            adamw.step(
                &parameter.theta,
                gradient,
                scale,
                &mut parameter.moments,
                step,
            )?;
        }
        Ok(())
    }
}

/// Gradients by tensor name.
pub(crate) type Gradients = BTreeMap<String, Tensor>;

/// Adds `more` to `sum`, name by name.
pub(crate) fn accumulate(sum: Option<Gradients>, more: Gradients) -> Result<Gradients> {
    let Some(mut sum) = sum else { return Ok(more) };
    for (name, gradient) in more {
        if let Some(total) = sum.get_mut(&name) {
            *total = (&*total + gradient)?;
        }
    }
    Ok(sum)
}

fn global_norm(gradients: &Gradients) -> Result<f64> {
    let mut total = 0.0;
    for gradient in gradients.values() {
        total += f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?);
    }
    Ok(total.sqrt())
}
