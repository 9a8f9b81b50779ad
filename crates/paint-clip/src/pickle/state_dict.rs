//! What a state dict is made of: storages, tensors in them, and their names.

use std::collections::BTreeMap;

use super::{Global, Machine, PickledTensor, Step, Storage, Tensor, Value};

/// Axes of a tensor; torch itself stops at 64.
const MAX_AXES: usize = 64;

/// Tensors of a state dict; the largest CLIP has about 1,500.
const MAX_TENSORS: usize = 1 << 15;

impl Machine<'_> {
    /// ("storage", type, key, device, number of elements)
    pub(super) fn persistent_id(&mut self) -> Step<()> {
        let id = self.pop()?;
        let storage = match self.items(id) {
            Some(
                &[
                    Value::Str(kind),
                    Value::Global(Global::StorageType(type_name)),
                    Value::Str(key),
                    _,
                    Value::Int(len),
                ],
            ) if self.strings[kind] == "storage" => Storage {
                type_name,
                key,
                len: usize::try_from(len).map_err(|_| "a storage has a negative length")?,
            },
            _ => return Err("has a persistent id that is no storage".to_owned()),
        };
        self.storages.push(storage);
        self.push(Value::Storage(self.storages.len() - 1))
    }

    pub(super) fn reduce(&mut self) -> Step<()> {
        let (arguments, callee) = (self.pop()?, self.pop()?);
        let Value::Global(global) = callee else {
            return Err("calls something that is no function of a state dict".to_owned());
        };
        let arguments = self.items(arguments).ok_or("calls without arguments")?;
        match (global, arguments) {
            (Global::OrderedDict, []) => self.new_dict(),
            (
                Global::RebuildTensor,
                &[
                    Value::Storage(storage),
                    Value::Int(offset),
                    shape,
                    strides,
                    _,
                    _,
                    ..,
                ],
            ) => {
                let tensor = self.tensor(storage, offset, shape, strides)?;
                self.tensors.push(tensor);
                self.push(Value::Tensor(self.tensors.len() - 1))
            }
            (Global::RebuildParameter, &[tensor @ Value::Tensor(_), ..]) => self.push(tensor),
            (Global::OrderedDict, _) => {
                Err("calls collections.OrderedDict with arguments".to_owned())
            }
            (Global::RebuildTensor, _) => {
                Err("calls torch._utils._rebuild_tensor_v2 with wrong arguments".to_owned())
            }
            (Global::RebuildParameter, _) => {
                Err("calls torch._utils._rebuild_parameter with wrong arguments".to_owned())
            }
            (Global::StorageType(_), _) => Err("calls a storage type".to_owned()),
        }
    }

    /// Attributes of a dict, such as `_metadata`, say nothing about its tensors.
    pub(super) fn build(&mut self) -> Step<()> {
        let state = self.pop()?;
        match (self.stack.last(), state) {
            (Some(Value::Dict(_)), Value::Dict(_)) => Ok(()),
            _ => Err("sets the state of something that is no OrderedDict".to_owned()),
        }
    }

    fn tensor(&self, storage: usize, offset: i64, shape: Value, strides: Value) -> Step<Tensor> {
        if self.sizes(shape)?.len() != self.sizes(strides)?.len() {
            return Err("a tensor has not one stride for each axis".to_owned());
        }
        Ok(Tensor {
            storage: self.storages[storage],
            offset: usize::try_from(offset).map_err(|_| "a tensor has a negative offset")?,
            shape,
            strides,
        })
    }

    fn sizes(&self, value: Value) -> Step<Vec<usize>> {
        let items = self.items(value).ok_or("a tensor's size is no tuple")?;
        if items.len() > MAX_AXES {
            return Err(format!("a tensor has {} axes", items.len()));
        }
        let size = |item: &Value| match item {
            Value::Int(n) => usize::try_from(*n).map_err(|_| format!("a tensor's size has {n}")),
            _ => Err("a tensor's size is no integer".to_owned()),
        };
        items.iter().map(size).collect()
    }

    pub(super) fn named_tensors(self, root: Value) -> Step<BTreeMap<String, PickledTensor>> {
        let Value::Dict(root) = root else {
            return Err("the pickle is no dict of tensors, but a whole object; \
                        save model.state_dict() instead"
                .to_owned());
        };
        let items = &self.dicts[root];
        if items.len() > MAX_TENSORS {
            return Err(format!("the state dict has {} entries", items.len()));
        }
        let mut named = BTreeMap::new();
        for (key, value) in items {
            let Value::Str(key) = *key else {
                return Err("a key of the state dict is no string".to_owned());
            };
            let name = self.strings[key];
            let Value::Tensor(tensor) = *value else {
                return Err(format!(
                    "`{name}` is no tensor: the file is a training state, not a state dict; \
                     save model.state_dict() alone"
                ));
            };
            let Tensor {
                storage,
                offset,
                shape,
                strides,
            } = self.tensors[tensor];
            let tensor = PickledTensor {
                storage_type: self.strings[storage.type_name].to_owned(),
                key: self.strings[storage.key].to_owned(),
                storage_len: storage.len,
                offset,
                shape: self.sizes(shape)?,
                strides: self.sizes(strides)?,
            };
            if named.insert(name.to_owned(), tensor).is_some() {
                return Err(format!("tensor `{name}` is there twice"));
            }
        }
        Ok(named)
    }
}
