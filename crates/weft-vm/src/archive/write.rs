//! From [`ModuleDef`] to a FlatBuffer with its size prefix; nothing is checked, so that tests can write modules
//! that must be refused.
//!
//! Tables are written parent first, so every offset points forward as the format demands. Alignment counts from
//! the size prefix, as compilers do it. Not here: the container around it (`container.rs`).

use super::definition::{
    AttributeDef, DebugDef, ExportDef, ImportDef, LocationDef, ModuleDef, RodataDef, SignatureDef,
    SourceMapDef,
};
use super::zip::IDENTIFIER;

/// Embedded constants get this alignment, counted from the size prefix.
const RODATA_ALIGNMENT: usize = 16;

/// The FlatBuffer of a module, its size prefix in front.
pub fn write_flatbuffer(module: &ModuleDef<Vec<u8>>) -> Vec<u8> {
    write_node(&module_node(module))
}

/// Something that an offset can point to.
pub(crate) enum Node {
    Table(Vec<(u16, Slot)>),
    Text(String),
    /// Elements by their bytes.
    Scalars {
        bytes: Vec<u8>,
        count: usize,
        align: usize,
    },
    /// `None` is an offset of zero, which only vectors of unions may have.
    Offsets(Vec<Option<Node>>),
}

/// A field of a table.
pub(crate) enum Slot {
    U8(u8),
    U32(u32),
    U64(u64),
    Child(Node),
}

impl Slot {
    fn size(&self) -> usize {
        match self {
            Slot::U8(_) => 1,
            Slot::U32(_) | Slot::Child(_) => 4,
            Slot::U64(_) => 8,
        }
    }
}

/// Writes a tree with size prefix and identifier.
pub(crate) fn write_node(root: &Node) -> Vec<u8> {
    let mut writer = Writer { out: vec![0; 12] };
    writer.out[8..12].copy_from_slice(IDENTIFIER);
    let position = writer.node(root);
    writer.patch(4, position);
    let size = writer.out.len() - 4;
    writer.out[..4].copy_from_slice(&(size as u32).to_le_bytes());
    writer.out
}

struct Writer {
    /// From the size prefix on.
    out: Vec<u8>,
}

impl Writer {
    /// Writes a node and all below it; returns where it starts.
    fn node(&mut self, node: &Node) -> usize {
        match node {
            Node::Table(fields) => self.table(fields),
            Node::Text(text) => {
                let position = self.vector(text.as_bytes(), text.len(), 4);
                self.out.push(0);
                position
            }
            Node::Scalars { bytes, count, align } => self.vector(bytes, *count, *align),
            Node::Offsets(children) => {
                let position = self.vector(&vec![0; 4 * children.len()], children.len(), 4);
                for (index, child) in children.iter().enumerate() {
                    if let Some(child) = child {
                        let target = self.node(child);
                        self.patch(position + 4 + 4 * index, target);
                    }
                }
                position
            }
        }
    }

    fn vector(&mut self, bytes: &[u8], count: usize, align: usize) -> usize {
        // The elements are aligned, not the count before them.
        let elements = (self.out.len() + 4).next_multiple_of(align.max(4));
        self.out.resize(elements - 4, 0);
        self.out.extend((count as u32).to_le_bytes());
        self.out.extend(bytes);
        elements - 4
    }

    fn table(&mut self, fields: &[(u16, Slot)]) -> usize {
        let slots = fields.iter().map(|(id, _)| usize::from(*id) + 1).max().unwrap_or(0);
        // The widest fields first leaves no holes except behind the vtable distance.
        let mut order: Vec<&(u16, Slot)> = fields.iter().collect();
        order.sort_by_key(|(_, slot)| std::cmp::Reverse(slot.size()));
        let mut size = 4;
        let mut offsets = vec![0_u16; slots];
        for (id, slot) in &order {
            size = usize::next_multiple_of(size, slot.size());
            offsets[usize::from(*id)] = size as u16;
            size += slot.size();
        }
        self.align_to(8);
        let vtable = self.out.len();
        self.out.extend(((4 + 2 * slots) as u16).to_le_bytes());
        self.out.extend((size as u16).to_le_bytes());
        self.out.extend(offsets.iter().flat_map(|offset| offset.to_le_bytes()));
        self.align_to(8);
        let table = self.out.len();
        self.out.resize(table + size, 0);
        self.out[table..table + 4].copy_from_slice(&((table - vtable) as u32).to_le_bytes());
        for (id, slot) in order {
            let position = table + usize::from(offsets[usize::from(*id)]);
            match slot {
                Slot::U8(value) => self.out[position] = *value,
                Slot::U32(value) => self.out[position..position + 4].copy_from_slice(&value.to_le_bytes()),
                Slot::U64(value) => self.out[position..position + 8].copy_from_slice(&value.to_le_bytes()),
                Slot::Child(child) => {
                    let target = self.node(child);
                    self.patch(position, target);
                }
            }
        }
        table
    }

    fn align_to(&mut self, align: usize) {
        self.out.resize(self.out.len().next_multiple_of(align), 0);
    }

    /// Stores the offset from `position` to `target`.
    fn patch(&mut self, position: usize, target: usize) {
        let distance = (target - position) as u32;
        self.out[position..position + 4].copy_from_slice(&distance.to_le_bytes());
    }
}

/// Collects the fields of a table, leaving out what is absent.
#[derive(Default)]
struct Fields(Vec<(u16, Slot)>);

impl Fields {
    fn text(mut self, id: u16, text: Option<&String>) -> Fields {
        self.0.extend(text.map(|text| (id, Slot::Child(Node::Text(text.clone())))));
        self
    }

    fn u32(mut self, id: u16, value: u32, default: u32) -> Fields {
        if value != default {
            self.0.push((id, Slot::U32(value)));
        }
        self
    }

