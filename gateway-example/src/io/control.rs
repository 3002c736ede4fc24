use crate::control::{Answer, MAX_REQUEST, Refusal, Request, parse};
use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Askers at once at most.
const ASKERS: usize = 16;

/// How long an asker may take to say what it wants, and to read the answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Bytes of an answer that a command reads at most.
const MAX_ANSWER: u64 = 64 << 20;

/// The socket on which a running gateway answers `gateway status` and the other commands.
#[derive(Debug)]
pub struct Control {
    path: PathBuf,
    asked: mpsc::Receiver<Asked>,
    sender: mpsc::Sender<Asked>,
    task: JoinHandle<()>,
}

/// A request that waits for its answer.
#[derive(Debug)]
pub struct Asked {
    /// What is asked.
    pub request: Request,
    reply: oneshot::Sender<Answer>,
}

impl Asked {
    /// Asks; none if the gateway is stopping.
    pub(super) async fn ask(gateway: &mpsc::Sender<Self>, request: Request) -> Option<Answer> {
        let (reply, answer) = oneshot::channel();
        gateway.send(Self { request, reply }).await.ok()?;
        answer.await.ok()
    }

    /// Answers; nothing happens if the asker has gone away.
    pub fn answer(self, answer: Answer) {
        let _ = self.reply.send(answer);
    }
}

impl Control {
    /// Listens at `path`, for its owner alone; must be called within a tokio runtime.
    ///
    /// # Errors
    /// What the system gave; in use if another gateway answers there.
    pub fn bind(path: &Path) -> io::Result<Self> {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(io::Error::new(
                io::ErrorKind::AddrInUse,
                format!("another gateway answers on {}", path.display()),
            ));
        }
        let explain = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", path.display()));
        let listener = listen_privately(path).map_err(explain)?;
        let (sender, asked) = mpsc::channel(ASKERS);
        Ok(Self {
            path: path.to_owned(),
            asked,
            task: tokio::spawn(accept(listener, sender.clone())),
            sender,
        })
    }

    /// For others who ask, and whose requests come out of [`Control::next`] too.
    #[must_use]
    pub fn asker(&self) -> mpsc::Sender<Asked> {
        self.sender.clone()
    }

    /// Waits for the next request. May be dropped while it waits.
    pub async fn next(&mut self) -> Asked {
        match self.asked.recv().await {
            Some(asked) => asked,
            // `self` holds a sender.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.task.abort();
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Makes the socket in a folder that is closed to others and moves it where it belongs, so that
/// nobody finds it before it has its mode.
fn listen_privately(path: &Path) -> io::Result<UnixListener> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut closed = path.as_os_str().to_owned();
    closed.push(".new");
    let closed = PathBuf::from(closed);
    // What a killed gateway left behind.
    let _ = std::fs::remove_dir_all(&closed);
    DirBuilder::new().mode(0o700).create(&closed)?;
    let bind = || {
        let socket = closed.join("s");
        let listener = UnixListener::bind(&socket)?;
        std::fs::set_permissions(&socket, Permissions::from_mode(0o600))?;
        std::fs::rename(&socket, path)?;
        Ok(listener)
    };
    let listener = bind();
    let _ = std::fs::remove_dir_all(&closed);
    listener
}

async fn accept(listener: UnixListener, sender: mpsc::Sender<Asked>) {
    let askers = Arc::new(Semaphore::new(ASKERS));
    loop {
        // Whoever comes when all places are taken waits in the kernel's queue.
        let Ok(place) = Arc::clone(&askers).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, most likely: others have to close theirs first.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let sender = sender.clone();
        tokio::spawn(async move {
            serve(stream, &sender).await;
            drop(place);
        });
    }
}

fn line(answer: &Answer) -> String {
    format!("{}\n", answer.json())
}

async fn serve(mut stream: UnixStream, sender: &mpsc::Sender<Asked>) {
    // Who is silent, or gone, gets no answer.
    let Ok(Ok(request)) = timeout(PATIENCE, read_request(&mut stream)).await else {
        return;
    };
    let answer = match request {
        Ok(request) => match Asked::ask(sender, request).await {
            Some(answer) => answer,
            None => return,
        },
        Err(refusal) => Answer::refuse(&refusal),
    };
    let write = async {
        stream.write_all(line(&answer).as_bytes()).await?;
        stream.shutdown().await
    };
    let _ = timeout(PATIENCE, write).await;
}

async fn read_request(stream: &mut UnixStream) -> io::Result<Result<Request, Refusal>> {
    let mut line = Vec::new();
    let limit = u64::try_from(MAX_REQUEST).unwrap_or(u64::MAX);
    BufReader::new(stream.take(limit))
        .read_until(b'\n', &mut line)
        .await?;
    if line.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if line.len() >= MAX_REQUEST && !line.ends_with(b"\n") {
        let why = format!("longer than {MAX_REQUEST} bytes");
        return Ok(Err(Refusal::bad_request(&why)));
    }
    Ok(parse(&line))
}

/// Asks the gateway at `path`.
///
/// # Errors
/// What the system gave; `NotFound` or `ConnectionRefused` if no gateway is running.
pub async fn ask(path: &Path, request: &Request) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(path).await.map_err(|e| {
        let text = match e.kind() {
            io::ErrorKind::PermissionDenied => {
                format!(
                    "{}: {e}: ask as root or as the gateway's user",
                    path.display()
                )
            }
            _ => format!("no gateway is running: {}: {e}", path.display()),
        };
        io::Error::new(e.kind(), text)
    })?;
    let mut line = serde_json::to_string(request)?;
    line.push('\n');
    stream.write_all(line.as_bytes()).await?;
    let mut answer = String::new();
    stream.take(MAX_ANSWER).read_to_string(&mut answer).await?;
    if !answer.ends_with('\n') {
        let text = "the gateway gave no whole answer";
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    answer.pop();
    Ok(Answer::from_line(answer))
}
