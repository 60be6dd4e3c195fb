//! What an ONNX file says about itself, read with a walker over its protobuf bytes (onnx/onnx.proto3).
//!
//! Only what decides whether the file may be used: domains of operators, external data, names of inputs and outputs, and
//! the outputs' shapes.
//! Nothing is decoded that ONNX Runtime decodes again. Field numbers, by message:
//!
//! | message | fields |
//! |---|---|
//! | ModelProto | 7 graph, 25 functions |
//! | GraphProto | 1 node, 5 initializer, 11 input, 12 output, 15 sparse_initializer |
//! | FunctionProto | 7 node, 10 domain |
//! | NodeProto | 4 op_type, 5 attribute, 7 domain |
//! | AttributeProto | 5 t, 6 g, 10 tensors, 11 graphs, 22 sparse_tensor, 23 sparse_tensors |
//! | TensorProto | 8 name, 13 external_data, 14 data_location |
//! | SparseTensorProto | 1 values, 2 indices |
//! | ValueInfoProto | 1 name, 2 type |
//! | TypeProto | 1 tensor_type |
//! | TypeProto.Tensor | 2 shape |
//! | TensorShapeProto | 1 dim |
//! | TensorShapeProto.Dimension | 1 dim_value |

use std::collections::BTreeSet;

/// Domains whose operators come with ONNX Runtime.
const BUILT_IN: [&str; 4] = ["", "ai.onnx", "ai.onnx.ml", "com.microsoft"];
/// Graphs within graphs (loops, branches); real models have two or three.
const DEPTH_MAX: u32 = 16;

/// What a file says about itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// Names of the graph's inputs.
    pub(super) inputs: Vec<String>,
    /// Names of the graph's outputs.
    pub(super) outputs: Vec<String>,
    /// The outputs' axes, in their order; `None` where an axis is not fixed, empty where nothing is said.
    pub(super) shapes: Vec<Vec<Option<u64>>>,
    /// Names of tensors whose data lies elsewhere.
    pub(super) external: Vec<String>,
    domains: BTreeSet<String>,
    own_domains: BTreeSet<String>,
}

impl Facts {
    /// Domains of operators that neither the runtime nor the file itself defines.
    pub(super) fn foreign_domains(&self) -> impl Iterator<Item = &str> {
        let known = |d: &str| BUILT_IN.contains(&d) || self.own_domains.contains(d);
        self.domains.iter().map(String::as_str).filter(move |d| !known(d))
    }
}

/// Walks a file.
pub(super) fn read(bytes: &[u8]) -> Result<Facts, String> {
    let mut facts = Facts::default();
    let mut graphs = 0;
    for field in Fields(bytes) {
        match field? {
            (7, Value::Bytes(graph)) => {
                graphs += 1;
                read_graph(graph, &mut facts, 0, true)?;
            }
            (25, Value::Bytes(function)) => read_function(function, &mut facts)?,
            _ => {}
        }
    }
    if graphs != 1 { Err(format!("it holds {graphs} graphs, 1 is needed")) } else { Ok(facts) }
}

fn read_function(bytes: &[u8], facts: &mut Facts) -> Result<(), String> {
    for field in Fields(bytes) {
        match field? {
            (7, Value::Bytes(node)) => read_node(node, facts, 1)?,
            (10, Value::Bytes(domain)) => {
                facts.own_domains.insert(text(domain)?);
            }
            _ => {}
        }
    }
    Ok(())
}

fn read_graph(bytes: &[u8], facts: &mut Facts, depth: u32, main: bool) -> Result<(), String> {
    if depth > DEPTH_MAX {
        return Err(format!("graphs within graphs deeper than {DEPTH_MAX}"));
    }
    for field in Fields(bytes) {
        match field? {
            (1, Value::Bytes(node)) => read_node(node, facts, depth)?,
            (5, Value::Bytes(tensor)) => read_tensor(tensor, facts)?,
            (11, Value::Bytes(input)) if main => facts.inputs.push(first_text(input)?),
            (12, Value::Bytes(output)) if main => {
                facts.outputs.push(first_text(output)?);
                facts.shapes.push(shape(output)?);
            }
            (15, Value::Bytes(sparse)) => read_sparse(sparse, facts)?,
            _ => {}
        }
    }
    Ok(())
}

fn read_node(bytes: &[u8], facts: &mut Facts, depth: u32) -> Result<(), String> {
    for field in Fields(bytes) {
        match field? {
            (5, Value::Bytes(attribute)) => read_attribute(attribute, facts, depth)?,
            (7, Value::Bytes(domain)) => {
                facts.domains.insert(text(domain)?);
            }
            _ => {}
        }
    }
    Ok(())
}

fn read_attribute(bytes: &[u8], facts: &mut Facts, depth: u32) -> Result<(), String> {
    for field in Fields(bytes) {
        match field? {
            (5 | 10, Value::Bytes(tensor)) => read_tensor(tensor, facts)?,
            (6 | 11, Value::Bytes(graph)) => read_graph(graph, facts, depth + 1, false)?,
            (22 | 23, Value::Bytes(sparse)) => read_sparse(sparse, facts)?,
            _ => {}
        }
    }
    Ok(())
}

fn read_sparse(bytes: &[u8], facts: &mut Facts) -> Result<(), String> {
    for field in Fields(bytes) {
        if let (1 | 2, Value::Bytes(tensor)) = field? {
            read_tensor(tensor, facts)?;
        }
    }
    Ok(())
}

