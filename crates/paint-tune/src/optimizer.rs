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

    /// The gradient of every variable, summed over several backward passes in their order; a
    /// variable must be in one of them at least.
    pub(crate) fn summed_gradients(&self, stores: &[GradStore], step: u64) -> Result<Gradients> {
        let gradients = self.parameters.iter().map(|(name, parameter)| {
            let mut sum: Option<Tensor> = None;
            for gradient in stores
                .iter()
                .filter_map(|store| store.get(&parameter.theta))
            {
                sum = Some(match sum {
                    Some(sum) => (sum + gradient)?,
                    None => gradient.clone(),
                });
            }
            let sum = sum.ok_or_else(|| Error::NoGradient {
                tensor: name.clone(),
                step,
            })?;
            Ok((name.clone(), sum))
        });
        gradients.collect()
    }

    /// One step along the gradients, clipped.
    pub(crate) fn step(
        &mut self,
        gradients: &Gradients,
        learning_rate: f64,
        step: u64,
    ) -> Result<()> {
        let norm = global_norm(gradients)?;
        if !norm.is_finite() {
            return Err(Error::NotFinite {
                what: "the gradient's norm",
                value: norm,
                step,
            });
        }
        let scale = (self.clip_norm / (norm + 1e-6)).min(1.0);
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

fn global_norm(gradients: &Gradients) -> Result<f64> {
    let mut total = 0.0;
    for gradient in gradients.values() {
        total += f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?);
    }
    Ok(total.sqrt())
}
