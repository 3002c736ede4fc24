use isakmp::{Job, JobResult};
use std::io;
use std::sync::{Arc, Mutex, mpsc};
use tokio::sync::mpsc as results;

/// Computations that wait at most. A client whose one is lost asks again.
const QUEUE: usize = 1024;

/// Threads for what is too heavy for the thread of the packets: Diffie-Hellman.
#[derive(Debug)]
pub(super) struct Workers {
    jobs: mpsc::SyncSender<Job>,
    results: results::Receiver<JobResult>,
}

impl Workers {
    /// One for each core but that of the packets.
    ///
    /// # Errors
    /// What the system gave.
    pub(super) fn start() -> io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let (jobs, work) = mpsc::sync_channel(QUEUE);
        let (done, results) = results::channel(QUEUE);
        let work = Arc::new(Mutex::new(work));
        for _ in 0..cores.saturating_sub(1).max(1) {
            let (work, done) = (Arc::clone(&work), done.clone());
            std::thread::Builder::new()
                .name("handshake".into())
                .spawn(move || {
                    while let Some(job) = next(&work) {
                        if done.blocking_send(job.run()).is_err() {
                            break;
                        }
                    }
                })?;
        }
        Ok(Self { jobs, results })
    }

    /// Has it done; false if too many wait.
    pub(super) fn give(&self, job: Job) -> bool {
        self.jobs.try_send(job).is_ok()
    }

    /// What has been done, when something has.
    pub(super) async fn done(&mut self) -> JobResult {
        match self.results.recv().await {
            Some(result) => result,
            None => std::future::pending().await,
        }
    }

    /// What else has been done.
    pub(super) fn try_done(&mut self) -> Option<JobResult> {
        self.results.try_recv().ok()
    }
}

fn next(work: &Mutex<mpsc::Receiver<Job>>) -> Option<Job> {
    work.lock().ok()?.recv().ok()
}
