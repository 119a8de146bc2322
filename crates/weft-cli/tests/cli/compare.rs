//! `--expected_output`: verdicts, their words, tolerances.

use crate::program::{Done, run};

fn echo(actual: &str, expected: &str, more: &[&str]) -> Done {
    let flags = [format!("--input={actual}"), format!("--expected_output={expected}")];
    let mut all = vec![flags[0].as_str(), flags[1].as_str()];
    all.extend(more);
    run("tool_values", "echo", &all)
}

#[track_caller]
fn matches(actual: &str, expected: &str, more: &[&str]) {
    let out = echo(actual, expected, more).success();
    assert_eq!(out, "EXEC @echo\n[SUCCESS] all function outputs matched their expected values.\n");
}

#[track_caller]
fn differs(actual: &str, expected: &str, more: &[&str]) -> String {
    let done = echo(actual, expected, more);
    assert_eq!((done.code, done.err.as_str()), (Some(1), ""), "{}", done.out);
    done.out.strip_prefix("EXEC @echo\n[FAILED] result[0]: ").expect("a verdict").to_owned()
}

/// [hal-module 71] The texts are the reference's, to the letter.
#[test]
fn differences_are_described_in_the_words_of_the_reference() {
    assert_eq!(
        differs("4xf32=3", "4xf32=3 3 3 4", &[]),
        "element at index 3 (3) does not match the expected (4); expected that the view is equal to contents of a \
         view of 4xf32\n  expected:\n4xf32=3 3 3 4\n  actual:\n4xf32=3 3 3 3\n"
    );
    assert_eq!(
        differs("f32=-2", "f32=123", &[]),
        "element at index 0 (-2) does not match the expected (123); expected that the view is equal to contents of a \
         view of f32\n  expected:\nf32=123\n  actual:\nf32=-2\n"
    );
    assert_eq!(
        differs("f32=1", "4xf32=1", &[]),
        "metadata is f32; expected that the view matches 4xf32; expected that the view is equal to contents of a \
         view of 4xf32\n  expected:\n4xf32=1 1 1 1\n  actual:\nf32=1\n"
    );
    assert_eq!(
        differs("2xi1=01", "2xi1=00", &[]).lines().next().unwrap(),
        "element at index 0 (01) does not match the expected (00); expected that the view is equal to contents of a \
         view of 2xi1"
    );
    assert_eq!(
        differs("4xf32=1", "&4xf32=1", &[]),
        "variant types mismatch; expected hal.buffer but got hal.buffer_view\n"
    );
    assert_eq!(
        differs("(null)", "4xf32=1", &[]),
        "variant types mismatch; expected hal.buffer_view but got empty\n"
    );
    let long = differs("2000xi32=0", "2000xi32=1", &["--output_max_element_count=1"]);
    assert_eq!(long.matches("1 1").count(), 512, "1024 elements are shown whatever the limit for results");
}

/// [hal-module 71] Types and shapes must agree exactly; encodings of equal values do not matter.
#[test]
fn types_and_shapes_are_compared_first() {
    for (actual, expected) in
        [("2xi32=0", "2xsi32=0"), ("2xi1=00", "2xi8=0"), ("4xf32=0", "2x2xf32=0"), ("4xf32=1", "4xf64=1")]
    {
        assert!(differs(actual, expected, &[]).starts_with("metadata is "));
    }
}

/// [hal-module 71] Floats of four types have tolerances; everything else is compared byte by byte.
#[test]
fn tolerances_hold_for_their_types() {
    matches("f32=729.00012", "f32=729", &[]);
    matches("f32=3", "f32=3.00009", &[]);
    differs("f32=3", "f32=3.0002", &[]);
    differs("f32=3", "f32=3.00001", &["--equality_mode=exact"]);
    differs("f32=3", "f32=3.00001", &["--expected_f32_threshold=0", "--expected_rtol=0"]);
    matches("f32=100", "f32=101", &["--expected_rtol=0.01"]);
    matches("f64=1", "f64=1.00005", &[]);
    differs("f64=1", "f64=1.0005", &[]);
    matches("f64=1", "f64=1.0005", &["--expected_f64_threshold=0.001"]);
    matches("f16=1", "f16=1.001", &[]);
    differs("f16=3", "f16=3.01", &[]);
    matches("f16=3", "f16=3.01", &["--expected_f16_threshold=0.02"]);
    matches("bf16=1", "bf16=1.0078125", &[]);
    differs("bf16=3", "bf16=3.015625", &[]);
    matches("bf16=3", "bf16=3.015625", &["--expected_bf16_threshold=0.02"]);
    differs("f8E5M2=3", "f8E5M2=3.5", &["--expected_f32_threshold=9"]);
    differs("i32=5", "i32=6", &["--expected_f32_threshold=9"]);
}

