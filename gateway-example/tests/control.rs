//! The control socket as commands and intruders see it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use gateway_example::control::{Answer, Code, MAX_REQUEST, Refusal, Request};
use gateway_example::core::{Sessions, Status};
use gateway_example::io::{Control, ask};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

fn place(name: &str) -> PathBuf {
    let id = std::process::id();
    std::env::temp_dir().join(format!("gateway-control-{id}-{name}/socket"))
}

/// A socket whose requests are answered with an empty list of sessions.
async fn answering(name: &str) -> PathBuf {
    let path = place(name);
    let mut control = Control::bind(&path).unwrap();
    tokio::spawn(async move {
        loop {
            let asked = control.next().await;
            let answer = match asked.request {
                Request::Sessions => Answer::of(&Sessions::default()),
                _ => Answer::refuse(&Refusal::no_such("thing")),
            };
            asked.answer(answer);
        }
    });
    path
}

async fn say(path: &PathBuf, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(path).await.unwrap();
    // The gateway may have hung up on too much.
    let _ = stream.write_all(bytes).await;
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    answer
}

#[tokio::test]
async fn only_the_owner_may_ask_and_a_second_gateway_is_told() {
    let path = answering("mode").await;
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let error = Control::bind(&path).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
}

#[tokio::test]
async fn one_line_is_answered_with_one_line() {
    let path = answering("line").await;
    let answer = say(&path, b"{\"request\":\"sessions\"}\n").await;
    assert_eq!(answer, "{\"schema_version\":1,\"sessions\":[]}\n");
    let answer = ask(&path, &Request::Sessions).await.unwrap();
    assert_eq!(answer.read::<Sessions>().unwrap(), Sessions::default());
    let answer = ask(&path, &Request::Session { id: 3 }).await.unwrap();
    assert_eq!(answer.read::<Status>().unwrap_err().code, Code::NoSuch);
    let expected =
        "{\"schema_version\":1,\"error\":{\"code\":\"no_such\",\"message\":\"no such thing\"}}";
    assert_eq!(answer.json(), expected);
}

#[tokio::test]
async fn what_is_no_request_is_told_so_in_words() {
    let path = answering("bad").await;
    let garbage = [
        b"hello\n".to_vec(),
        b"{\"request\":\"reboot\"}\n".to_vec(),
        b"{\"request\":\"session\",\"id\":\"x\"}\n".to_vec(),
        b"{\"request\":\"session\"}\n".to_vec(),
        vec![0xff; 20],
        vec![b' '; MAX_REQUEST * 4],
    ];
    for bytes in garbage {
        let line: &[u8] = &[bytes.as_slice(), b"\n"].concat();
        let answer = say(&path, line).await;
        // Too much at once may tear the connection down before the answer is read.
        if bytes.len() < MAX_REQUEST {
            assert!(answer.contains("\"bad_request\""), "{answer}");
        }
    }
    assert!(ask(&path, &Request::Sessions).await.is_ok());
}

#[tokio::test]
async fn many_silent_askers_are_sent_away() {
    let path = answering("silent").await;
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(UnixStream::connect(&path).await.unwrap());
    }
    let patient = Duration::from_secs(20);
    let answer = tokio::time::timeout(patient, ask(&path, &Request::Sessions)).await;
    assert!(answer.unwrap().is_ok());
    let mut byte = [0; 1];
    assert_eq!(silent[0].read(&mut byte).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn a_gateway_that_is_not_there_is_told_from_one_that_says_no() {
    let error = ask(&place("none"), &Request::Status).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    assert!(error.to_string().contains("no gateway is running"));
}
