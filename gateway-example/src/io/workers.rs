use isakmp::{Job, JobResult};
use std::io;
use std::sync::{Arc, Mutex, mpsc};
use tokio::sync::mpsc as results;

/// Computations that wait for a thread at most; more wait with those who want them.
const QUEUE: usize = 1024;

/// Threads for what is too heavy for the thread of the packets: Diffie-Hellman.
#[derive(Debug)]
pub(super) struct Workers {
    jobs: mpsc::SyncSender<Job>,
    /// The queue was full.
    next: Option<Job>,
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
        Ok(Self {
            jobs,
            next: None,
            results,
        })
    }

    /// Has done what `more` gives, as long as there is room: a client would not ask for it again.
    pub(super) fn give(&mut self, mut more: impl FnMut() -> Option<Job>) {
        while let Some(job) = self.next.take().or_else(&mut more) {
            if let Err(mpsc::TrySendError::Full(job)) = self.jobs.try_send(job) {
                self.next = Some(job);
                return;
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use isakmp::{Config, Endpoint, Event, Path, Peer, PeerMatch, Policy, PresharedKey};
    use std::net::SocketAddr;
    use std::time::Duration;

    /// Computations for as many clients that have all begun main mode at once.
    fn storm(clients: usize) -> Vec<Job> {
        let now = super::super::now();
        let key = || PresharedKey::new("abcdefghij0123456789");
        let mut config = Config::new(vec![(PeerMatch::Any, key())]);
        config.policy = Policy::legacy_xp();
        config.deferred_jobs = true;
        let mut gateway = Endpoint::new(Arc::new(config), Box::new(simnet::seeded(1))).unwrap();
        let config = Arc::new(Config::default());
        let mut caller = Endpoint::new(config, Box::new(simnet::seeded(2))).unwrap();
        let mut jobs = Vec::new();
        for client in 0..u16::try_from(clients).unwrap() {
            let [high, low] = client.to_be_bytes();
            let path = Path {
                local: SocketAddr::from(([10, 0, high, low], 500)),
                remote: SocketAddr::from(([198, 51, 100, 1], 500)),
            };
            let mut peer = Peer::new(key());
            peer.proposals.push("aes128-sha1-modp768".parse().unwrap());
            caller.connect(now, path, peer).unwrap();
            let across = |path: Path| Path {
                local: path.remote,
                remote: path.local,
            };
            loop {
                let [out, back] = [caller.poll_transmit(), gateway.poll_transmit()];
                if out.is_none() && back.is_none() {
                    break;
                }
                if let Some(mut t) = out {
                    let _ = gateway.handle_datagram(now, across(t.path), &mut t.payload);
                }
                if let Some(mut t) = back {
                    let _ = caller.handle_datagram(now, across(t.path), &mut t.payload);
                }
            }
            while let Some(event) = gateway.poll_event() {
                if let Event::Job(job) = event {
                    jobs.push(*job);
                }
            }
        }
        jobs
    }

    #[tokio::test]
    async fn a_storm_of_handshakes_loses_none() {
        let jobs = storm(QUEUE * 5 / 4);
        let clients = jobs.len();
        assert!(clients > QUEUE, "{clients}");
        let mut jobs = jobs.into_iter();
        let mut workers = Workers::start().unwrap();
        let all = async {
            for _ in 0..clients {
                workers.give(|| jobs.next());
                workers.done().await;
            }
        };
        let most = Duration::from_secs(60);
        assert!(tokio::time::timeout(most, all).await.is_ok());
    }
}
