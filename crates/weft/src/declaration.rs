//! What a function's declaration says beyond its calling convention: `iree.abi.declaration`, words for people that the
//! compiler writes, such as
//! `sync func @f(%input0: tensor<4xf32>, %input1: !hal.buffer {iree.abi.output = 0 : index}) -> (%output0: tensor<4xf32>)`.
//!
//! What lives here: reading marked arguments and the types of results out of it. What does not: what is done with them
//! (`scratch.rs`, `outputs.rs`).
//!
//! 1. Nothing is taken for granted: what is not understood is not known, and programs check their arguments themselves.

use weft_hal::ElementType;

/// An argument in whose storage the program puts a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StorageArgument {
    pub argument: usize,
    pub result: usize,
    /// It is passed as plain memory, not as a tensor.
    pub is_plain: bool,
}

/// The type of a result that is a tensor, as far as it is known without a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TensorType {
    /// Extents; `None` for those that a call decides.
    pub dims: Vec<Option<u64>>,
    /// `None`: a type whose name is not known here.
    pub element_type: Option<ElementType>,
}

/// The indices of the arguments that a declaration marks with an attribute, as in
/// `%input2: !hal.buffer {iree.abi.affinity = ..., iree.abi.transients = unit}`.
pub(crate) fn arguments_marked<'a>(
    declaration: &'a str,
    attribute: &'a str,
) -> impl Iterator<Item = usize> + 'a {
    marks(declaration, attribute).map(|(index, ..)| index)
}

/// The arguments that are storage of results, in order.
pub(crate) fn storage_arguments(declaration: &str) -> Vec<StorageArgument> {
    let marked = marks(declaration, "iree.abi.output");
    let storage = marked.filter_map(|(argument, kind, after)| {
        let value = after.trim_start().strip_prefix('=')?.trim_start();
        let digits = value.split(|next: char| !next.is_ascii_digit()).next()?;
        let is_plain = kind.starts_with("!hal.buffer ");
        Some(StorageArgument { argument, result: digits.parse().ok()?, is_plain })
    });
    storage.collect()
}

/// Marked arguments: index, the text from the type on, the text behind the attribute's name.
fn marks<'a>(
    declaration: &'a str,
    attribute: &'a str,
) -> impl Iterator<Item = (usize, &'a str, &'a str)> + 'a {
    let arguments = declaration.split(") -> (").next().unwrap_or_default();
    arguments.split("%input").skip(1).filter_map(move |argument| {
        let (index, rest) = argument.split_once(':')?;
        let after = rest.match_indices(attribute).find_map(|(begin, _)| {
            let after = &rest[begin + attribute.len()..];
            let ends = matches!(after.chars().next()?, ' ' | '}' | ',' | '=');
            (ends && rest[..begin].ends_with(['{', ' '])).then_some(after)
        })?;
        Some((index.trim().parse().ok()?, rest.trim_start(), after))
    })
}

/// The type of a result; `None` if it is no tensor, or not known.
pub(crate) fn result_type(declaration: &str, result: usize) -> Option<TensorType> {
    let (_, results) = declaration.split_once(") -> (")?;
    let (_, own) = results.split_once(&format!("%output{result}: "))?;
    let inside = own.strip_prefix("tensor<")?;
    let end = closing(inside)?;
    // What follows a comma is an encoding, which does not show outside.
    let text = inside[..end].split(',').next()?;
    let mut dims = Vec::new();
    let mut rest = text;
    while let Some((extent, after)) = rest.split_once('x') {
        match extent {
            "?" => dims.push(None),
            _ if !extent.is_empty() && extent.bytes().all(|byte| byte.is_ascii_digit()) => {
                dims.push(Some(extent.parse().ok()?));
            }
            // The `x` of `complex<f32>`.
            _ => break,
        }
        rest = after;
    }
    Some(TensorType { dims, element_type: element_type(rest) })
}