    fn i32(self, id: u16, value: i32) -> Fields {
        self.u32(id, value as u32, 0)
    }

    fn child(mut self, id: u16, child: Option<Node>) -> Fields {
        self.0.extend(child.map(|child| (id, Slot::Child(child))));
        self
    }

    fn each<T>(self, id: u16, elements: &[T], node: impl Fn(&T) -> Node) -> Fields {
        let offsets = elements.iter().map(|element| Some(node(element))).collect();
        self.child(id, (!elements.is_empty()).then_some(Node::Offsets(offsets)))
    }

    fn table(self) -> Node {
        Node::Table(self.0)
    }
}

fn module_node(module: &ModuleDef<Vec<u8>>) -> Node {
    let state = module
        .state
        .map(|state| Fields::default().i32(0, state.global_bytes).i32(1, state.global_refs).table());
    let mut descriptors = Vec::new();
    for descriptor in &module.functions {
        descriptor.encode(&mut descriptors);
    }
    let count = module.functions.len();
    let descriptors = (count > 0).then_some(Node::Scalars { bytes: descriptors, count, align: 4 });
    // Functions start at multiples of 8 within the code; so does the code in the file.
    let bytecode = module.bytecode.as_ref();
    let bytecode = bytecode.map(|bytes| Node::Scalars { bytes: bytes.clone(), count: bytes.len(), align: 8 });
    Fields::default()
        .text(0, module.name.as_ref())
        .u32(1, module.version, 0)
        .u32(2, module.requirements, 0)
        .each(3, &module.attributes, attribute_node)
        .each(4, &module.types, |name| Fields::default().text(0, name.as_ref()).table())
        .each(5, &module.dependencies, |dependency| {
            Fields::default()
                .text(0, dependency.name.as_ref())
                .u32(1, dependency.minimum_version, 0)
                .u32(2, dependency.flags, 1)
                .table()
        })
        .each(6, &module.imports, import_node)
        .each(7, &module.exports, export_node)
        .each(8, &module.signatures, signature_node)
        .each(9, &module.rodata, rodata_node)
        .child(11, state)
        .child(12, descriptors)
        .u32(13, module.bytecode_version, 0)
        .child(14, bytecode)
        .child(15, module.debug.as_ref().map(debug_node))
        .table()
}

fn attribute_node(attribute: &AttributeDef) -> Node {
    Fields::default().text(0, attribute.key.as_ref()).text(1, attribute.value.as_ref()).table()
}

fn signature_node(signature: &SignatureDef) -> Node {
    Fields::default()
        .text(0, signature.calling_convention.as_ref())
        .each(1, &signature.attributes, attribute_node)
        .table()
}

fn import_node(import: &ImportDef) -> Node {
    Fields::default()
        .text(0, import.full_name.as_ref())
        .child(1, import.signature.as_ref().map(signature_node))
        .u32(2, import.flags, 1)
        .table()
}

fn export_node(export: &ExportDef) -> Node {
    Fields::default().text(0, export.local_name.as_ref()).i32(1, export.internal_ordinal).table()
}

fn rodata_node(segment: &RodataDef<Vec<u8>>) -> Node {
    let mut fields = Fields::default();
    if segment.compression != 0 {
        fields.0.push((0, Slot::U8(segment.compression)));
        fields = fields.child(1, Some(Fields::default().table()));
    }
    if let Some(bytes) = &segment.embedded {
        let vector = Node::Scalars { bytes: bytes.clone(), count: bytes.len(), align: RODATA_ALIGNMENT };
        return fields.child(2, Some(vector)).table();
    }
    fields.0.push((3, Slot::U64(segment.external_offset)));
    fields.0.push((4, Slot::U64(segment.external_length)));
    fields.table()
}

fn debug_node(debug: &DebugDef) -> Node {
    let tags: Vec<u8> = debug.locations.iter().map(|location| location_node(location).0).collect();
    let count = tags.len();
    let values = debug.locations.iter().map(|location| location_node(location).1).collect();
    Fields::default()
        .child(0, Some(Node::Scalars { bytes: tags, count, align: 4 }))
        .child(1, Some(Node::Offsets(values)))
        .each(2, &debug.functions, source_map_node)
        .table()
}

fn location_node(location: &LocationDef) -> (u8, Option<Node>) {
    match location {
        LocationDef::None => (0, None),
        LocationDef::CallSite { callee, caller } => {
            (1, Some(Fields::default().i32(0, *callee).i32(1, *caller).table()))
        }
        LocationDef::FileLineColumn { file, line, column } => {
            (2, Some(Fields::default().text(0, file.as_ref()).i32(1, *line).i32(2, *column).table()))
        }
        LocationDef::Fused { metadata, locations } => {
            let bytes = locations.iter().flat_map(|index| index.to_le_bytes()).collect();
            let vector = Node::Scalars { bytes, count: locations.len(), align: 4 };
            (3, Some(Fields::default().text(0, metadata.as_ref()).child(1, Some(vector)).table()))
        }
        LocationDef::Name { name, child } => {
            let mut fields = Fields::default().text(0, name.as_ref());
            fields.0.extend(child.map(|child| (1, Slot::U32(child as u32))));
            (4, Some(fields.table()))
        }
        LocationDef::Unknown(tag) => (*tag, Some(Fields::default().table())),
    }
}

fn source_map_node(map: &SourceMapDef) -> Node {
    let mut bytes = Vec::new();
    for (pc, location) in &map.locations {
        bytes.extend(pc.to_le_bytes());
        bytes.extend(location.to_le_bytes());
    }
    let vector = Node::Scalars { bytes, count: map.locations.len(), align: 4 };
    Fields::default().text(0, map.name.as_ref()).child(1, Some(vector)).table()
}
