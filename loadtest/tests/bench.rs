//! The measuring stand works: floor and engine forward everything, and what a sample of it says is
//! true. Times are not judged here: other things run on the machine of a test.

#![expect(
    clippy::expect_used,
    reason = "helpers of tests end a test as the tests themselves do"
)]

use std::process::Command;

use serde_json::Value;

/// One short round of `scenario`; its line of JSON.
fn play(scenario: &str) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .args(["bench", scenario, "--quick"])
        .output()
        .expect("the stand starts");
    let text = String::from_utf8(output.stdout).expect("text");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{scenario}: {text}{said}");
    let line = text.lines().last().expect("a last line");
    serde_json::from_str(line).expect("a line of JSON")
}

#[test]
fn floor_and_engine_deliver_every_packet_and_every_sample_is_right() {
    for (scenario, copies) in [
        ("latency-1", 4),
        ("audio-forward-20", 20),
        ("conference-10", 130),
    ] {
        let report = play(scenario);
        assert_eq!(report["misses"], Value::Array(Vec::new()), "{scenario}");
        for who in ["floor", "subject"] {
            let window = &report["rounds"][0][who];
            let packets = window["packets"].as_u64().expect("a count");
            assert!(
                packets > 20 * copies,
                "{scenario}: {who}: {packets} packets"
            );
            assert!(window["samples"].as_u64() > Some(0), "{scenario}: {who}");
            assert!(
                window["us_per_packet"].as_f64() > Some(0.0),
                "{scenario}: {who}"
            );
        }
    }
}

#[test]
fn everybody_who_storms_in_gets_media_and_nobody_else_loses_any() {
    let report = play("join-storm-50");
    assert_eq!(report["misses"], Value::Array(Vec::new()));
    let round = &report["rounds"][0];
    assert_eq!(round["joined"], 50);
    assert!(round["packets"].as_u64() > Some(0));
    assert!(report["join_us"].as_f64() > Some(0.0));
}

#[test]
fn what_is_lost_is_repeated_and_every_repeat_is_what_it_stands_for() {
    let report = play("loss-10");
    assert_eq!(report["misses"], Value::Array(Vec::new()));
    let round = &report["rounds"][0];
    let count = |key: &str| round[key].as_u64().expect("a count");
    assert!(count("missed") > 0 && count("missed") <= count("thrown_away"));
    assert!(count("repeats") >= count("missed"));
    assert!(round["back_by_third"].as_f64() > Some(0.9));
}

#[test]
fn each_packet_goes_once_to_the_other_shard_and_everybody_there_gets_it() {
    let report = play("hot-room-10");
    assert_eq!(report["misses"], Value::Array(Vec::new()));
    let round = &report["rounds"][0];
    let published = round["published"].as_u64().expect("a count");
    assert!(published > 20, "{published} packets");
    let carried = round["carried"].as_u64().expect("a count");
    assert!(
        carried.abs_diff(published) <= published / 10,
        "{carried} of {published}"
    );
    for who in ["alone", "spread"] {
        let window = &round[who];
        // Two windows may differ by a frame at their edges.
        let packets = window["packets"].as_u64().expect("a count");
        assert!(packets * 11 >= published * 100, "{who}: {packets}");
        assert!(window["samples"].as_u64() > Some(0), "{who}");
    }
    assert!(report["ratio"].as_f64() > Some(0.0));
}

#[test]
fn an_unknown_scenario_is_refused_and_the_known_ones_are_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .args(["bench", "nothing"])
        .output()
        .expect("the stand starts");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("broadcast-100"), "{said}");
}