/// Where the bracket ends that was opened before `text`.
fn closing(text: &str) -> Option<usize> {
    let mut open = 1;
    text.bytes().position(|byte| {
        open += match byte {
            b'<' => 1,
            b'>' => -1,
            _ => 0,
        };
        open == 0
    })
}

fn element_type(name: &str) -> Option<ElementType> {
    match name {
        "complex<f32>" => Some(ElementType::COMPLEX64),
        "complex<f64>" => Some(ElementType::COMPLEX128),
        // Programs may widen narrower ones on their way out.
        _ => name.parse().ok().filter(|known: &ElementType| known.is_byte_aligned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marked_arguments_are_found() {
        let marked = |text: &str| arguments_marked(text, "iree.abi.transients").collect::<Vec<_>>();
        let plain =
            "sync func @f(%input0: tensor<4xf32>, %input1: !hal.buffer {iree.abi.transients = unit}) -> ()";
        assert_eq!(marked(plain), [1]);
        let among_others = "sync func @f(%input0: !hal.buffer {aaa.bbb = 1 : i32, iree.abi.transients = unit}, \
                            %input1: tensor<4xf32> {iree.abi.transients.not = unit}) -> ()";
        assert_eq!(marked(among_others), [0]);
        assert_eq!(marked("sync func @f(%input0: !hal.buffer {b, iree.abi.transients}) -> ()"), [0]);
        assert_eq!(
            marked("sync func @f(%input0: tensor<4xf32>) -> (%output0: i32 {iree.abi.transients = 1})"),
            []
        );
        assert_eq!(marked("{iree.abi.transients"), []);
    }

    #[test]
    fn storage_says_of_which_result() {
        let two = "sync func @f(%input0: tensor<4xf32> {iree.abi.output = 1 : index}, %input1: i32, %input2: \
                   !hal.buffer {a.b = 2, iree.abi.output = 0 : index}) -> (%output0: i32, %output1: i32)";
        let storage = |argument, result, is_plain| StorageArgument { argument, result, is_plain };
        assert_eq!(storage_arguments(two), [storage(0, 1, false), storage(2, 0, true)]);
        assert_eq!(storage_arguments("sync func @f(%input0: i32 {iree.abi.output}) -> ()"), []);
        assert_eq!(storage_arguments("sync func @f(%input0: i32 {iree.abi.output = x}) -> ()"), []);
        assert_eq!(storage_arguments(""), []);
    }

    #[test]
    fn types_of_results_are_read() {
        let declaration = "async func @f(%input0: tensor<9xf64>) -> (%output0: tensor<4x?xf32>, %output1: i32, \
                           %output2: tensor<i1>, %output3: tensor<2xcomplex<f32>>, %output4: \
                           tensor<3xf8E4M3FN, #weft.layout<1x2>> {a = 1}, %output5: tensor<7xi4>)";
        let read = |result| result_type(declaration, result).map(|known| (known.dims, known.element_type));
        assert_eq!(read(0), Some((vec![Some(4), None], Some(ElementType::F32))));
        assert_eq!(read(1), None);
        assert_eq!(read(2), Some((vec![], Some(ElementType::BOOL8))));
        assert_eq!(read(3), Some((vec![Some(2)], Some(ElementType::COMPLEX64))));
        assert_eq!(read(4), Some((vec![Some(3)], Some(ElementType::F8E4M3FN))));
        assert_eq!(read(5), Some((vec![Some(7)], None)));
        assert_eq!(read(6), None);
        for text in
            ["", ") -> (", ") -> (%output0: tensor<", ") -> (%output0: tensor<4x", ") -> (%output0: x"]
        {
            assert_eq!(result_type(text, 0), None, "{text}");
        }
        let huge = ") -> (%output0: tensor<99999999999999999999xf32>)";
        assert_eq!(result_type(huge, 0), None);
        assert_eq!(result_type(") -> (%output0: tensor<4x>)", 0).map(|known| known.element_type), Some(None));
    }
}
