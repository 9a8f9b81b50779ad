//! AdamW over named variables, or Muon for the matrices of the layers, with clipping of the
//! global gradient norm.

use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use paint_nn::{AdamW, AdamWState, Muon};
use rayon::prelude::*;

use crate::{Error, Result};

/// The variables that learn, with their moments.
pub(crate) struct Optimizer {
    pub(crate) parameters: BTreeMap<String, Parameter>,
    weight_decay: f64,
    clip_norm: f64,
    /// Muon's learning rate by AdamW's.
    muon_rate: f64,
}

pub(crate) struct Parameter {
    pub(crate) theta: Var,
    pub(crate) moments: Moments,
}

/// What an optimiser remembers of a parameter's gradients.
pub(crate) enum Moments {
    AdamW(AdamWState),
    Muon(Vec<f32>),
}

impl Moments {
    /// The arrays by their names in a state file, each with as many values as the parameter.
    pub(crate) fn arrays(&self) -> Vec<(&'static str, &[f32])> {
        match self {
            Self::AdamW(AdamWState { m, v }) => vec![("m", m), ("v", v)],
            Self::Muon(momentum) => vec![("momentum", momentum)],
        }
    }

    /// As [`arrays`](Self::arrays), to be replaced.
    pub(crate) fn arrays_mut(&mut self) -> Vec<(&'static str, &mut Vec<f32>)> {
        match self {
            Self::AdamW(AdamWState { m, v }) => vec![("m", m), ("v", v)],
            Self::Muon(momentum) => vec![("momentum", momentum)],
        }
    }
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
                let moments = Moments::AdamW(AdamWState::zeros(tensor.elem_count()));
                Ok((name.clone(), Parameter { theta, moments }))
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            parameters,
            weight_decay,
            clip_norm,
            muon_rate: 0.0,
        })
    }

    /// Gives the matrices of the towers' layers to Muon, at `rate` times AdamW's learning rate.
    /// Embeddings, positions and the projections at the ends stay with AdamW, as Muon's authors
    /// advise.
    pub(crate) fn with_muon(mut self, rate: f64) -> Self {
        self.muon_rate = rate;
        for (name, parameter) in &mut self.parameters {
            if name.contains(".layers.") && parameter.theta.rank() == 2 {
                parameter.moments = Moments::Muon(vec![0.0; parameter.theta.elem_count()]);
            }
        }
        self
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
        let muon = Muon {
            learning_rate: self.muon_rate * learning_rate,
            momentum: 0.95,
            weight_decay: self.weight_decay,
        };
        let weight_decay = self.weight_decay;
        let one = |(name, Parameter { theta, moments }): (&String, &mut Parameter)| match moments {
            Moments::AdamW(moments) => {
                // Biases, norms, the class token and the temperature are vectors or scalars:
                // shrinking them has no meaning.
                let decays = theta.rank() >= 2;
                let adamw = AdamW {
                    learning_rate,
                    beta1: 0.9,
                    beta2: 0.98,
                    eps: 1e-6,
                    weight_decay: if decays { weight_decay } else { 0.0 },
                };
                adamw.step(theta, &gradients[name], scale, moments, step)
            }
            Moments::Muon(momentum) => {
                theta.set(&muon.step(theta, &gradients[name], scale, momentum)?)
            }
        };
        self.parameters.par_iter_mut().try_for_each(one)?;
        Ok(())
    }
}

/// Gradients by tensor name.
pub(crate) type Gradients = BTreeMap<String, Tensor>;

