//! Storage of the caller in calls that are cancelled.

use std::time::Duration;

use weft::{CancelToken, Tensor, Value};

use crate::{LONG, assert_nothing_is_left, cancelled_while, everywhere, ground, ground_bytes, stepped};

fn is_all(tensor: &Tensor, value: f32) -> bool {
    tensor.to_bytes().unwrap() == ground_bytes(value)
}

fn overwrite(tensor: &Tensor, value: f32) {
    tensor.view().buffer().write(0, &ground_bytes(value)).unwrap();
}

/// Once a blocking call has returned, its arguments and outputs are the caller's again: nobody writes there any more.
#[test]
fn storage_can_be_used_again_at_once() {
    everywhere(|program| {
        let argument = ground(1.0);
        for name in ["grind", "grind_into"] {
            let function = program.function(name).unwrap();
            let output = ground(0.0);
            for round in 0..2u8 {
                let token = CancelToken::new();
                cancelled_while(&token, Duration::from_millis(30), || {
                    let call = function.prepare((&argument, LONG)).cancelled_by(&token);
                    call.into_outputs(&output).run::<Tensor>()
                });
                let mark = 100.0 + f32::from(round);
                overwrite(&output, mark);
                overwrite(&argument, mark);
                std::thread::sleep(Duration::from_millis(50));
                assert!(is_all(&output, mark), "{name}: somebody still writes");
                assert_nothing_is_left(program, &token);
            }
            let arguments = (&argument, Value::I64(3));
            function.prepare(arguments).into_outputs(&output).run::<Tensor>().unwrap();
            assert!(is_all(&output, stepped(101.0, 3)));
            overwrite(&argument, 1.0);
        }
    });
}