/// [hal-module 71] NaN equals NaN, infinities equal themselves; exactly compared, bits decide.
#[test]
fn special_values_compare_as_stated() {
    matches("3xf32=nan inf -inf", "3xf32=nan inf -inf", &[]);
    differs("f32=inf", "f32=-inf", &[]);
    differs("f32=inf", "f32=1", &["--expected_f32_threshold=1e30"]);
    differs("f32=nan", "f32=1", &[]);
    matches("f32=-0", "f32=0", &[]);
    differs("f32=-0", "f32=0", &["--equality_mode=exact"]);
    matches("f32=nan", "f32=nan", &["--equality_mode=exact"]);
    matches("0xf32", "0xf32", &[]);
}

/// [hal-module 71] Packed elements are found by their own index.
#[test]
fn packed_elements_are_compared_one_by_one() {
    matches("5xi4=1 2 3 4 5", "5xi4=1 2 3 4 5", &[]);
    assert!(differs("4xi4=1 2 3 4", "4xi4=1 2 3 5", &[]).starts_with("element at index 3 (4)"));
    assert!(differs("4xi4=1 2 3 4", "4xi4=1 2 2 4", &[]).starts_with("element at index 2 (3)"));
}

/// [hal-module 71] Anything may be ignored; buffers and scalars are compared for real.
#[test]
fn scalars_and_buffers_are_compared_and_anything_may_be_ignored() {
    matches("4xf32=1", "(ignored)", &[]);
    matches("4xf32=1", "(null)", &[]);
    matches("(null)", "(null)", &[]);
    matches("&4xf32=1", "&4xf32=1", &[]);
    assert!(differs("&4xf32=1", "&4xf32=2", &[]).starts_with("hal.buffer contents differ at byte 2"));
    assert!(differs("&4xf32=1", "&3xf32=1", &[]).starts_with("hal.buffer lengths differ"));
    let scalars = |expected: [&str; 2], more: &[&str]| {
        let flags = expected.map(|value| format!("--expected_output={value}"));
        let mut all = vec!["--input=2.5", "--input=1", &flags[0], &flags[1]];
        all.extend(more);
        run("tool_values", "floats", &all)
    };
    scalars(["2.5", "1"], &[]).success();
    scalars(["(ignored)", "(ignored)"], &[]).success();
    scalars(["2.50001", "1"], &[]).success();
    let done = scalars(["2.5", "1.00001"], &["--equality_mode=exact"]);
    assert_eq!(done.code, Some(1));
    let done = scalars(["3", "4"], &[]);
    assert_eq!(
        done.out,
        "EXEC @floats\n[FAILED] result[0]: f64 values differ\n  expected: 3\n  actual: 2.5\n\
         [FAILED] result[1]: f32 values differ\n  expected: 4\n  actual: 1\n"
    );
    let done = run("tool_benchmarks", "seven", &["--expected_output=8"]);
    assert_eq!(done.out, "EXEC @seven\n[FAILED] result[0]: i32 values differ\n  expected: 8\n  actual: 7\n");
}

/// [hal-module 71] The number of expectations must be that of the results; malformed ones fail the run.
#[test]
fn counts_and_malformed_expectations_are_reported() {
    let one = run("tool_values", "floats", &["--input=1", "--input=1", "--expected_output=1"]);
    assert_eq!(one.code, Some(1));
    assert_eq!(one.out, "EXEC @floats\n[FAILED] expected 1 list elements but 2 provided\n");
    echo("f32=1", "f32=1", &["--expected_output=f32=1"]).failure(1, "function expected fewer input values");
    echo("f32=1", "5", &[]).failure(1, "parsing expected function outputs; processing function outputs");
    echo("f32=1", "", &[]).failure(1, "no value specified for input");
    matches("f32=1", "f32=1", &["--output=@/nonexistent/never-opened.bin"]);
}

/// [hal-module 71] Every mismatch is reported, not only the first.
#[test]
fn all_results_are_compared() {
    let done = run(
        "results_several",
        "twice",
        &["--input=2xf32=1 2", "--expected_output=2xf32=0", "--expected_output=2xf32=0"],
    );
    assert_eq!(done.code, Some(1));
    assert_eq!(done.out.matches("[FAILED] result[").count(), 2, "{}", done.out);
}
