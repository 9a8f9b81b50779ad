//! The one kind of pickle that is read: a state dict as `torch.save` writes it.
//!
//! A pickle is a program for a stack machine, and Python's would import and call whatever it names.
//! This machine has no way to call anything: it knows the opcodes that `torch.save` uses (protocol
//! 2), and its only "functions" are the four globals below, each of which describes data. Any other
//! opcode or global is refused by name and position before the next byte is looked at.
//!
//! Memory is bounded by the length of the pickle: each opcode makes at most one value, values are
//! numbers into tables, so that nothing nests on the call stack or is copied out of the memo.
//!
//! Source: Python's `pickletools.py` for the opcodes; `torch/serialization.py` and
//! `torch/_utils.py` for the persistent ids and the arguments of `_rebuild_tensor_v2`.

mod state_dict;

use std::collections::{BTreeMap, HashMap};

/// Why a pickle was refused, and at which of its bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) position: usize,
    pub(crate) problem: String,
}

/// A tensor that a pickle describes: a view into one of the archive's storages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PickledTensor {
    /// `FloatStorage`, `HalfStorage`, …
    pub(crate) storage_type: String,
    /// Name of the storage's entry in the archive's `data/`.
    pub(crate) key: String,
    /// Elements that the storage is said to have.
    pub(crate) storage_len: usize,
    /// In elements.
    pub(crate) offset: usize,
    pub(crate) shape: Vec<usize>,
    pub(crate) strides: Vec<usize>,
}

/// A value of the machine: itself, or its place in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    None,
    Bool,
    Int(i64),
    Float,
    Str(usize),
    Tuple(usize),
    Dict(usize),
    List,
    Global(Global),
    Storage(usize),
    Tensor(usize),
}

/// What a state dict may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    /// `torch.FloatStorage` and so on, by its place in the table of strings.
    StorageType(usize),
}

#[derive(Debug, Clone, Copy)]
struct Storage {
    type_name: usize,
    key: usize,
    len: usize,
}

#[derive(Debug, Clone, Copy)]
struct Tensor {
    storage: Storage,
    offset: usize,
    shape: Value,
    strides: Value,
}

/// The tensors of a state dict by their names.
pub(crate) fn state_dict(pickle: &[u8]) -> Result<BTreeMap<String, PickledTensor>, Refused> {
    let mut machine = Machine::new(pickle);
    let root = machine.run().map_err(|problem| Refused {
        position: machine.opcode_at,
        problem,
    })?;
    machine.named_tensors(root).map_err(|problem| Refused {
        position: pickle.len(),
        problem,
    })
}

struct Machine<'a> {
    pickle: &'a [u8],
    next: usize,
    opcode_at: usize,
    stack: Vec<Value>,
    /// Heights of the stack where marks were set.
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    strings: Vec<&'a str>,
    tuples: Vec<Vec<Value>>,
    dicts: Vec<Vec<(Value, Value)>>,
    storages: Vec<Storage>,
    tensors: Vec<Tensor>,
}

type Step<T> = Result<T, String>;

impl<'a> Machine<'a> {
    fn new(pickle: &'a [u8]) -> Self {
        Self {
            pickle,
            next: 0,
            opcode_at: 0,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            strings: Vec::new(),
            tuples: Vec::new(),
            dicts: Vec::new(),
            storages: Vec::new(),
            tensors: Vec::new(),
        }
    }

    /// The value that the pickle stops with.
    fn run(&mut self) -> Step<Value> {
        loop {
            self.opcode_at = self.next;
            let [opcode] = self.bytes::<1>()?;
            if opcode == b'.' {
                return self.pop();
            }
            self.step(opcode)?;
        }
    }

    fn step(&mut self, opcode: u8) -> Step<()> {
        match opcode {
            0x80 => self.protocol(),
            b'(' => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            b'N' => self.push(Value::None),
            0x88 | 0x89 => self.push(Value::Bool),
            b'K' => {
                let [n] = self.bytes()?;
                self.push(Value::Int(n.into()))
            }
            b'M' => {
                let n = u16::from_le_bytes(self.bytes()?);
                self.push(Value::Int(n.into()))
            }
            b'J' => {
                let n = i32::from_le_bytes(self.bytes()?);
                self.push(Value::Int(n.into()))
            }
            0x8a => self.long(),
            b'G' => {
                self.bytes::<8>()?;
                self.push(Value::Float)
            }
            b'X' => {
                let length = u32::from_le_bytes(self.bytes()?);
                let text = self.slice(length as usize)?;
                let text = self.string(text)?;
                self.push(Value::Str(text))
            }
            b'c' => self.global(),
            b'q' | b'r' => {
                let place = self.memo_place(opcode == b'r')?;
                let value = *self.stack.last().ok_or("memoises nothing")?;
                self.memo.insert(place, value);
                Ok(())
            }
            b'h' | b'j' => {
                let place = self.memo_place(opcode == b'j')?;
                let value = self.memo.get(&place).copied();
                self.push(value.ok_or_else(|| format!("asks for memo {place}, which is not set"))?)
            }
            b')' => self.tuple(Vec::new()),
            0x85..=0x87 => {
                let n = (opcode - 0x84) as usize;
                let start = self.stack.len().checked_sub(n);
                let start = start.filter(|start| self.marks.last().is_none_or(|m| m <= start));
                let start = start.ok_or("takes more than the stack has")?;
                let items = self.stack.split_off(start);
                self.tuple(items)
            }
            b't' => {
                let items = self.pop_to_mark()?;
                self.tuple(items)
            }
            b'}' => self.new_dict(),
            b']' => self.push(Value::List),
            b'a' => {
                self.pop()?;
                self.on_list()
            }
            b'e' => {
                self.pop_to_mark()?;
                self.on_list()
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set_items(&[key, value])
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.set_items(&items)
            }
            b'Q' => self.persistent_id(),
            b'R' => self.reduce(),
            b'b' => self.build(),
            other => Err(format!(
                "opcode {} is none of those that a state dict needs",
                opcode_name(other)
            )),
        }
    }