fn read_tensor(bytes: &[u8], facts: &mut Facts) -> Result<(), String> {
    let (mut name, mut external) = (String::new(), false);
    for field in Fields(bytes) {
        match field? {
            (8, Value::Bytes(bytes)) => name = text(bytes)?,
            (13, _) => external = true,
            (14, Value::Number(location)) => external |= location != 0,
            _ => {}
        }
    }
    if external {
        facts.external.push(name);
    }
    Ok(())
}

/// Field 1 of a message, as text.
fn first_text(bytes: &[u8]) -> Result<String, String> {
    for field in Fields(bytes) {
        if let (1, Value::Bytes(bytes)) = field? {
            return text(bytes);
        }
    }
    Ok(String::new())
}

/// The axes of a ValueInfoProto.
fn shape(info: &[u8]) -> Result<Vec<Option<u64>>, String> {
    let mut inner = vec![info];
    for wanted in [2, 1, 2] {
        let mut next = Vec::new();
        for message in inner {
            for field in Fields(message) {
                if let (number, Value::Bytes(bytes)) = field?
                    && number == wanted
                {
                    next.push(bytes);
                }
            }
        }
        inner = next;
    }
    let mut axes = Vec::new();
    for message in inner {
        for field in Fields(message) {
            if let (1, Value::Bytes(axis)) = field? {
                let mut value = None;
                for field in Fields(axis) {
                    if let (1, Value::Number(number)) = field? {
                        value = Some(number);
                    }
                }
                axes.push(value);
            }
        }
    }
    Ok(axes)
}

fn text(bytes: &[u8]) -> Result<String, String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| "a name is not UTF-8".to_owned())
}

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Fixed 32 or 64 bits.
    Fixed,
}

/// The fields of one protobuf message: number and value.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
    fn bytes(&mut self, count: u64) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(usize::try_from(count).ok()?)?;
        self.0 = rest;
        Some(head)
    }
    fn field(&mut self) -> Option<(u64, Value<'a>)> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Number(self.varint()?),
            1 => self.bytes(8).map(|_| Value::Fixed)?,
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.bytes(length)?)
            }
            5 => self.bytes(4).map(|_| Value::Fixed)?,
            _ => return None,
        };
        Some((tag >> 3, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), String>;
    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field.ok_or_else(|| "damaged or cut short".to_owned()))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn varint(mut n: u64) -> Vec<u8> {
        let mut out = Vec::new();
        while n >= 0x80 {
            out.push(n as u8 | 0x80);
            n >>= 7;
        }
        out.push(n as u8);
        out
    }
    /// A field of bytes.
    pub(crate) fn field(number: u64, bytes: &[u8]) -> Vec<u8> {
        [varint(number << 3 | 2), varint(bytes.len() as u64), bytes.to_vec()].concat()
    }
    /// A model of one node in the given domain, with more bytes in its graph.
    pub(crate) fn model(domain: &str, more: &[u8]) -> Vec<u8> {
        let node = [field(4, b"Relu"), field(7, domain.as_bytes())].concat();
        let graph =
            [field(1, &node), field(11, &field(1, b"images")), field(12, &field(1, b"out")), more.to_vec()];
        // An ir_version before it, as real files have.
        [vec![0x08, 8], field(7, &graph.concat())].concat()
    }

    #[test]
    fn a_plain_model_is_read() {
        let facts = read(&model("", &[])).unwrap();
        assert_eq!(
            (facts.inputs.as_slice(), facts.outputs.as_slice()),
            (&["images".into()][..], &["out".into()][..])
        );
        assert_eq!(facts.foreign_domains().count(), 0);
        assert!(facts.external.is_empty());
    }

    #[test]
    fn a_foreign_operator_is_found_also_within_a_branch() {
        let inner = field(1, &field(7, b"acme.ops"));
        let branch = field(1, &field(5, &field(6, &inner)));
        let facts = read(&model("com.microsoft", &branch)).unwrap();
        assert_eq!(facts.foreign_domains().collect::<Vec<_>>(), ["acme.ops"]);
        // Functions that the file itself defines are no foreign code.
        let mut with_function = model("acme.ops", &[]);
        with_function.extend(field(25, &field(10, b"acme.ops")));
        assert_eq!(read(&with_function).unwrap().foreign_domains().count(), 0);
    }

    #[test]
    fn external_data_is_found_in_weights_and_constants() {
        let tensor =
            [field(8, b"w0"), field(13, &[field(1, b"location"), field(2, b"/etc/passwd")].concat())]
                .concat();
        assert_eq!(read(&model("", &field(5, &tensor))).unwrap().external, ["w0"]);
        let constant = field(1, &field(5, &field(5, &tensor)));
        assert_eq!(read(&model("", &constant)).unwrap().external, ["w0"]);
        let by_location = [field(8, b"w1"), vec![14 << 3, 1]].concat();
        assert_eq!(read(&model("", &field(5, &by_location))).unwrap().external, ["w1"]);
    }

    #[test]
    fn damaged_and_hostile_files_are_errors() {
        let good = model("", &field(5, &field(8, b"weights")));
        for end in 1..good.len() {
            // Cut anywhere: an error, or (between fields) no graph; never a panic.
            let _ = read(&good[..end]);
        }
        assert!(read(&good[..good.len() - 1]).unwrap_err().contains("cut short"));
        assert!(read(b"").unwrap_err().contains("0 graphs"));
        assert!(read(&[0xff; 64]).is_err());
        let mut deep = Vec::new();
        for _ in 0..100 {
            deep = field(1, &field(5, &field(6, &deep)));
        }
        assert!(read(&model("", &deep)).unwrap_err().contains("deeper"));
    }
}
