use super::Asked;
use crate::control::Request;
use crate::core::Metrics;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

/// Scrapers at once at most.
const SCRAPERS: usize = 4;

/// Bytes of a request at most.
const REQUEST: usize = 4096;

/// How long a scraper may take to ask, and to read the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Answers `GET /metrics` over HTTP/1.1 at `address`, until dropped.
#[derive(Debug)]
pub struct MetricsServer {
    local: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl MetricsServer {
    /// Listens; asks for the numbers by `asked`. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// What the system gave.
    pub async fn bind(address: SocketAddr, asked: mpsc::Sender<Asked>) -> io::Result<Self> {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|e| io::Error::new(e.kind(), format!("metrics on {address}: {e}")))?;
        Ok(Self {
            local: listener.local_addr()?,
            task: tokio::spawn(accept(listener, asked)),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.local
    }
}

impl Drop for MetricsServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, asked: mpsc::Sender<Asked>) {
    let places = Arc::new(Semaphore::new(SCRAPERS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let asked = asked.clone();
        tokio::spawn(async move {
            let _ = timeout(PATIENCE, serve(stream, asked)).await;
            drop(place);
        });
    }
}

async fn serve(mut stream: TcpStream, asked: mpsc::Sender<Asked>) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|w| w == b"\r\n\r\n") {
        let room = REQUEST.saturating_sub(head.len());
        let mut part = (&mut stream).take(u64::try_from(room).unwrap_or(0));
        if part.read_buf(&mut head).await? == 0 {
            return respond(&mut stream, "400 Bad Request", "").await;
        }
    }
    let line = head.split(|b| *b == b'\r').next().unwrap_or_default();
    let mut words = line.split(|b| *b == b' ');
    match (words.next(), words.next()) {
        (Some(b"GET"), Some(b"/metrics")) => {
            let text = match Asked::ask(&asked, Request::Metrics).await {
                Some(answer) => answer.read::<Metrics>().ok(),
                None => None,
            };
            match text {
                Some(metrics) => respond(&mut stream, "200 OK", &metrics.text).await,
                None => respond(&mut stream, "503 Service Unavailable", "").await,
            }
        }
        (Some(b"GET"), _) => respond(&mut stream, "404 Not Found", "try /metrics\n").await,
        _ => respond(&mut stream, "405 Method Not Allowed", "").await,
    }
}

async fn respond(stream: &mut TcpStream, status: &str, body: &str) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}
