//! Calls whose caller waits: in the middle of many dispatches, of one, before they begin, after they ended.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use weft::{CancelToken, Code, InvokeOptions, Tensor, Value};

use crate::{
    FOREVER, LONG, Others, SOON, assert_nothing_is_left, cancelled_while, check_others, everywhere, floats,
    ground, live, stepped,
};

const A_WHILE: Duration = Duration::from_millis(50);
/// What a call that is not cancelled takes beyond that.
const OTHER_ROUNDS: i32 = if cfg!(tsan) { 500 } else { 20_000 };

/// Long calls of every kind end soon, while short ones of the same program go on beside them and are right.
#[test]
fn long_calls_end_and_others_go_on() {
    everywhere(|program| {
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let _others = Others::begin(scope, program, &is_over);
            let large = ground(1.0);
            let calls: [(&str, Tensor, Value); 3] = [
                ("steps", floats(&[3.0; 4]), Value::I64(FOREVER)),
                ("look", floats(&[3.0; 4]), Value::I32(i32::MAX)),
                ("grind", large, Value::I64(LONG)),
            ];
            for (name, argument, rounds) in calls {
                let function = program.function(name).unwrap();
                let token = CancelToken::new();
                let status = cancelled_while(&token, A_WHILE, || {
                    function.prepare((argument, rounds)).cancelled_by(&token).run::<Tensor>()
                });
                assert!(status.to_string().contains(&format!("invoking function '{name}'")), "{status}");
                assert_eq!(token.work_count(), 0, "{name}: the call has returned before its work was over");
                token.wait_idle(weft::Deadline::IMMEDIATE).unwrap();
            }
        });
        check_others(program, 0.25);
        let token = CancelToken::new();
        assert_nothing_is_left(program, &token);
    });
}

/// A call that is cancelled before it begins does nothing.
#[test]
fn calls_that_were_cancelled_before_do_not_begin() {
    everywhere(|program| {
        let add = program.function("add").unwrap();
        let token = CancelToken::new();
        token.cancel();
        let (ones, output, signal) = (floats(&[1.0; 4]), floats(&[7.0; 4]), weft::Fence::create());
        let call = || add.prepare((&ones, &ones)).cancelled_by(&token).into_outputs(&output);
        assert_eq!(call().run::<Tensor>().unwrap_err().code(), Code::Cancelled);
        assert_eq!(call().signalling(&signal).submit::<Tensor>().unwrap_err().code(), Code::Cancelled);
        assert_eq!(signal.query().unwrap_err().code(), Code::Cancelled);
        let options = InvokeOptions { cancel: Some(token.clone()), budget: None };
        let arguments = vec![Value::from(&ones), Value::from(&ones)];
        let status = add.invoke_with(&options, arguments, &mut Vec::new()).unwrap_err();
        assert_eq!(status.code(), Code::Cancelled);
        assert_eq!(output.to_vec::<f32>().unwrap(), [7.0; 4]);
        assert_nothing_is_left(program, &token);
        check_others(program, 1.0);
    });
}

/// A cancel that comes too late changes nothing.
#[test]
fn calls_that_ended_before_keep_their_results() {
    everywhere(|program| {
        let steps = program.function("steps").unwrap();
        let (token, signal, output) = (CancelToken::new(), weft::Fence::create(), floats(&[0.0; 4]));
        let call = || steps.prepare((floats(&[5.0; 4]), 9i64)).cancelled_by(&token);
        let result: Tensor = call().run().unwrap();
        call().into_outputs(&output).signalling(&signal).run::<Tensor>().unwrap();
        // What is over carries the token no longer; results come a moment before that.
        token.wait_idle(weft::Deadline::after(SOON)).unwrap();
        token.cancel();
        assert!(signal.query().unwrap());
        for tensor in [&result, &output] {
            assert_eq!(tensor.to_vec::<f32>().unwrap(), [stepped(5.0, 9); 4]);
        }
        drop(result);
        assert_nothing_is_left(program, &token);
    });
}

/// Calls that share a token end together; those with another one, or none, go on to their end.
#[test]
fn a_shared_token_ends_the_calls_that_share_it() {
    everywhere(|program| {
        let steps = program.function("steps").unwrap();
        let look = program.function("look").unwrap();
        let (shared, other) = (CancelToken::new(), CancelToken::new());
        std::thread::scope(|scope| {
            let third = scope.spawn(|| {
                let call = look.prepare((floats(&[3.0; 4]), Value::I32(OTHER_ROUNDS)));
                call.cancelled_by(&other).run::<Tensor>().unwrap().to_vec::<f32>().unwrap()
            });
            let second = scope.spawn(|| {
                let call = look.prepare((floats(&[2.0; 4]), Value::I32(i32::MAX)));
                call.cancelled_by(&shared).run::<Tensor>().unwrap_err().code()
            });
            cancelled_while(&shared, A_WHILE, || {
                steps.prepare((floats(&[1.0; 4]), FOREVER)).cancelled_by(&shared).run::<Tensor>()
            });
            assert_eq!(second.join().unwrap(), Code::Cancelled);
            assert_eq!(third.join().unwrap(), [stepped(3.0, i64::from(OTHER_ROUNDS)); 4]);
        });
        assert!(!other.is_cancelled());
        assert_nothing_is_left(program, &shared);
        assert_eq!(live(program), 0);
    });
}
