use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

/// Requests are single words; anything longer is not one of ours.
const REQUEST: usize = 256;

/// The socket on which a running gateway answers `gateway status`.
#[derive(Debug)]
pub struct Control {
    listener: UnixListener,
    path: PathBuf,
}

impl Control {
    /// Listens at `path`, for its owner alone.
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
        // What a killed gateway left behind.
        let _ = std::fs::remove_file(path);
        let explain = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", path.display()));
        let listener = UnixListener::bind(path).map_err(explain)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(explain)?;
        Ok(Self {
            listener,
            path: path.to_owned(),
        })
    }

    /// Waits for the next request.
    ///
    /// # Errors
    /// What the system gave.
    pub async fn accept(&self) -> io::Result<UnixStream> {
        Ok(self.listener.accept().await?.0)
    }

    /// Reads a request and sends what `answer` makes of it; gives up on a slow asker.
    pub async fn serve(mut stream: UnixStream, answer: String) {
        let exchange = async {
            let mut request = [0; REQUEST];
            let _ = stream.read(&mut request).await?;
            stream.write_all(answer.as_bytes()).await?;
            stream.shutdown().await
        };
        let limit = std::time::Duration::from_secs(2);
        let _ = tokio::time::timeout(limit, exchange).await;
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Asks the gateway at `path` for its status.
///
/// # Errors
/// What the system gave, with what it means.
pub async fn ask(path: &Path) -> io::Result<String> {
    let connect = UnixStream::connect(path).await;
    let mut stream = connect.map_err(|e| {
        let text = format!("no gateway answers on {}: {e}", path.display());
        io::Error::new(e.kind(), text)
    })?;
    stream.write_all(b"status\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