fn global_norm(gradients: &Gradients) -> Result<f64> {
    let mut total = 0.0;
    for gradient in gradients.values() {
        total += paint_nn::sum_of_squares(gradient)?;
    }
    Ok(total.sqrt())
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use paint_clip::Tensors;

    use super::*;
    use crate::tiny;

    fn tensors(values: &[(&str, &[f32])]) -> Tensors {
        let tensor = |values: &[f32]| Tensor::new(values, &Device::Cpu).unwrap();
        let named = |(name, values): &(&str, &[f32])| ((*name).to_owned(), tensor(values));
        values.iter().map(named).collect()
    }

    #[test]
    fn a_tensor_without_gradient_is_named() {
        let optimizer = Optimizer::new(&tensors(&[("far", &[1.0]), ("near", &[2.0])]), 0.0, 1.0);
        let optimizer = optimizer.unwrap();
        let pass = |name: &str| {
            let theta = &optimizer.parameters[name].theta;
            theta.sqr().unwrap().sum_all().unwrap().backward().unwrap()
        };
        let error = optimizer.summed_gradients(&[pass("near")], 7).unwrap_err();
        assert!(
            matches!(&error, Error::NoGradient { tensor, step: 7 } if tensor == "far"),
            "{error}"
        );
        let both = optimizer.summed_gradients(&[pass("near"), pass("far"), pass("near")], 7);
        let both = both.unwrap();
        assert_eq!(both["near"].to_vec1::<f32>().unwrap(), [8.0]);
        assert_eq!(both["far"].to_vec1::<f32>().unwrap(), [2.0]);
    }

    #[test]
    fn the_norm_of_all_gradients_together_is_clipped() {
        let theta = tensors(&[("a", &[0.0, 0.0]), ("b", &[0.0])]);
        // The norm is 5, though no tensor's is.
        let gradients = tensors(&[("a", &[3.0, 0.0]), ("b", &[-4.0])]);
        for (clip_norm, scale) in [(0.5, 0.1), (5.1, 1.0)] {
            let mut optimizer = Optimizer::new(&theta, 0.0, clip_norm).unwrap();
            optimizer.step(&gradients, 0.1, 1).unwrap();
            // AdamW hides a gradient's length in the first update, its moments keep it.
            for (name, gradient) in &gradients {
                let moments = &optimizer.parameters[name].moments;
                let seen = moments.arrays()[0].1;
                for (m, g) in seen.iter().zip(gradient.to_vec1::<f32>().unwrap()) {
                    let expected = 0.1 * scale * g;
                    assert!((m - expected).abs() < 1e-6, "{name}: {m}, not {expected}");
                }
            }
        }
    }

    #[test]
    fn a_gradient_that_is_not_finite_changes_nothing() {
        let theta = tensors(&[("a", &[1.0]), ("b", &[2.0])]);
        let mut optimizer = Optimizer::new(&theta, 0.1, 1.0).unwrap();
        let gradients = tensors(&[("a", &[1.0]), ("b", &[f32::NAN])]);
        let error = optimizer.step(&gradients, 0.1, 3).unwrap_err();
        assert!(matches!(error, Error::NotFinite { step: 3, .. }), "{error}");
        assert_eq!(
            optimizer.parameters["a"].theta.to_vec1::<f32>().unwrap(),
            [1.0]
        );
    }

    #[test]
    fn matrices_decay_and_nothing_else() {
        let ones = |shape: &Vec<usize>| Tensor::full(1f32, shape.as_slice(), &Device::Cpu).unwrap();
        let shapes = tiny::config().tensor_shapes();
        let theta: Tensors = shapes
            .iter()
            .map(|(name, s)| (name.clone(), ones(s)))
            .collect();
        let flat: Gradients = theta
            .iter()
            .map(|(name, theta)| (name.clone(), theta.zeros_like().unwrap()))
            .collect();
        let mut optimizer = Optimizer::new(&theta, 0.5, 1.0).unwrap();
        optimizer.step(&flat, 0.1, 1).unwrap();
        let mut n_decayed = 0;
        for (name, parameter) in &optimizer.parameters {
            let stays = name.ends_with(".bias")
                || name.contains("norm")
                || name.ends_with("class_embedding")
                || name == "logit_scale";
            let expected = if stays { 1.0 } else { 0.95 };
            let values = parameter
                .theta
                .flatten_all()
                .unwrap()
                .to_vec1::<f32>()
                .unwrap();
            assert!(values.iter().all(|&x| x == expected), "{name}: {values:?}");
            n_decayed += usize::from(!stays);
        }
        // Of each of three layers six matrices, then patches, tokens, two positions, two
        // projections.
        assert_eq!(n_decayed, 3 * 6 + 6);
    }

    #[test]
    fn muon_moves_the_matrices_of_the_layers_and_nothing_else() {
        let shapes = tiny::config().tensor_shapes();
        let ones = |shape: &Vec<usize>| Tensor::full(1f32, shape.as_slice(), &Device::Cpu).unwrap();
        let theta: Tensors = shapes
            .iter()
            .map(|(name, shape)| (name.clone(), ones(shape)))
            .collect();
        // AdamW's rate is nothing, so that only Muon's matrices can move.
        let mut optimizer = Optimizer::new(&theta, 0.0, 1.0).unwrap().with_muon(1e6);
        optimizer.step(&theta, 1e-7, 1).unwrap();
        for (name, parameter) in &optimizer.parameters {
            let value = parameter.theta.flatten_all().unwrap();
            let moved = (value.to_vec1::<f32>().unwrap()[0] - 1.0).abs() > 1e-4;
            let expected =
                name.contains("layers.") && name.ends_with("weight") && !name.contains("norm");
            assert_eq!(moved, expected, "{name}");
        }
    }
}
