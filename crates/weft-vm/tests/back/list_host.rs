//! Lists as hosts use them.

use std::sync::Arc;

use crate::support::*;
use weft_vm::{ElementType, List, Ref, RefType, Value, ValueType};

fn values(element: ValueType, numbers: &[i64]) -> List {
    let list = List::new(ElementType::Value(element), numbers.len()).expect("made");
    for &number in numbers {
        list.push(l(number)).expect("pushed");
    }
    list
}

fn contents(list: &List) -> Vec<Value> {
    (0..list.len()).map(|index| list.get(index).expect("inside")).collect()
}

/// [vm 100]
#[test]
fn create_push_get_pop() {
    let live = Live::default();
    let token = live.token();
    let list = List::new(ElementType::Variant, 10).expect("made");
    assert!(list.is_empty() && list.capacity() >= 10);
    list.push(i(1)).expect("a value");
    list.push(r(&token)).expect("a reference");
    list.push(Value::Empty).expect("an empty slot");
    assert_eq!(contents(&list), [i(1), r(&token), Value::Empty]);
    assert_eq!(token.count(), 2);
    assert_eq!(list.pop_front().expect("first"), i(1));
    assert_eq!(list.pop_front().expect("second"), r(&token));
    assert_eq!(token.count(), 1, "the popped reference was the list's");
    assert_eq!(list.pop_front().expect("third"), Value::Empty);
    assert_eq!(code(list.pop_front()), Code::OutOfRange);
    let narrow = values(ValueType::I16, &[1, 70000]);
    assert_eq!(contents(&narrow), [Value::I16(1), Value::I16(4464)]);
    assert_eq!(narrow.pop_front().expect("first"), Value::I16(1));
    assert_eq!(code(narrow.push(r(&token))), Code::FailedPrecondition);
    assert_eq!(code(narrow.push(Value::Empty)), Code::FailedPrecondition);
    assert_eq!(narrow.len(), 1, "a refused element leaves nothing behind");
    let buffers = List::new(ElementType::Ref(RefType::buffer()), 0).expect("made");
    assert_eq!(code(buffers.push(r(&token))), Code::InvalidArgument);
    buffers.push(Value::NULL).expect("null fits");
    assert_eq!(contents(&buffers), [Value::NULL]);
}

/// [vm 100]
#[test]
fn duplicates_share_objects() {
    let live = Live::default();
    let token = live.token();
    let list = List::from_values([i(1), r(&token)]);
    let copy = list.duplicate().expect("copied");
    assert_eq!(contents(&copy), contents(&list));
    assert_eq!(token.count(), 3);
    copy.set(0, i(2)).expect("set");
    copy.set(1, Value::NULL).expect("set");
    assert_eq!(contents(&list), [i(1), r(&token)]);
    let narrow = values(ValueType::I8, &[1, -2]).duplicate().expect("copied");
    assert_eq!(
        (narrow.element_type(), contents(&narrow)),
        (ElementType::Value(ValueType::I8), vec![Value::I8(1), Value::I8(-2)],)
    );
}

/// [vm 100]
#[test]
fn copies_between_lists() {
    let from = values(ValueType::I32, &[1, 2, 300, 4]);
    let to = values(ValueType::I8, &[0, 0, 0, 0]);
    from.copy(1..3, &to, 2).expect("copied");
    assert_eq!(contents(&to), [0, 0, 2, 44].map(Value::I8));
    let floats = List::new(ElementType::Value(ValueType::F32), 0).expect("made");
    floats.resize(2).expect("resized");
    from.copy(0..2, &floats, 0).expect("converted");
    assert_eq!(contents(&floats), [f(0.0), f(0.0)], "integers read as zero");
    let variants = List::from_values([Value::Empty, Value::Empty]);
    from.copy(2..4, &variants, 0).expect("copied");
    assert_eq!(contents(&variants), [i(300), i(4)]);
    variants.copy(0..2, &from, 0).expect("copied back");
    assert_eq!(contents(&from), [i(300), i(4), i(300), i(4)]);
    assert_eq!(code(from.copy(3..5, &to, 0)), Code::OutOfRange);
    assert_eq!(code(from.copy(0..2, &to, 3)), Code::OutOfRange);
    assert_eq!(code(from.copy(0..2, &to, usize::MAX)), Code::OutOfRange);
    let token = Live::default().token();
    let references = List::new(ElementType::Ref(RefType::buffer()), 0).expect("made");
    references.resize(1).expect("resized");
    assert_eq!(code(List::from_values([r(&token)]).copy(0..1, &references, 0)), Code::InvalidArgument);
    assert_eq!(code(from.copy(0..1, &references, 0)), Code::FailedPrecondition);
    // Within one list: apart works, overlapping does not, nothing at all always does.
    from.copy(0..1, &from, 2).expect("apart");
    assert_eq!(code(from.copy(0..2, &from, 1)), Code::InvalidArgument);
    from.copy(1..1, &from, 1).expect("nothing");
}

/// [vm 100]
#[test]
fn swaps_exchange_everything() {
    let (a, b) = (values(ValueType::I32, &[1, 2, 3]), values(ValueType::I32, &[]));
    a.reserve(200).expect("reserved");
    let (large, small) = (a.capacity(), b.capacity());
    a.swap(&b).expect("swapped");
    assert_eq!((a.len(), a.capacity(), b.len(), b.capacity()), (0, small, 3, large));
    a.swap(&a).expect("with itself");
    assert_eq!(code(a.swap(&values(ValueType::I64, &[]))), Code::InvalidArgument);
}

/// Threads may share a list; each operation is whole.
#[test]
fn threads_share_a_list() {
    let list = Arc::new(List::new(ElementType::Variant, 0).expect("made"));
    let live = Live::default();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (list, live) = (list.clone(), live.clone());
            scope.spawn(move || {
                for index in 0..100 {
                    list.push(Value::Ref(Some(live.numbered(thread)))).expect("pushed");
                    if index % 3 == 0 {
                        list.pop_front().expect("there is one");
                    }
                }
            });
        }
    });
    assert_eq!(list.len(), 4 * (100 - 34));
    assert_eq!(live.count(), list.len() as i64);
    drop(Ref::new(list));
    assert_eq!(live.count(), 0);
}