    // ---------------------------------------------------------------- reading the program

    fn slice(&mut self, n: usize) -> Step<&'a [u8]> {
        let rest = self.pickle.get(self.next..).unwrap_or_default();
        let slice = rest.get(..n).ok_or("the pickle ends in the middle")?;
        self.next += n;
        Ok(slice)
    }

    fn bytes<const N: usize>(&mut self) -> Step<[u8; N]> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.slice(N)?);
        Ok(bytes)
    }

    fn line(&mut self) -> Step<&'a str> {
        let rest = &self.pickle[self.next..];
        let length = rest.iter().position(|byte| *byte == b'\n');
        let line = self.slice(length.ok_or("the pickle ends in the middle")?)?;
        self.next += 1;
        std::str::from_utf8(line).map_err(|_| "names something that is not text".to_owned())
    }

    fn string(&mut self, bytes: &'a [u8]) -> Step<usize> {
        let text = std::str::from_utf8(bytes).map_err(|_| "holds a string that is not UTF-8")?;
        self.strings.push(text);
        Ok(self.strings.len() - 1)
    }

    fn memo_place(&mut self, long: bool) -> Step<u32> {
        if long {
            return Ok(u32::from_le_bytes(self.bytes()?));
        }
        let [place] = self.bytes()?;
        Ok(place.into())
    }

    fn protocol(&mut self) -> Step<()> {
        match self.bytes()? {
            [2] => Ok(()),
            [other] => Err(format!(
                "is pickle protocol {other}; torch.save's own, 2, is read"
            )),
        }
    }

    fn long(&mut self) -> Step<()> {
        let [length] = self.bytes()?;
        let bytes = self.slice(length.into())?;
        if bytes.len() > 8 {
            return Err("holds an integer of more than 64 bits".to_owned());
        }
        let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut all = [if negative { 0xff } else { 0 }; 8];
        all[..bytes.len()].copy_from_slice(bytes);
        self.push(Value::Int(i64::from_le_bytes(all)))
    }

    fn global(&mut self) -> Step<()> {
        let (module, name) = (self.line()?, self.line()?);
        let global = match (module, name) {
            ("collections", "OrderedDict") => Global::OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2") => Global::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Global::RebuildParameter,
            ("torch", storage) if storage.ends_with("Storage") => {
                self.strings.push(storage);
                Global::StorageType(self.strings.len() - 1)
            }
            _ => {
                let shown: String = format!("{module}.{name}").chars().take(120).collect();
                return Err(format!(
                    "names `{shown}`, which no state dict needs; it is not executed"
                ));
            }
        };
        self.push(Value::Global(global))
    }

    // ---------------------------------------------------------------- the stack

    fn push(&mut self, value: Value) -> Step<()> {
        self.stack.push(value);
        Ok(())
    }

    fn pop(&mut self) -> Step<Value> {
        let mark = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= mark {
            return Err("takes more than the stack has".to_owned());
        }
        self.stack.pop().ok_or_else(String::new)
    }

    fn pop_to_mark(&mut self) -> Step<Vec<Value>> {
        let mark = self.marks.pop().ok_or("has no mark to go back to")?;
        Ok(self.stack.split_off(mark))
    }

    fn tuple(&mut self, items: Vec<Value>) -> Step<()> {
        self.tuples.push(items);
        self.push(Value::Tuple(self.tuples.len() - 1))
    }

    fn new_dict(&mut self) -> Step<()> {
        self.dicts.push(Vec::new());
        self.push(Value::Dict(self.dicts.len() - 1))
    }

    /// Lists are part of no tensor: what they hold is forgotten.
    fn on_list(&self) -> Step<()> {
        match self.stack.last() {
            Some(Value::List) => Ok(()),
            _ => Err("appends to something that is no list".to_owned()),
        }
    }

    fn set_items(&mut self, items: &[Value]) -> Step<()> {
        let (Some(Value::Dict(dict)), (pairs, [])) = (self.stack.last(), items.as_chunks::<2>())
        else {
            return Err("sets items of something that is no dict".to_owned());
        };
        self.dicts[*dict].extend(pairs.iter().map(|[key, value]| (*key, *value)));
        Ok(())
    }

    fn items(&self, value: Value) -> Option<&[Value]> {
        match value {
            Value::Tuple(tuple) => Some(&self.tuples[tuple]),
            _ => None,
        }
    }
}

/// The name in `pickletools` of an opcode that is refused, with its byte.
fn opcode_name(opcode: u8) -> String {
    let name = match opcode {
        b'i' => "INST",
        b'o' => "OBJ",
        0x81 => "NEWOBJ",
        0x92 => "NEWOBJ_EX",
        0x93 => "STACK_GLOBAL",
        0x82..=0x84 => "EXT",
        b'P' => "PERSID",
        b'0' => "POP",
        b'1' => "POP_MARK",
        b'2' => "DUP",
        b'd' => "DICT",
        b'l' => "LIST",
        0x8b => "LONG4",
        0x8c => "SHORT_BINUNICODE",
        0x8d => "BINUNICODE8",
        0x8e => "BINBYTES8",
        0x90 => "ADDITEMS",
        0x94 => "MEMOIZE",
        0x95 => "FRAME",
        b'B' | b'C' => "BINBYTES",
        b'T' | b'U' => "BINSTRING",
        _ => return format!("0x{opcode:02x}"),
    };
    format!("{name} (0x{opcode:02x})")
}
